"""What commands share: where text and JSON go, and how progress is shown."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import click

from edgekit.types import Progress, Silent


def console(as_json: bool) -> Any:
    """Return a rich console: stdout, or stderr where JSON goes to stdout."""
    from rich.console import Console

    from edgekit.report import words

    class UncroppedConsole(Console):
        """A console that cuts no line: a table through a pipe may be wider than a screen."""

        def print(self, *objects: Any, **options: Any) -> None:
            super().print(*objects, **{"crop": False, **options})

    file = sys.stderr if as_json else sys.stdout
    width = shutil.get_terminal_size().columns if file.isatty() else words.WIDTH
    return UncroppedConsole(file=file, width=width, highlight=False)


def print_lines(out: Any, lines: Iterable[tuple[str, str | None]]) -> None:
    """Print lines in their styles; markup in them has no effect, and none is cut."""
    for line, style in lines:
        out.print(line, style=style or None, markup=False, soft_wrap=True)


def print_json(answer: Any) -> None:
    """Print a document as JSON on stdout."""
    click.echo(json.dumps(answer, indent=2, allow_nan=False))


class ProgressDisplay:
    """Progress as a bar on a terminal, and as a line per stage elsewhere; on standard error."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(file=sys.stderr, highlight=False)
        self._stack = ExitStack()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> ProgressDisplay:
        if self._console.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = self._stack.enter_context(
                Progress(
                    TextColumn("{task.description:<12}"),
                    BarColumn(24),
                    TimeElapsedColumn(),
                    TextColumn("{task.fields[text]}"),
                    console=self._console,
                    transient=True,
                )
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def stage(self, name: str) -> None:
        if self._bar is None:
            click.echo(f"{name} ...", err=True)
            return
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(name, total=None, text="")

    def update(self, done: float, total: float, text: str) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, text=text[:60])


def progress(quiet: bool) -> Any:
    """Return a context manager that yields what shows progress; nothing where quiet."""
    from contextlib import nullcontext

    silent: Progress = Silent()
    return nullcontext(silent) if quiet else ProgressDisplay()
