"""``edgekit diff``: list what changed from one ``.tflite`` file to another."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgekit.cli.console import common, console
from edgekit.cli.inspect import layers_option, say


@click.command("diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@layers_option
@common
def command(
    before: Path, after: Path, layers: int | None, as_json: bool, verbose: bool, quiet: bool
) -> int:
    """List what changed from BEFORE.tflite to AFTER.tflite. The exit code is 0 in any case."""
    return show(before, after, layers, as_json, quiet)


def show(before: Path, after: Path, layers: int | None, as_json: bool, quiet: bool) -> int:
    """Compare two files and print the difference."""
    from edgekit import inspection
    from edgekit.converters.inspection import compare, difference_json

    difference = compare(inspection.inspect(before), inspection.inspect(after))
    if as_json:
        click.echo(json.dumps(difference_json(difference), indent=2, allow_nan=False))
        return 0
    if quiet:
        return 0
    from edgekit.report import diff as report
    from edgekit.report import words

    out = console(False)
    title = f"{words.path(before)} to {words.path(after)}"
    say(out, [(title, "bold")])
    if difference.identical:
        say(out, [("the files are identical, byte for byte", "")])
        return 0
    if difference.equal:
        say(out, [("both compute the same: names, order or metadata differ", "")])
    out.print(report.summary_table(difference))
    out.print()
    say(out, report.change_lines(difference))
    if difference.layers and layers != 0:
        out.print()
        out.print(report.layer_table(difference, layers))
    same = f"{len(difference.layers):,} operators changed, {difference.same:,} did not"
    say(out, [(same, "bold")])
    return 0
