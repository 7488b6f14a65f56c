"""``edgekit init``: the example project."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgekit.cli.options import common


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@click.option("--if-missing", is_flag=True, help="Do nothing where the project already exists.")
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
