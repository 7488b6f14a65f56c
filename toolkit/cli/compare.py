"""``edgekit compare``: models, precisions, runtimes and devices side by side."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import completers
from edgekit.cli.console import progress
from edgekit.cli.evaluate import measure_options, run_options, show
from edgekit.cli.help import Option, documented, section
from edgekit.cli.options import (
    common,
    flag,
    measured_options,
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
from edgekit.cli.retry import measured, retry_options, say
from edgekit.cli.values import Whole, as_drop, as_number, as_share

if TYPE_CHECKING:
    from edgekit.types import Compared

LIMITS = ("max_drop", "max_flips", "max_changed", "max_error", "max_slowdown")
# How far each other model may differ from the first.
budget_options = section(
    "Limits",
    option(
        "--max-drop DROP",
        "Largest allowed drop of the metric against the first model, e.g. 1%.",
        callback=as_drop,
    ),
    option(
        "--max-flips SHARE",
        "Largest allowed share of items that change class, e.g. 0.5%.",
        callback=as_share,
    ),
    option(
        "--max-changed SHARE",
        "Largest allowed share of items with any different output; 0% for bit-exact.",
        callback=as_share,
    ),
    option(
        "--max-error NUMBER",
        "Largest allowed difference of any output value.",
        callback=as_number,
    ),
    option(
        "--max-slowdown SHARE",
        "Largest allowed growth of the median latency against the first, e.g. 5%.",
        callback=as_share,
    ),
)


@documented(
    "compare",
    (
        "a quantized file with the model it was made from",
        "edgekit compare model.keras model.tflite --data test.npz --max-drop 1%",
    ),
    (
        "one file in two runtimes",
        "edgekit compare model.tflite --data test.npz --device local --device local:tflite-runtime",
    ),
)
@click.argument(
    "models",
    nargs=-1,
    required=True,
    shell_complete=completers.either(completers.model, completers.bundle),
)
@measured_options
@budget_options
@flag("--layers", "Find where inside the network the two models diverge.")
@click.option(
    "--latency/--no-latency",
    default=None,
    cls=Option,
    text="Measure latency too. Default: yes, except beside TensorFlow, which starts slowly.",
)
@option(
    "--launches N",
    "Largest number of fresh launches to time.",
    type=Whole(min=6),
    default=12,
    show_default=True,
)
@retry_options
@file_options
@plots_option
@project_option
@model_option
@common
def command(**options: Any) -> int:
    """Compare MODELS on every --device: accuracy, parity, latency, size.

    The first model on the first device is what all others are compared with. One model and
    several devices make the runtime matrix. MODELS are as for `edgekit evaluate`.
    """
    from edgekit import api
    from edgekit.report import measurements as report

    models = [resolve_source(model) for model in options["models"]]
    if len(models) * max(1, len(options["devices"])) < 2:
        context = click.get_current_context()
        raise click.UsageError("name a second model, or a second --device", context)
    project = project_of({**options, "model": models[0]})
    started = time.monotonic()
    with progress(options["quiet"]) as display:

        def measure(times: int) -> Any:
            limit = options["limit"] and times * options["limit"]
            run = run_options({**options, "limit": limit})
            return api.compare(project, models, _how(options, times), run, display)

        done: Compared = measured(measure, options, partial(_may_settle, options))
    done = counted(done, options)
    write_outputs(done, options, time.monotonic() - started)
    show(report.compared(done), done, options["as_json"], options["quiet"])
    folder = run_folder(project, options, done.run)
    show_report(folder, options)
    write_plots(done, folder, options)
    show_for_ci(done, options)
    return done.verdict.exit_code


def _how(options: dict[str, Any], times: int) -> Any:
    """Return what to measure, with so many times as many launches as were asked for."""
    return measure_options(
        options,
        layers=options["layers"],
        latency=options["latency"],
        launches=times * options["launches"],
        **{name: options[name] for name in LIMITS},
    )


def _may_settle(options: dict[str, Any], done: Any) -> bool:
    """Tell whether more launches, or more of the items, can decide what is inconclusive."""
    from edgekit.types import Status

    open_checks = [c for c in done.verdict.checks if c.status is Status.INCONCLUSIVE]
    if options["limit"] or any(check.name == "latency" for check in open_checks):
        return True
    say("inconclusive: every item was evaluated, and only more of them would settle it")
    return False
