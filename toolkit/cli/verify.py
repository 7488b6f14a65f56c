"""``edgekit verify``: verify a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgekit.cli.options import common
from edgekit.errors import ExitCode
from edgekit.types import Status


@click.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path))
@common
def command(bundle: Path, as_json: bool, verbose: bool, quiet: bool) -> int:
    """Verify BUNDLE: safe paths, every file's digest, and its model against its golden pairs."""
    from edgekit import api

    verified = api.verify(bundle)
    manifest = verified.manifest
    if as_json:
        status = Status.PASSED if verified.tested else Status.UNAVAILABLE
        answer = {"bundle": str(bundle), "status": status.value, "files": verified.files}
        click.echo(
            json.dumps({**answer, "selftests": dict(verified.selftests), "manifest": manifest})
        )
    elif not quiet:
        click.echo(f"{manifest['name']} {manifest['version']} for {manifest['target']}")
        click.echo(f"  {verified.files} files, all as in the manifest; the manifest is not signed")
        for runtime, outcome in verified.selftests.items():
            click.echo(f"  self-test on {runtime}: {outcome}")
        if verified.tested:
            click.echo("verified")
    if not verified.tested:
        message = "not verified: the files are intact, but no runtime here could run the self-test"
        click.echo(message, err=True)
        click.echo("  `edgekit devices` lists the runtimes that work here", err=True)
    return int(ExitCode.PASSED if verified.tested else ExitCode.UNAVAILABLE)
