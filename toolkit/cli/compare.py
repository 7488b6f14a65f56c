"""``edgekit compare``: models, precisions, runtimes and devices side by side."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.console import common, progress, project_option
from edgekit.cli.evaluate import absolute, asked_of, options_of, show
from edgekit.cli.options import NOTHING, applied, measured_options, project_of
from edgekit.cli.values import as_drop, as_number, as_share


def budgets(function: Any) -> Any:
    """Return what each other model may differ in from the first."""
    options = (
        click.option(
            "--max-drop",
            callback=as_drop,
            metavar="DROP",
            help="Most that the metric may lose against the first, e.g. 1%.",
        ),
        click.option(
            "--max-flips",
            callback=as_share,
            metavar="SHARE",
            help="Most items that may change their class, e.g. 0.5%.",
        ),
        click.option(
            "--max-changed",
            callback=as_share,
            metavar="SHARE",
            help="Most items of which any output may differ; 0% for equal to the bit.",
        ),
        click.option(
            "--max-error",
            callback=as_number,
            metavar="NUMBER",
            help="Largest difference of any output value.",
        ),
        click.option(
            "--max-slowdown",
            callback=as_share,
            metavar="SHARE",
            help="Most that the median latency may grow against the first, e.g. 5%.",
        ),
    )
    return applied(options, function)


@click.command("compare")
@click.argument("models", nargs=-1, required=True)
@measured_options
@budgets
@click.option("--layers", is_flag=True, help="Where inside the network the two part.")
@click.option(
    "--latency/--no-latency",
    default=None,
    help="Time them too. Default: yes, but not beside TensorFlow, which starts slowly.",
)
@click.option(
    "--launches",
    type=click.IntRange(min=6),
    default=12,
    show_default=True,
    metavar="N",
    help="Fresh launches that are timed, at most.",
)
@project_option
@common
def command(**options: Any) -> int:
    """Set MODELS on every --device beside the first: accuracy, parity, latency, size.

    The first model on the first device is what the others are compared with. One model and
    several devices make the runtime matrix. MODELS are as `edgekit evaluate` takes them.
    """
    from edgekit import api
    from edgekit.report import measurements as report

    models = [absolute(model) for model in options["models"]]
    if len(models) * max(1, len(options["devices"])) < 2:
        raise click.UsageError("name a second model, or a second --device", _context())
    project = project_of({**NOTHING, **options, "model": models[0]})
    named = ("max_drop", "max_flips", "max_changed", "max_error", "max_slowdown")
    asked = asked_of(
        options,
        layers=options["layers"],
        latency=options["latency"],
        launches=options["launches"],
        **{name: options[name] for name in named},
    )
    with progress(options["quiet"]) as shown:
        done = api.compare(project, models, asked, api.Options(**options_of(options)), shown)
    show(report.compared(done), done, options["as_json"], options["quiet"])
    return done.verdict.exit_code


def _context() -> click.Context:
    return click.get_current_context()
