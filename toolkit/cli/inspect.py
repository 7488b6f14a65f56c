"""``edgekit inspect``: what a ``.tflite`` file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import console, print_json, print_lines
from edgekit.cli.help import documented
from edgekit.cli.options import common, file_signature_option, option


class RowCount(click.ParamType):  # type: ignore[type-arg]
    """A number of rows, or ``all``, which is None."""

    name = "N|all"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        if value == "all":
            return None
        if not str(value).isdecimal():
            self.fail(f"{value!r} is neither a number nor 'all'", param, ctx)
        return int(value)


def layers_option(function: Any) -> Any:
    """Add ``--layers N|all``."""
    return option(
        "--layers",
        "Number of layers to list, largest first; 'all' lists them in execution order.",
        type=RowCount(),
        default="10",
        show_default=True,
    )(function)


@documented(
    "inspect",
    ("what a file holds, and where it runs", "edgekit inspect model.tflite"),
    ("every layer, in the order of execution", "edgekit inspect model.tflite --layers all"),
)
@click.argument("model", type=click.Path(path_type=Path), shell_complete=completers.tflite)
@click.argument(
    "other", required=False, type=click.Path(path_type=Path), shell_complete=completers.tflite
)
@layers_option
@file_signature_option
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
    """Explain MODEL.tflite; with OTHER, list what changed from MODEL to OTHER.

    Findings never change the exit code: 2 is for a file that cannot be read.
    """
    if other is not None and signature is not None:
        raise click.UsageError("--signature works with one file; two files are compared as a whole")
    if other is not None:
        return show(model, other, layers, as_json, quiet)
    from edgekit import api
    from edgekit.converters.inspection import to_json
    from edgekit.inspection import fits_json

    inspected = api.inspect(model, signature)
    targets = api.fits(inspected)
    if as_json:
        answer = {**to_json(inspected), "targets": fits_json(targets)}
        print_json(answer)
    elif quiet:
        from edgekit.report.inspection import finding_lines

        severe = [one for one in inspected.findings if one.severity != "info"]
        say(console(False), finding_lines(severe, verbose))
    else:
        _print(inspected, targets, layers, verbose)
    return 0


def _print(inspected: Any, targets: Any, layers: int | None, verbose: bool) -> None:
    from edgekit.report import fit_board
    from edgekit.report import inspection as report

    out = console(False)
    say(out, report.head_lines(inspected))
    say(out, report.runtime_lines(inspected.runtime))
    say(out, report.precision_lines(inspected))
    say(out, report.weight_lines(inspected))
    out.print()
    out.print(report.operator_table(inspected))
    if layers != 0 and (inspected.weights or (layers is None and inspected.layers)):
        out.print()
        out.print(report.layer_table(inspected, layers))
    out.print()
    say(out, fit_board.summary(targets))
    if inspected.findings:
        out.print()
    say(out, report.finding_lines(inspected.findings, verbose))


def show(before: Path, after: Path, layers: int | None, as_json: bool, quiet: bool) -> int:
    """Compare two files and print the difference."""
    from edgekit import inspection
    from edgekit.converters.inspection import compare, difference_json

    difference = compare(inspection.inspect(before), inspection.inspect(after))
    if as_json:
        print_json(difference_json(difference))
        return 0
    from edgekit.report import diff as report
    from edgekit.report import words

    out = console(False)
    same = f"{len(difference.layers):,} operators changed, {difference.same:,} did not"
    if quiet:
        identical = "the files are identical, byte for byte"
        say(out, [(identical if difference.identical else same, "bold")])
        return 0
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
    say(out, [(same, "bold")])
    return 0


def say(out: Any, lines: Any) -> None:
    """Print lines with their styles; control characters and markup in a file have no effect."""
    shown = [("".join(c if c.isprintable() else "?" for c in line), style) for line, style in lines]
    print_lines(out, shown)
