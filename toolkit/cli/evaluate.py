"""``edgekit evaluate``: a model's metric, on any device."""

from __future__ import annotations

import time
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.command_line import command_line
from edgekit.cli.console import console, print_json, print_lines, progress
from edgekit.cli.help import documented
from edgekit.cli.options import (
    FILE,
    common,
    flag,
    measured_options,
    model_option,
    option,
    project_option,
)
from edgekit.cli.outputs import file_options, show_for_ci, write_outputs
from edgekit.cli.plots import plots_option, run_folder, show_report, write_plots
from edgekit.cli.project import project_of
from edgekit.cli.values import Whole


@documented(
    "evaluate",
    (
        "accuracy with its interval, by class",
        "edgekit evaluate model.tflite --data test.npz --by-class",
    ),
    (
        "the ten worst pictures, on one sheet",
        "edgekit evaluate model.keras --data test/ --worst 10 --pictures worst.png",
    ),
)
@click.argument("model", required=False, shell_complete=completers.model)
@measured_options
@flag("--by-class", "Show the metric of each class.")
@option("--worst N", "Number of worst items to list. Default: 5.", type=Whole(min=0))
@option("--pictures FILE.png", "Write a sheet of the worst items as PNG.", type=FILE)
@file_options
@plots_option
@project_option
@model_option
@common
def command(**options: Any) -> int:
    """Measure MODEL's metric on every --device, with 95 % confidence intervals.

    MODEL is a .tflite of any precision, or any model that `edgekit convert` takes, which then runs
    in TensorFlow. Exit code 5 where a runtime cannot run it, 3 where a device is not available.
    """
    from edgekit import api
    from edgekit.report import measurements as report

    project = project_of(options)
    own = {name: options[name] for name in ("by_class", "worst", "pictures")}
    measure, run = measure_options(options, **own), run_options(options)
    started = time.monotonic()
    with progress(options["quiet"]) as display:
        done = api.evaluate(project, project.model.source, measure, run, display)
    write_outputs(done, options, time.monotonic() - started)
    show(report.evaluated(done), done, options["as_json"], options["quiet"])
    folder = run_folder(project, options, done.run)
    show_report(folder, options)
    write_plots(done, folder, options)
    show_for_ci(done, options)
    return done.verdict.exit_code


def measure_options(options: dict[str, Any], **own: Any) -> Any:
    """Return what to measure and where, with the command's own settings."""
    from edgekit import api

    names = ("devices", "threads", "delegate", "arena", "metric_output")
    return api.MeasureOptions(**{name: options[name] for name in names}, **own)


def run_options(options: dict[str, Any]) -> Any:
    """Return the options of the run."""
    from edgekit import api

    names = ("output", "trust", "limit", "seed", "record", "replay")
    return api.Options(**{name: options[name] for name in names}, command=command_line())


def show(tables: Any, done: Any, as_json: bool, quiet: bool) -> None:
    """Print tables, notes and the verdict, and the JSON with ``--json``; quiet, what is red."""
    from edgekit.report import measurements as report

    out = console(as_json)
    for table in () if quiet else tables:
        if table == "":
            continue
        out.print()
        if isinstance(table, str):
            print_lines(out, [(line, "") for line in table.splitlines()])
        else:
            out.print(table)
    if not quiet:
        out.print()
    for advice in () if quiet else report.advice_below(done):
        style = "yellow" if advice.severity == "warning" else "dim"
        print_lines(out, [(line, style) for line in report.advice_lines(advice)])
    print_lines(out, report.verdict_lines(done.verdict, quiet))
    if as_json:
        print_json(report.to_json(done))
