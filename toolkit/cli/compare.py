"""``edgekit compare``: models, precisions, runtimes and devices side by side."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.console import common, progress, project_option
from edgekit.cli.evaluate import absolute, asked_of, options_of, show
from edgekit.cli.options import NOTHING, applied, measured_options, project_of
from edgekit.cli.values import as_drop, as_number, as_share


def budgets(function: Any) -> Any:
    """Add how far each other model may differ from the first."""
    options = (
        click.option(
            "--max-drop",
            callback=as_drop,
            metavar="DROP",
            help="Largest allowed drop of the metric against the first model, e.g. 1%.",
        ),
        click.option(
            "--max-flips",
            callback=as_share,
            metavar="SHARE",
            help="Largest allowed share of items that change class, e.g. 0.5%.",
        ),
        click.option(
            "--max-changed",
            callback=as_share,
            metavar="SHARE",
            help="Largest allowed share of items with any different output; 0% for bit-exact.",
        ),
        click.option(
            "--max-error",
            callback=as_number,
            metavar="NUMBER",
            help="Largest allowed difference of any output value.",
        ),
        click.option(
            "--max-slowdown",
            callback=as_share,
            metavar="SHARE",
            help="Largest allowed growth of the median latency against the first, e.g. 5%.",
        ),
    )
    return applied(options, function)


@click.command("compare")
@click.argument("models", nargs=-1, required=True)
@measured_options
@budgets
@click.option(
    "--layers", is_flag=True, help="Find where inside the network the two models diverge."
)
@click.option(
    "--latency/--no-latency",
    default=None,
    help="Measure latency too. Default: yes, except beside TensorFlow, which starts slowly.",
)
@click.option(
    "--launches",
    type=click.IntRange(min=6),
    default=12,
    show_default=True,
    metavar="N",
    help="Largest number of fresh launches to time.",
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

    models = [absolute(model) for model in options["models"]]
    if len(models) * max(1, len(options["devices"])) < 2:
        raise click.UsageError("name a second model, or a second --device", _context())
    project = project_of({**NOTHING, **options, "model": models[0]})
    limits = ("max_drop", "max_flips", "max_changed", "max_error", "max_slowdown")
    asked = asked_of(
        options,
        layers=options["layers"],
        latency=options["latency"],
        launches=options["launches"],
        **{name: options[name] for name in limits},
    )
    with progress(options["quiet"]) as display:
        done = api.compare(project, models, asked, api.Options(**options_of(options)), display)
    show(report.compared(done), done, options["as_json"], options["quiet"])
    return done.verdict.exit_code


def _context() -> click.Context:
    return click.get_current_context()
