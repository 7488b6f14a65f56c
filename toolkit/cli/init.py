"""``edgekit init``: the example project, or one around a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import progress, say
from edgekit.cli.help import documented, section
from edgekit.cli.options import common, flag, opening_options, option, preparation_options
from edgekit.cli.project import project_of

DEFAULT = "digits"


def _recipes() -> list[tuple[str, str]]:
    from edgekit.example import RECIPES

    return [(name, recipe.title) for name, recipe in RECIPES.items()]


@documented(
    "init",
    ("the example project: handwritten digits", "edgekit init demo"),
    ("pictures in folders: images, audio, csv, segmentation", "edgekit init demo --recipe images"),
    ("a project around a model of yours", "edgekit init --from model.keras --data test.npz"),
    ("in a folder of its own", "edgekit init shop --from model.tflite --data pictures/"),
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@option(
    "--from MODEL",
    "Write a project around this model, of what looking at it finds.",
    "model",
    shell_complete=completers.model,
)
@option(
    "--recipe NAME",
    "Which project: digits (default), images, audio, csv, segmentation.",
    shell_complete=completers.names(_recipes),
)
@flag("--force", "Overwrite existing files.")
@flag("--if-missing", "Do nothing where the project already exists.")
@section(
    "With --from",
    option(
        "--data FILE",
        "Labelled items to find task, scaling and labels by: .npz, .csv, a folder, data.py:test.",
        "evaluate_data",
        shell_complete=completers.data,
    ),
    option("--labels FILE|NAMES", "Class names in the order of the outputs.", "class_names"),
    option("--label-column NAME", "Column with the labels of a CSV or TFRecord."),
)
@preparation_options
@opening_options
@common
def command(folder: Path, recipe: str | None, force: bool, if_missing: bool, **options: Any) -> int:
    """Write a project into FOLDER: edgekit.toml, and without --from model.py and data.py.

    A recipe is a whole project with data of its own, to begin from; put your data in its place.

    With --from the project is around a MODEL that `edgekit convert` takes: its inputs and outputs,
    the targets that fit, and with --data the task, the scaling and the labels, each with a comment
    that says why. A function of yours is run with --trust alone.
    """
    from edgekit import api

    file = folder / "edgekit.toml"
    given = options["model"] is not None
    _check(options, given)
    if recipe and given:
        raise click.UsageError(
            "--recipe is a project of its own, --from is around a model: say one"
        )
    if not (if_missing and file.exists()):
        if given:
            project = project_of({**options, "project_file": None, "quiet": True})
            with progress(options["quiet"]) as display:
                file = api.init_from(project, folder, force, options["trust"], display)
        else:
            file = api.init(folder, force, recipe or DEFAULT)
    if options["as_json"]:
        click.echo(json.dumps({"project": str(file)}))
    elif not options["quiet"]:
        _show(folder / "edgekit.toml", options, recipe or DEFAULT, given)
    return 0


def _check(options: dict[str, Any], given: bool) -> None:
    """Refuse options that say something of a model, without one."""
    names = {
        "evaluate_data": "--data",
        "class_names": "--labels",
        "label_column": "--label-column",
        "weights": "--weights",
        "signature": "--signature",
        "custom_objects": "--custom-objects",
        "trust": "--trust",
    }
    stated = next((name for key, name in names.items() if options[key]), None)
    if stated and not given:
        raise click.UsageError(f"{stated} is of a model: say which with --from MODEL")


def _show(file: Path, options: dict[str, Any], recipe: str, given: bool) -> None:
    """Say what was written, and the command that comes next."""
    said = f"edgekit convert --project {file}"
    if not given:
        from edgekit.example import RECIPES

        say(f"{file.parent}: {', '.join((*RECIPES[recipe].files, *RECIPES[recipe].made))}")
    else:
        say(f"{file}: what was found stands beside each line")
        if options["evaluate_data"] is None:
            say("no data was named: [data] says what is missing, and how to add it")
            said += " --no-evaluate"
        said += " --trust" if options["trust"] else ""
    say(f"next: {said}")
