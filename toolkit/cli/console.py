"""What commands share: where text goes, how progress is shown, and the common options."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import click

from edgekit.types import Progress, Silent

F = TypeVar("F", bound=Callable[..., Any])


def common(function: F) -> F:
    """Add the options that every command takes."""
    options = (
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            help="Print JSON on stdout, everything else on stderr.",
        ),
        click.option("-v", "--verbose", is_flag=True, help="Print more details."),
        click.option("-q", "--quiet", is_flag=True, help="Print only the result."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def project_option(function: F) -> F:
    """Add ``--project FILE``."""
    return click.option(
        "--project",
        "project_file",
        type=click.Path(path_type=Path),
        default=None,
        cls=_Project,
    )(function)


class _Project(click.Option):
    """The project file: a command that is given MODEL reads it only where it is named."""

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        names = {parameter.name for parameter in context.command.params}
        if "models" in names:
            self.help = "The project file. Default: none."
        else:
            alone = ", unless MODEL is given" if "model" in names else ""
            self.help = f"The project file. Default: ./edgekit.toml{alone}."
        return super().get_help_record(context)


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
