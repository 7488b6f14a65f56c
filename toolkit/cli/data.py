"""``edgekit data``: what data holds, where reading it waits, and parts of it without leak."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import console, print_json, print_lines, progress
from edgekit.cli.help import documented, section
from edgekit.cli.options import (
    FOLDER,
    OUTPUT,
    common,
    flag,
    force_option,
    option,
    preparation_options,
    project_option,
)
from edgekit.cli.outputs import OutputFile
from edgekit.cli.project import data_of, project_of
from edgekit.cli.values import Real

# So many classes are listed; --json has them all.
LISTED = 20
SHARE = Real(0, 1, min_open=True, max_open=True)


@documented(
    "data",
    ("a folder of pictures, with a sheet of them", "edgekit data describe photos --sheet s.png"),
    ("the training data of this folder's project", "edgekit data describe"),
    (
        "a tenth to validate on and a fifth to test on, all scans of a patient in one part",
        "edgekit data split scans.csv --validation 0.1 --test 0.2 --group patient --into parts",
    ),
)
@click.argument("action", type=click.Choice(["describe", "split"]))
@click.argument("source", required=False, shell_complete=completers.data)
@section(
    "Data",
    option("--label-column NAME", "Column with the labels of a CSV or TFRecord."),
    flag("--no-timing", "Do not time the pipeline: TensorFlow is not started."),
)
@section(
    "Split",
    option("--validation SHARE", "Share of the items to validate on.", type=SHARE),
    option("--test SHARE", "Share of the items to test on.", type=SHARE),
    option("--group COLUMN", "Items of one group are in one part.", "data_group"),
    option("--seed N", "Another seed is another division. Default: 0.", type=int, default=0),
)
@preparation_options
@section(
    OUTPUT,
    option("--sheet FILE.png", "Draw pictures of every class.", type=OutputFile()),
    option("--into FOLDER", "Folder for the parts: train, validation, test.", type=FOLDER),
    force_option,
)
@project_option
@common
def command(action: str, source: str | None, **options: Any) -> int:
    """Describe data, or split it: shapes, classes, ranges, and where its pipeline waits.

    \b
    describe [SOURCE]   what SOURCE holds: a file, a folder, data.py:train
    split [SOURCE]      parts that share no item, as folders of .npy files

    Without SOURCE the training data of the project. Of a project's file [data] says how items are
    read, and [train] in which batches and with which augmentation they are timed.
    """
    from edgekit.project import FILE
    from edgekit.project.train import TrainTable

    named = {**options, "model": None, "train_data": source}
    if options["project_file"] is not None or Path(FILE).is_file():
        project = project_of(named)
        tables, root = (project.data, project.train), project.root
    else:
        tables, root = (data_of(named), TrainTable()), Path.cwd()
    return (_split if action == "split" else _describe)(tables, root, options)


def _describe(tables: tuple[Any, Any], root: Path, options: dict[str, Any]) -> int:
    from edgekit import api

    chosen = api.DescribeOptions(root, not options["no_timing"], options["sheet"])
    with progress(options["quiet"]) as display:
        done = api.describe_data(*tables, chosen, display)
    if options["as_json"]:
        print_json(done.to_json())
    else:
        print_lines(console(False), [(line, None) for line in _lines(done)])
    return 0


def _split(tables: tuple[Any, Any], root: Path, options: dict[str, Any]) -> int:
    from edgekit import api

    shares = {name: options[name] for name in ("validation", "test") if options[name]}
    into = options["into"]
    if not shares or into is None or sum(shares.values()) >= 1:
        raise click.UsageError(
            "say how much to set aside, less than all, and where to: --validation 0.1 --into parts"
        )
    chosen = api.SplitOptions(shares, into, root, options["seed"], options["force"])
    with progress(options["quiet"]) as display:
        parts = api.split_data(*tables, chosen, display)
    if options["as_json"]:
        print_json({"schema_version": 1, "into": str(into), "parts": dict(parts)})
    elif not options["quiet"]:
        lines = [f"{into / name}: {count:,} items" for name, count in parts.items()]
        print_lines(console(False), [(line, None) for line in lines])
    return 0


def _lines(done: Any) -> Iterator[str]:
    description = done.description
    size = f"{description.bytes / 1e6:,.1f} MB as arrays"
    yield f"{description.source}: {description.count:,} items, {size}"
    for array in description.arrays:
        values = ""
        if array.low is not None:
            values = f", {array.low:.4g} to {array.high:.4g}, mean {array.mean:.4g}"
        yield f"  {array.use} {array.name!r}: {array.dtype} {list(array.shape)}{values}"
    if description.classes:
        counts = list(description.classes.items())
        listed = ", ".join(f"{name}: {count:,}" for name, count in counts[:LISTED])
        more = f" and {len(counts) - LISTED} more" if len(counts) > LISTED else ""
        yield f"  {len(counts)} classes: {listed}{more}"
    yield from (f"  {notice}" for notice in description.notices)
    if done.waits:
        waits = done.waits
        size, whole = waits["batch_size"], waits["whole"]
        parts = ", ".join(f"{name} {value:.2f}" for name, value in waits["parts"].items())
        yield f"pipeline, ms per batch of {size}, each part alone: {parts}"
        rate = size / whole * 1000 if whole else 0.0
        yield f"  slowest part: {waits['slowest']}; in parallel {whole:.2f} ms, {rate:,.0f} items/s"
    if done.sheet:
        yield f"sheet: {done.sheet}"
