"""``edgekit apply``: a new bundle of an old one and a delta."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.console import print_json
from edgekit.cli.help import documented
from edgekit.cli.options import FILE, common, flag


@documented(
    "apply",
    (
        "the new bundle from the old one and a small download",
        "edgekit apply old.tar.gz update.delta new.tar.gz",
    ),
)
@click.argument("old", type=FILE)
@click.argument("delta", type=FILE)
@click.argument("new", type=FILE)
@flag("--force", "Overwrite NEW.")
@common
def command(
    old: Path, delta: Path, new: Path, force: bool, as_json: bool, verbose: bool, quiet: bool
) -> int:
    """Rebuild the bundle NEW from the bundle OLD and a DELTA of `edgekit bundle --delta-from`.

    What is rebuilt is compared with the digest that the delta tells. `edgekit verify NEW` checks
    the rest: a delta is not signed, the bundle in it is.
    """
    from edgekit import api

    path = api.apply_delta(old, delta, new, force)
    if as_json:
        print_json({"bundle": str(path), "bytes": path.stat().st_size})
    elif not quiet:
        click.echo(f"bundle {path}")
    return 0
