"""``edgekit diff``: list what changed from one ``.tflite`` file to another."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli import completers
from edgekit.cli.help import documented
from edgekit.cli.inspect import layers_option, show
from edgekit.cli.options import common


@documented(
    "diff",
    ("what a new version changed", "edgekit diff before.tflite after.tflite --layers all"),
)
@click.argument("before", type=click.Path(path_type=Path), shell_complete=completers.tflite)
@click.argument("after", type=click.Path(path_type=Path), shell_complete=completers.tflite)
@layers_option
@common
def command(
    before: Path, after: Path, layers: int | None, as_json: bool, verbose: bool, quiet: bool
) -> int:
    """List what changed from BEFORE.tflite to AFTER.tflite. The exit code is 0 in any case."""
    return show(before, after, layers, as_json, quiet)
