"""``edgekit verify``: check a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgekit.cli.console import common


@click.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path))
@common
def command(bundle: Path, as_json: bool, verbose: bool, quiet: bool) -> int:
    """Check BUNDLE: safe paths, every file's digest, and its model against its golden pairs."""
    from edgekit import api

    found = api.verify(bundle)
    manifest = found.manifest
    if as_json:
        answer = {"bundle": str(bundle), "status": "passed", "files": found.files}
        click.echo(json.dumps({**answer, "selftests": dict(found.selftests), "manifest": manifest}))
    elif not quiet:
        click.echo(f"{manifest['name']} {manifest['version']} for {manifest['target']}")
        click.echo(f"  {found.files} files, all as the manifest says")
        for runtime, outcome in found.selftests.items():
            click.echo(f"  self-test on {runtime}: {outcome}")
        click.echo("verified")
    return 0
