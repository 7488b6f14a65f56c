"""``edgekit bench``: measure latency on a device."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import completers
from edgekit.cli.command_line import command_line
from edgekit.cli.console import console, print_json, print_lines, progress
from edgekit.cli.help import documented, section
from edgekit.cli.options import (
    COUNT,
    DEVICE,
    FILE,
    F,
    arena_option,
    cassette_options,
    common,
    data_options,
    device_option,
    flag,
    group,
    loading_options,
    model_option,
    option,
    project_option,
)
from edgekit.cli.outputs import (
    counted,
    file_options,
    show_for_ci,
    write_outputs,
)
from edgekit.cli.plots import plots_option, run_folder, show_report, write_plots
from edgekit.cli.project import project_of, resolve_source
from edgekit.cli.retry import measured, retry_options
from edgekit.cli.values import Threads, Whole, as_seconds, as_shapes, as_share, as_time

if TYPE_CHECKING:
    from edgekit.types import BenchReport


# How long to measure, and in what way.
PROTOCOL_TITLE = "Measurement"


def shown_default(flag: str, text: str, default: Any, **attributes: Any) -> Callable[[F], F]:
    """Declare an option whose help shows its default."""
    return option(flag, text, default=default, show_default=True, **attributes)


run_options = group(
    data_options,
    device_option,
    section(
        DEVICE,
        shown_default(
            "--threads",
            "Threads of the runtime; 1,n measures with one, then with one per processor.",
            "1",
            type=Threads(),
        ),
        shown_default("--batch N", "Items per run.", 1, type=COUNT),
        option(
            "--shape NAME=SIZES",
            "Shape of an input of free size, without --data: image=1,96,96,3; repeatable.",
            "shapes",
            multiple=True,
            callback=as_shapes,
        ),
        option(
            "--delegate",
            "XNNPACK kernels, or the runtime's own. Default: the runtime's.",
            type=click.Choice(["xnnpack", "none"]),
        ),
    ),
    arena_option,
    section(
        PROTOCOL_TITLE,
        flag("--no-calibrate", "Skip the A/A calibration of this host."),
        flag("--profile", "Measure the time of every operator (LiteRT)."),
        option(
            "--sustain TIME",
            "Run for this long, e.g. 5m, and compare the first minute with the plateau.",
            callback=as_seconds,
        ),
        flag(
            "--mlperf-tiny",
            "Measure as MLPerf Tiny does: the median of five windows of 10 s, and accuracy.",
        ),
    ),
    cassette_options,
    loading_options,
)
# How long to measure: least and most runs and seconds, and the goal in between.
protocol_options = section(
    PROTOCOL_TITLE,
    shown_default("--min-runs N", "Least number of timed runs, over all launches.", 50, type=COUNT),
    shown_default("--max-runs N", "Largest number of timed runs.", 200_000, type=COUNT),
    shown_default("--min-seconds TIME", "Least time to measure.", "2", callback=as_seconds),
    shown_default("--max-seconds TIME", "Longest time to measure.", "30", callback=as_seconds),
    shown_default(
        "--precision-goal SHARE",
        "Measure until the median is known to this precision.",
        "1%",
        callback=as_share,
    ),
    shown_default(
        "--launches N",
        "Least number of fresh launches; at most three times as many.",
        5,
        type=Whole(min=2),
    ),
    shown_default(
        "--warmup-runs N",
        "Least number of warm-up runs, which go on until times stop drifting.",
        10,
        type=COUNT,
    ),
)
budget_options = section(
    "Limits",
    option("--max-latency TIME", "Largest allowed median, e.g. '5 ms'.", callback=as_time),
    option(
        "--baseline FILE", "Earlier bench.json to compare with.", type=click.Path(path_type=Path)
    ),
    option(
        "--max-slowdown SHARE",
        "Largest allowed growth of the median against --baseline, e.g. 5%.",
        callback=as_share,
    ),
    option("--csv FILE", "Write the rows as CSV, too.", "table", type=FILE),
)
# Options that `bench` takes under the same name in Python.
NAMES = (
    "devices",
    "threads",
    "batch",
    "delegate",
    "arena",
    "profile",
    "mlperf_tiny",
    "metric_output",
    "shapes",
    "max_latency",
    "max_slowdown",
    "baseline",
)
# What grows where more is measured.
LENGTHS = ("min_runs", "min_seconds", "max_seconds", "launches", "max_launches")
PROTOCOL = ("min_runs", "max_runs", "min_seconds", "max_seconds", "launches", "warmup_runs")


@documented(
    "bench",
    ("latency, memory and conditions of a file on this host", "edgekit bench model.tflite"),
    (
        "on a board over ssh; exit code 1 above 5 ms",
        "edgekit bench model.tflite --device ssh://pi@raspberrypi.local --max-latency '5 ms'",
    ),
    ("which operators take the time", "edgekit bench model.tflite --data test.npz --profile"),
)
@click.argument(
    "models",
    nargs=-1,
    required=True,
    shell_complete=completers.either(completers.model, completers.bundle),
)
@run_options
@protocol_options
@budget_options
@retry_options
@file_options
@plots_option
@project_option
@model_option
@common
def command(**options: Any) -> int:
    """Measure MODELS on every --device: phases, latency, memory, conditions.

    A model is a .tflite file or a bundle; other models that `edgekit convert` takes run on
    local:tensorflow. Exit code 1 where a limit is exceeded, 4 where the noise decides nothing, 3
    where a device is not available, 5 where a runtime cannot run the model.
    """
    from edgekit import api
    from edgekit.report import bench as report

    models = [resolve_source(model) for model in options["models"]]
    project = project_of({**options, "model": models[0]})
    names = ("output", "trust", "record", "replay")
    run = api.Options(**{name: options[name] for name in names}, command=command_line())
    started = time.monotonic()
    with progress(options["quiet"]) as display:

        def measure(times: int) -> Any:
            how = _bench_options(options, times)
            return api.bench(project, models, how, run, display, options["table"])

        done: BenchReport = measured(measure, options)
    done = counted(done, options)
    write_outputs(done, options, time.monotonic() - started)
    _show(done, options)
    folder = run_folder(project, options, done.run)
    show_report(folder, options)
    write_plots(done, folder, options)
    show_for_ci(done, options)
    if options["as_json"]:
        print_json(report.to_json(done))
    return done.verdict.exit_code


def _bench_options(options: dict[str, Any], times: int) -> Any:
    """Return how to measure: so many times as long as was asked for, with as many launches."""
    from edgekit import api
    from edgekit.evaluation.protocol import Protocol

    protocol = Protocol(
        **{name: options[name] for name in PROTOCOL},
        precision=options["precision_goal"],
        max_launches=3 * options["launches"],
    )
    more: Any = {name: times * getattr(protocol, name) for name in LENGTHS}
    protocol = replace(protocol, **more)
    return api.BenchOptions(
        **{name: options[name] for name in NAMES},
        protocol=protocol,
        calibrate=not options["no_calibrate"],
        sustain=options["sustain"] or 0.0,
    )


def _show(done: Any, options: dict[str, Any]) -> None:
    """Print the table and the lines below it."""
    from edgekit.report import bench as report
    from edgekit.report.measurements import verdict_lines

    out = console(options["as_json"])
    quiet = options["quiet"]
    above = ""
    for table in () if quiet else report.tables(done):
        if not above:
            out.print()
        above = table if isinstance(table, str) else ""
        if above:
            print_lines(out, [(above, "")])
        else:
            out.print(table)
    if not quiet:
        out.print()
    lines = report.lines(done, options["verbose"], quiet)
    print_lines(out, [*lines, *verdict_lines(done.verdict, quiet)])
