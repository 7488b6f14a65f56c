"""``edgekit init``: the example project."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgekit.cli.help import documented
from edgekit.cli.options import common, flag


@documented(
    "init",
    ("the example project: handwritten digits", "edgekit init demo"),
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@flag("--force", "Overwrite existing files.")
@flag("--if-missing", "Do nothing where the project already exists.")
@common
def command(
    folder: Path, force: bool, if_missing: bool, as_json: bool, verbose: bool, quiet: bool
) -> int:
    """Write a small working project into FOLDER: edgekit.toml, model.py and data.py."""
    from edgekit import api

    file = folder / "edgekit.toml"
    if not (if_missing and file.exists()):
        file = api.init(folder, force)
    if as_json:
        click.echo(json.dumps({"project": str(file)}))
    elif not quiet:
        click.echo(f"{file.parent}: edgekit.toml, model.py, data.py")
        click.echo(f"next: edgekit convert --project {file}")
    return 0
