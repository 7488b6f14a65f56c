"""``edgekit data``: what data holds, and where reading it waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import console, print_json, print_lines, progress
from edgekit.cli.help import documented, section
from edgekit.cli.options import (
    OUTPUT,
    common,
    flag,
    option,
    preparation_options,
    project_option,
)
from edgekit.cli.outputs import OutputFile
from edgekit.cli.project import data_of, project_of

# So many classes are listed; --json has them all.
LISTED = 20


@documented(
    "data",
    ("a folder of pictures, with a sheet of them", "edgekit data describe photos --sheet s.png"),
    ("the training data of this folder's project", "edgekit data describe"),
)
@click.argument("action", type=click.Choice(["describe"]))
@click.argument("source", required=False, shell_complete=completers.data)
@section(
    "Data",
    option("--label-column NAME", "Column with the labels of a CSV or TFRecord."),
    flag("--no-timing", "Do not time the pipeline: TensorFlow is not started."),
)
@preparation_options
@section(
    OUTPUT,
    option("--sheet FILE.png", "Draw pictures of every class.", type=OutputFile()),
)
@project_option
@common
def command(source: str | None, **options: Any) -> int:
    """Describe data: shapes, classes, ranges, and where its pipeline waits.

    \b
    describe [SOURCE]   what SOURCE holds: a file, a folder, data.py:train

    Without SOURCE the training data of the project. Of a project's file [data] says how items are
    read, and [train] in which batches and with which augmentation they are timed.
    """
    from edgekit import api
    from edgekit.project import FILE
    from edgekit.project.train import TrainTable

    file = options["project_file"]
    named = {**options, "model": None, "train_data": source}
    described = api.DescribeOptions(timed=not options["no_timing"], sheet=options["sheet"])
    if file is not None or Path(FILE).is_file():
        project = project_of(named)
        table, train = project.data, project.train
        described = api.DescribeOptions(project.root, described.timed, described.sheet)
    else:
        table, train = data_of(named), TrainTable()
    with progress(options["quiet"]) as display:
        done = api.describe_data(table, train, described, display)
    if options["as_json"]:
        print_json(done.to_json())
        return 0
    print_lines(console(False), [(line, None) for line in _lines(done)])
    return 0


def _lines(done: Any) -> Iterator[str]:
    found = done.description
    yield f"{found.source}: {found.count:,} items, {found.bytes / 1e6:,.1f} MB as arrays"
    for array in found.arrays:
        values = ""
        if array.low is not None:
            values = f", {array.low:.4g} to {array.high:.4g}, mean {array.mean:.4g}"
        yield f"  {array.use} {array.name!r}: {array.dtype} {list(array.shape)}{values}"
    if found.classes:
        counts = list(found.classes.items())
        listed = ", ".join(f"{name}: {count:,}" for name, count in counts[:LISTED])
        more = f" and {len(counts) - LISTED} more" if len(counts) > LISTED else ""
        yield f"  {len(counts)} classes: {listed}{more}"
    yield from (f"  {notice}" for notice in found.notices)
    if done.waits:
        waits = done.waits
        size, whole = waits["batch_size"], waits["whole"]
        parts = ", ".join(f"{name} {value:.2f}" for name, value in waits["parts"].items())
        yield f"pipeline, ms per batch of {size}, each part alone: {parts}"
        rate = size / whole * 1000 if whole else 0.0
        yield f"  slowest part: {waits['slowest']}; in parallel {whole:.2f} ms, {rate:,.0f} items/s"
    if done.sheet:
        yield f"sheet: {done.sheet}"
