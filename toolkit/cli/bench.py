"""``edgekit bench``: measure latency on a device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import common, console, progress, project_option
from edgekit.cli.evaluate import absolute
from edgekit.cli.options import (
    NOTHING,
    applied,
    arena_option,
    cassette_options,
    data_options,
    loading_options,
    project_of,
)
from edgekit.cli.values import as_share, parsed

SECONDS = {"ms": 1e-3, "s": 1, "min": 60, "m": 60, "h": 3600}


class Threads(click.ParamType):  # type: ignore[type-arg]
    """``1,2`` or ``1,n``, where n is one per processor, as numbers; 0 stands for n."""

    name = "N,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        counts = []
        for part in str(value).split(","):
            if part.strip() != "n" and not (part.strip().isdecimal() and int(part)):
                self.fail(f"{part!r} is neither a number of threads nor 'n'", param, ctx)
            counts.append(0 if part.strip() == "n" else int(part))
        return tuple(dict.fromkeys(counts))


def _time(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Parse ``5 ms``, in nanoseconds."""
    from edgekit.project import TIMES, parse_unit

    return parsed(lambda text: parse_unit(text, TIMES, "time"), value)  # type: ignore[no-any-return]


def _seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Parse ``5m``, ``90 s``, or a plain number of seconds."""
    from edgekit.project import parse_number, parse_unit

    if value is not None and value.replace(".", "", 1).isdecimal():
        return parsed(parse_number, value)
    scaled = {unit: round(size * 1000) for unit, size in SECONDS.items()}
    milliseconds = parsed(lambda text: parse_unit(text, scaled, "duration"), value)
    return None if milliseconds is None else milliseconds / 1000


def _shapes(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, tuple[int, ...]]:
    """Parse ``image=1,96,96,3`` as the input's name and its sizes."""
    shapes = {}
    for value in values:
        name, _, sizes = value.rpartition("=")
        parts = sizes.replace("x", ",").split(",")
        if not name or not all(part.strip().isdecimal() and int(part) for part in parts):
            raise click.BadParameter(f"{value!r} is not NAME=SIZES, such as image=1,96,96,3")
        shapes[name] = tuple(int(part) for part in parts)
    return shapes


def _protocol_options(function: Any) -> Any:
    """Add how long to measure: least and most runs and seconds, and the goal in between."""
    options = (
        click.option(
            "--min-runs",
            type=click.IntRange(min=1),
            default=50,
            show_default=True,
            metavar="N",
            help="Least number of timed runs, over all launches.",
        ),
        click.option(
            "--max-runs",
            type=click.IntRange(min=1),
            default=200_000,
            show_default=True,
            metavar="N",
            help="Largest number of timed runs.",
        ),
        click.option(
            "--min-seconds",
            callback=_seconds,
            default="2",
            show_default=True,
            metavar="TIME",
            help="Least time to measure.",
        ),
        click.option(
            "--max-seconds",
            callback=_seconds,
            default="30",
            show_default=True,
            metavar="TIME",
            help="Longest time to measure.",
        ),
        click.option(
            "--precision-goal",
            callback=as_share,
            default="1%",
            show_default=True,
            metavar="SHARE",
            help="Measure until the median is known to this precision.",
        ),
        click.option(
            "--launches",
            type=click.IntRange(min=2),
            default=5,
            show_default=True,
            metavar="N",
            help="Least number of fresh launches; at most three times as many.",
        ),
        click.option(
            "--warmup-runs",
            type=click.IntRange(min=1),
            default=10,
            show_default=True,
            metavar="N",
            help="Least number of warm-up runs, which go on until times stop drifting.",
        ),
    )
    return applied(options, function)


