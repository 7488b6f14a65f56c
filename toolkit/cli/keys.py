"""``edgekit keys``: the key pair that bundles are signed and checked with."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.console import print_json
from edgekit.cli.help import documented
from edgekit.cli.options import common, flag

DEFAULT = "edgekit-key.pem"


@documented(
    "keys",
    ("key.pem to sign with, key.pem.pub to check with", "edgekit keys new key.pem"),
)
@click.argument("action", type=click.Choice(["new"]))
@click.argument("file", required=False, default=DEFAULT, type=click.Path(path_type=Path))
@flag("--force", "Overwrite a key; what it signed is then foreign.")
@common
def command(action: str, file: Path, force: bool, as_json: bool, verbose: bool, quiet: bool) -> int:
    """Make a key pair to sign bundles with.

    \b
    new [FILE]   write an Ed25519 key to FILE (default: edgekit-key.pem), and FILE.pub

    Keep FILE secret: it has no password, and who has it can sign in your name. FILE.pub is for
    everybody who checks bundles.
    """
    from edgekit import api

    key = api.new_key(file, force)
    if as_json:
        print_json({"private": str(file), "public": str(key.path), "fingerprint": key.fingerprint})
    elif not quiet:
        click.echo(f"private key {file} (mode 0600): keep it secret, and out of version control")
        click.echo(f"public key  {key.path}")
        click.echo(f"fingerprint {key.fingerprint}")
    return 0
