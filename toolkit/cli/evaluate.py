"""``edgekit evaluate``: a model's metric, on any device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import common, console, progress, project_option
from edgekit.cli.options import NOTHING, measured_options, project_of


@click.command("evaluate")
@click.argument("model", required=False)
@measured_options
@click.option("--by-class", is_flag=True, help="Show the metric of each class.")
@click.option(
    "--worst",
    type=click.IntRange(min=0),
    metavar="N",
    help="Number of worst items to list. Default: 5.",
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.png",
    help="Write a sheet of the worst items as PNG.",
)
@project_option
@common
def command(**options: Any) -> int:
    """Measure MODEL's metric on every --device, with 95 % confidence intervals.

    MODEL is a .tflite of any precision, or any model that `edgekit convert` takes, which then runs
    in TensorFlow. Exit code 5 where a runtime cannot run it, 3 where a device is not available.
    """
    from edgekit import api
    from edgekit.report import measurements as report

    project = project_of({**NOTHING, **options})
    asked = asked_of(
        options, by_class=options["by_class"], worst=options["worst"], pictures=options["pictures"]
    )
    with progress(options["quiet"]) as display:
        done = api.evaluate(
            project, project.model.source, asked, api.Options(**options_of(options)), display
        )
    show(report.evaluated(done), done, options["as_json"], options["quiet"])
    return done.verdict.exit_code


def asked_of(options: dict[str, Any], **more: Any) -> Any:
    """Return the options of a measurement."""
    from edgekit import api

    named = {
        key: options[key] for key in ("devices", "threads", "delegate", "arena", "metric_output")
    }
    return api.MeasureOptions(**named, **more)


def options_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the run."""
    return {key: options[key] for key in ("output", "trust", "limit", "seed", "record", "replay")}


def show(tables: Any, done: Any, as_json: bool, quiet: bool) -> None:
    """Print tables, notes and the verdict, and the JSON with ``--json``."""
    from edgekit.report import measurements as report

    out = console(as_json)
    for table in tables:
        if table == "":
            continue
        out.print()
        out.print(table, soft_wrap=isinstance(table, str), markup=False)
    out.print()
    for advice in report.advice_below(done):
        if quiet and advice.severity == "info":
            continue
        style = "yellow" if advice.severity == "warning" else "dim"
        for line in report.advice_lines(advice):
            out.print(line, style=style, markup=False, soft_wrap=True)
    for line, style in report.verdict_lines(done.verdict):
        out.print(line, style=style, markup=False, soft_wrap=True)
    if as_json:
        click.echo(json.dumps(report.to_json(done), indent=2, allow_nan=False))


def absolute(source: str) -> str:
    """Resolve a model named on the command line, which is relative to the current folder."""
    return source if ":" in source else str(Path(source).resolve())
