"""``edgekit export``: the SavedModel of a model, with its signatures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import console, print_json, print_lines, progress
from edgekit.cli.help import documented, section
from edgekit.cli.options import (
    OUTPUT,
    common,
    flag,
    force_option,
    model_option,
    opening_options,
    option,
    output_option,
    project_option,
)
from edgekit.cli.project import project_of

# A stage that copies, which takes no time worth a line.
PLACED = "place model"


@documented(
    "export",
    ("the model of this folder's project", "edgekit export"),
    ("any model that TensorFlow is to serve or load", "edgekit export model.keras --output served"),
)
@click.argument("model", required=False, shell_complete=completers.model)
@opening_options
@section(
    "Model",
    option(
        "--data FILE",
        "Items whose size settles what the model leaves free.",
        "evaluate_data",
        shell_complete=completers.data,
    ),
    flag("--unroll", "Unroll recurrent layers."),
)
@section(OUTPUT, output_option, force_option)
@project_option
@model_option
@common
def command(**options: Any) -> int:
    """Write the SavedModel of MODEL to build/NAME/saved_model, and list its signatures.

    MODEL is as for `edgekit convert`; without it, the project's. A function of yours is built, and
    trained where the project names training data.
    """
    from edgekit import api

    project = project_of(options)
    names = ("output", "force", "trust")
    run = api.Options(**{name: options[name] for name in names})
    with progress(options["quiet"]) as display:
        done = api.export(project, run, display)
    show(done, options)
    return 0


def show(done: Any, options: dict[str, Any]) -> None:
    """Print what was made, or taken from the store, and where it lies."""
    if options["as_json"]:
        from edgekit.report import plain

        print_json(plain(done))
    print_lines(console(options["as_json"]), _lines(done, options["verbose"], options["quiet"]))


def _lines(done: Any, verbose: bool, quiet: bool) -> Iterator[tuple[str, str | None]]:
    from edgekit.report import words

    if not quiet:
        for stage in done.stages:
            if stage.name != PLACED or verbose:
                spent = "from the store" if stage.cached else f"{stage.seconds:.1f} s"
                yield f"{stage.name}: {spent}", None
        if done.figures:
            figures = ", ".join(f"{name} {value:.4g}" for name, value in done.figures.items())
            kept = f"best epoch {done.best_epoch}" if done.best_epoch else "last epoch"
            yield f"{kept} of {done.epochs}: {figures}", None
        yield from _trained(done)
        yield from ((line, "dim") for line in words.training(done.training))
        for signature in done.signatures:
            yield f"signature {signature.name}", None
            for kind, specs in (("in ", signature.inputs), ("out", signature.outputs)):
                for spec in specs:
                    yield f"  {kind} {spec.name}: {spec.dtype} {_shape(spec.shape)}", "dim"
        for advice in done.advice:
            style = "yellow" if advice.severity == "warning" else "dim"
            yield f"{advice.severity} {advice.code}: {advice.message}", style
            if advice.fix:
                yield f"  {advice.fix}", style
    for path in done.files.values():
        yield words.path(path), "bold"
    if done.logs and not quiet:
        yield f"to look at it: tensorboard --logdir {words.path(done.logs)}", "dim"


def _trained(done: Any) -> Iterator[tuple[str, str | None]]:
    """Say of each stage of a training which of its epochs it had, and how much it trained."""
    begin = 1
    for number, stage in enumerate(done.trained_stages, 1):
        name, end = f" ({stage.name})" if stage.name else "", begin + stage.epochs - 1
        which = f"epochs {begin} to {end}" if end > begin else f"epoch {begin}"
        yield f"stage {number}{name}: {which}, {stage.trained:,} of {stage.weights:,} weights", None
        begin = end + 1


def _shape(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('N' if size is None else str(size) for size in shape)}]"
