"""``edgekit verify``: check a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgekit.cli.console import common
from edgekit.errors import ExitCode
from edgekit.types import Status


@click.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path))
@common
def command(bundle: Path, as_json: bool, verbose: bool, quiet: bool) -> int:
    """Check BUNDLE: safe paths, every file's digest, and its model against its golden pairs."""
    from edgekit import api

    found = api.verify(bundle)
    manifest = found.manifest
    if as_json:
        status = Status.PASSED if found.tested else Status.UNAVAILABLE
        answer = {"bundle": str(bundle), "status": status.value, "files": found.files}
        click.echo(json.dumps({**answer, "selftests": dict(found.selftests), "manifest": manifest}))
    elif not quiet:
        click.echo(f"{manifest['name']} {manifest['version']} for {manifest['target']}")
        click.echo(f"  {found.files} files, all as the manifest says; nothing signs the manifest")
        for runtime, outcome in found.selftests.items():
            click.echo(f"  self-test on {runtime}: {outcome}")
        if found.tested:
            click.echo("verified")
    if not found.tested:
        message = "not verified: the files are whole, but no runtime here ran the self-test"
        click.echo(message, err=True)
        click.echo("  edgekit devices says which runtimes work here", err=True)
    return int(ExitCode.PASSED if found.tested else ExitCode.UNAVAILABLE)