def _run_options(function: Any) -> Any:
    """Add where and how the model runs, and what else is measured."""
    options = (
        *data_options(),
        click.option(
            "--device",
            "devices",
            multiple=True,
            metavar="NAME",
            help="Where to run: local, local:RUNTIME, local:PACKAGE==VERSION, tflm, ssh://…, or a"
            " name of yours; repeatable. `edgekit devices` lists them.",
        ),
        click.option(
            "--threads",
            type=Threads(),
            default="1",
            show_default=True,
            help="Threads of the runtime; 1,n measures with one, then with one per processor.",
        ),
        click.option(
            "--batch",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            metavar="N",
            help="Items per run.",
        ),
        click.option(
            "--shape",
            "shapes",
            multiple=True,
            callback=_shapes,
            metavar="NAME=SIZES",
            help="Shape of an input of free size, without --data: image=1,96,96,3; repeatable.",
        ),
        click.option(
            "--delegate",
            type=click.Choice(["xnnpack", "none"]),
            help="XNNPACK kernels, or the runtime's own. Default: the runtime's.",
        ),
        arena_option(),
        click.option("--no-calibrate", is_flag=True, help="Skip the A/A calibration of this host."),
        click.option(
            "--profile", is_flag=True, help="Measure the time of every operator (LiteRT)."
        ),
        click.option(
            "--sustain",
            callback=_seconds,
            metavar="TIME",
            help="Run for this long, e.g. 5m, and compare the first minute with the plateau.",
        ),
        click.option(
            "--mlperf-tiny",
            is_flag=True,
            help="Measure as MLPerf Tiny does: the median of five windows of 10 s, and accuracy.",
        ),
        *cassette_options(),
        *loading_options(),
    )
    return applied(options, function)


def _budget_options(function: Any) -> Any:
    """Add the limits of the median."""
    options = (
        click.option(
            "--max-latency",
            callback=_time,
            metavar="TIME",
            help="Largest allowed median, e.g. '5 ms'.",
        ),
        click.option(
            "--baseline",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Earlier bench.json to compare with.",
        ),
        click.option(
            "--max-slowdown",
            callback=as_share,
            metavar="SHARE",
            help="Largest allowed growth of the median against --baseline, e.g. 5%.",
        ),
        click.option(
            "--csv",
            "table",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Write the rows as CSV, too.",
        ),
    )
    return applied(options, function)


@click.command("bench")
@click.argument("models", nargs=-1, required=True)
@_run_options
@_protocol_options
@_budget_options
@project_option
@common
def command(**options: Any) -> int:
    """Measure MODELS on every --device: phases, latency, memory, conditions.

    A model is a .tflite file or a bundle; other models that `edgekit convert` takes run on
    local:tensorflow. Exit code 1 where a limit is exceeded, 4 where the noise decides nothing, 3
    where a device is not available, 5 where a runtime cannot run the model.
    """
    from edgekit import api
    from edgekit.report import bench as report

    models = [absolute(model) for model in options["models"]]
    project = project_of({**NOTHING, **options, "model": models[0]})
    asked = _asked(options)
    names = ("output", "trust", "record", "replay")
    run = api.Options(**{name: options[name] for name in names})
    with progress(options["quiet"]) as display:
        done = api.bench(project, models, asked, run, display, options["table"])
    _show(done, options)
    if options["as_json"]:
        click.echo(json.dumps(report.to_json(done), indent=2, allow_nan=False))
    return done.verdict.exit_code


def _asked(options: dict[str, Any]) -> Any:
    """Return the options of a benchmark."""
    from edgekit import api
    from edgekit.evaluation.protocol import Protocol

    named = ("min_runs", "max_runs", "min_seconds", "max_seconds", "launches", "warmup_runs")
    protocol = Protocol(
        **{name: options[name] for name in named},
        precision=options["precision_goal"],
        max_launches=3 * options["launches"],
    )
    passed = (
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
    return api.BenchOptions(
        **{name: options[name] for name in passed},
        protocol=protocol,
        calibrate=not options["no_calibrate"],
        sustain=options["sustain"] or 0.0,
    )


def _show(done: Any, options: dict[str, Any]) -> None:
    """Print the table and the lines below it."""
    from edgekit.report import bench as report
    from edgekit.report.measurements import verdict_lines

    out = console(options["as_json"])
    for table in report.tables(done):
        out.print(table, markup=False)
    out.print()
    lines = report.lines(done, options["verbose"], options["quiet"])
    for line, style in [*lines, *verdict_lines(done.verdict)]:
        out.print(line, style=style or None, markup=False, soft_wrap=True)
