"""``edgekit compare``: models, precisions, runtimes and devices side by side."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.console import progress
from edgekit.cli.evaluate import measure_options, run_options, show
from edgekit.cli.options import common, flag, group, measured_options, option, project_option
from edgekit.cli.project import project_of, resolve_source
from edgekit.cli.values import as_drop, as_number, as_share

LIMITS = ("max_drop", "max_flips", "max_changed", "max_error", "max_slowdown")
# How far each other model may differ from the first.
budget_options = group(
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


@click.command("compare")
@click.argument("models", nargs=-1, required=True)
@measured_options
@budget_options
@flag("--layers", "Find where inside the network the two models diverge.")
@click.option(
    "--latency/--no-latency",
    default=None,
    help="Measure latency too. Default: yes, except beside TensorFlow, which starts slowly.",
)
@option(
    "--launches N",
    "Largest number of fresh launches to time.",
    type=click.IntRange(min=6),
    default=12,
    show_default=True,
)
@project_option
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
    measure = measure_options(
        options,
        layers=options["layers"],
        latency=options["latency"],
        launches=options["launches"],
        **{name: options[name] for name in LIMITS},
    )
    with progress(options["quiet"]) as display:
        done = api.compare(project, models, measure, run_options(options), display)
    show(report.compared(done), done, options["as_json"], options["quiet"])
    return done.verdict.exit_code
