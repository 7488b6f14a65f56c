"""What commands share: where text and JSON go, and how progress is shown."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable
from typing import IO, Any

import click

from edgekit.types import Progress, Silent
from edgekit.wrapping import WIDTH, laid_out


def console(as_json: bool) -> Any:
    """Return a rich console: stdout, or stderr where JSON goes to stdout."""
    from rich.console import Console

    class AdaptingConsole(Console):
        """A console that cuts no line; tables ask it how they are to be laid out.

        ``edge`` says that a line must not be wider than the console: on a terminal, not in a pipe.
        ``verbose`` says that everything is to be shown.
        """

        edge = False
        verbose = False

        def print(self, *objects: Any, **options: Any) -> None:
            super().print(*objects, **{"crop": False, **options})

    file = sys.stderr if as_json else sys.stdout
    out = AdaptingConsole(file=file, width=_columns(file), highlight=False)
    out.edge = file.isatty()
    context = click.get_current_context(silent=True)
    out.verbose = bool(context and context.params.get("verbose"))
    return out


def _columns(file: IO[str]) -> int:
    """Return how wide a terminal is; elsewhere, how wide names and words of a table may go."""
    return shutil.get_terminal_size((WIDTH, 24)).columns if file.isatty() else WIDTH


def print_lines(out: Any, lines: Iterable[tuple[str, str | None]]) -> None:
    """Print lines in their styles; markup in them has no effect, and none is cut.

    On a terminal they are wrapped between words; in a pipe each stays one line.
    """
    for line, style in lines:
        for part in laid_out(line, out.width if out.edge else None):
            out.print(part, style=style or None, markup=False, soft_wrap=True)


def tell(lines: Iterable[tuple[str, str | None]], as_json: bool) -> None:
    """Print lines in their styles; where no styles are seen, without the time that rich takes."""
    file = sys.stderr if as_json else sys.stdout
    if file.isatty() or os.environ.get("FORCE_COLOR"):
        print_lines(console(as_json), lines)
        return
    for line, _ in lines:
        click.echo(line, file=file)


def say(text: str, err: bool = False) -> None:
    """Print a text as it is; on a terminal, wrapped between words."""
    file = sys.stderr if err else sys.stdout
    for line in laid_out(text, _columns(file) if file.isatty() else None):
        click.echo(line, err=err)


def print_json(answer: Any) -> None:
    """Print a document as JSON on stdout."""
    click.echo(json.dumps(answer, indent=2, allow_nan=False))


def progress(quiet: bool) -> Any:
    """Return a context manager that yields what shows progress; nothing where quiet."""
    if quiet:
        from contextlib import nullcontext

        silent: Progress = Silent()
        return nullcontext(silent)
    from edgekit.cli.progress import shown

    return shown()
