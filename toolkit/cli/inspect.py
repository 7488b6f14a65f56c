"""``edgekit inspect``: what a ``.tflite`` file holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import common, console


class RowCount(click.ParamType):  # type: ignore[type-arg]
    """A number of rows, or ``all``, which is None."""

    name = "N|all"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        if value == "all":
            return None
        if not str(value).isdecimal():
            self.fail(f"{value!r} is no number of rows, nor 'all'", param, ctx)
        return int(value)


def layers_option(function: Any) -> Any:
    """``--layers N|all``."""
    return click.option(
        "--layers",
        type=RowCount(),
        default="10",
        show_default=True,
        help="How many layers to list, largest first; 'all' in execution order.",
    )(function)


def signature_option(function: Any) -> Any:
    """``--signature NAME``."""
    return click.option(
        "--signature",
        metavar="NAME",
        help="Of a file's several one alone, as it converts. Default: the whole file.",
    )(function)


@click.command("inspect")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("other", required=False, type=click.Path(path_type=Path))
@layers_option
@signature_option
@common
def command(
    model: Path,
    other: Path | None,
    layers: int | None,
    signature: str | None,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """Explain MODEL.tflite; with OTHER, say what changed from MODEL to OTHER.

    What is found never changes the exit code: 2 is for a file that cannot be read.
    """
    if other is not None and signature is not None:
        raise click.UsageError("--signature goes with one file, and two are compared whole")
    if other is not None:
        from edgekit.cli.diff import show

        return show(model, other, layers, as_json, quiet)
    from edgekit import api
    from edgekit.converters.inspection import to_json
    from edgekit.inspection import fits_json

    found = api.inspect(model, signature)
    targets = api.fits(found)
    if as_json:
        answer = {**to_json(found), "targets": fits_json(targets)}
        click.echo(json.dumps(answer, indent=2, allow_nan=False))
    elif not quiet:
        _print(found, targets, layers, verbose)
    return 0


def _print(found: Any, targets: Any, layers: int | None, verbose: bool) -> None:
    from edgekit.report import inspection as report

    out = console(False)
    say(out, report.head_lines(found))
    say(out, report.runtime_lines(found.runtime))
    say(out, report.precision_lines(found))
    say(out, report.weight_lines(found))
    out.print()
    out.print(report.operator_table(found))
    if layers != 0 and (found.weights or (layers is None and found.layers)):
        out.print()
        out.print(report.layer_table(found, layers))
    out.print()
    say(out, report.target_lines(targets))
    if found.findings:
        out.print()
    say(out, report.finding_lines(found.findings, verbose))


def say(out: Any, lines: Any) -> None:
    """Print lines with their styles; text of a file is never markup, nor moves the cursor."""
    for line, style in lines:
        text = "".join(one if one.isprintable() else "?" for one in line)
        out.print(text, style=style, markup=False, soft_wrap=True)
