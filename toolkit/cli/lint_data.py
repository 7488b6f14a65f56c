"""``edgekit lint-data``: find what is wrong with the data, before it costs accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import console, print_json, print_lines, progress
from edgekit.cli.help import documented
from edgekit.cli.options import common, model_option, model_options, option, project_option
from edgekit.cli.project import data_of, project_of

STYLES = {"error": "red", "warning": "yellow", "info": "dim"}


@documented(
    "lint-data",
    ("before int8 costs accuracy", "edgekit lint-data model.keras --data test.npz"),
    ("data alone, without a model", "edgekit lint-data --data test.npz --train-data train.npz"),
)
@click.argument("model", required=False, shell_complete=completers.model)
@model_options
@option("--train-data FILE", "Items that the model was trained on.")
@project_option
@model_option
@common
def command(**options: Any) -> int:
    """Find what is wrong with the representative and evaluation data of MODEL.

    MODEL and data are as for `edgekit convert`. Without MODEL and project file, only checks that
    need no model are made. Exit code 1 where a finding is an error.
    """
    from edgekit import api
    from edgekit.project import FILE

    project_file = options["project_file"]
    alone = options["model"] is None and project_file is None and not Path(FILE).is_file()
    has_data = any(options[name] for name in ("evaluate_data", "representative", "train_data"))
    project = data_of(options) if alone and has_data else project_of(options)
    evaluated = alone or project.data.evaluate is not None
    run = api.Options(output=options["output"], evaluate=evaluated, trust=options["trust"])
    with progress(options["quiet"]) as display:
        done = api.lint_data(project, run, display)
    show(done, options["as_json"], options["quiet"])
    if options["as_json"]:
        print_json(done.to_json())
    return int(done.failed)


def show(done: Any, as_json: bool, quiet: bool = False) -> None:
    """Print what was linted, the findings with their fixes, and what was not checked."""
    out = console(as_json)

    def say(text: str, style: str = "") -> None:
        print_lines(out, [(text, style)])

    if not quiet:
        for use, source, count in done.parts:
            say(f"{use}: {count:,} items of {source}")
    for finding in done.findings:
        if quiet and finding.severity == "info":
            continue
        style = STYLES[finding.severity]
        say(f"{finding.severity} {finding.code}: {finding.message}", style)
        say(f"  {finding.fix}", style)
    if not quiet:
        for line in details(done):
            say(line, "dim")
    severe = [f for f in done.findings if f.severity != "info"]
    say(f"{len(severe)} findings" if len(severe) != 1 else "1 finding", "bold")


def details(done: Any) -> list[str]:
    """Return the curve, the scores of other preparations, and what was not checked, as lines."""
    lines = []
    if curve := done.saturation:
        points = ", ".join(
            f"{n:,}: {100 * value:.2f}"
            for n, value in zip(curve.counts, curve.covered, strict=True)
        )
        lines.append(f"activation ranges ({curve.tensors} tensors), % covered by n items: {points}")
        # A curve of faulty items says nothing of how many sound ones are enough.
        if curve.sufficient is not None and not done.failed:
            lines.append(f"  enough items: {curve.sufficient:,}")
    for score in done.scores:
        value = score.metric.value
        shown = "unavailable" if value is None else f"{value:.4g} on {score.metric.n} items"
        lines.append(f"{score.title}: {shown}")
    lines += [f"not checked: {item.check}, because {item.reason}" for item in done.unchecked]
    return lines
