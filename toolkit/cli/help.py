"""How a command explains itself: its options in sections, with examples to copy."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
# Options without a section of their own, and what every command has.
OWN, GENERAL = "Options", "General"
# The width of the column of options, the same in all sections.
COLUMN = 26


class Option(click.Option):
    """An option that stands in a section of the help.

    ``text`` is its help, or a function that makes it when it is shown: it lists a table of
    edgekit's.
    """

    def __init__(
        self, *names: Any, text: str | Callable[[click.Context], str] = "", **attributes: Any
    ):
        super().__init__(*names, **attributes)
        self.section = ""
        self._text = text

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        self.help = self._text(context) if callable(self._text) else self._text
        return super().get_help_record(context)


class Command(click.Command):
    """A command whose help has examples, each with what it is for, and sections of options."""

    def __init__(
        self, *names: Any, examples: Sequence[tuple[str, str]] = (), **attributes: Any
    ) -> None:
        super().__init__(*names, **attributes)
        self.examples = tuple(examples)

    def format_help_text(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(context, formatter)
        if not self.examples:
            return
        with formatter.section("Examples"):
            for what, line in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}# {what}\n")
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        for title, rows in self._sections(context):
            with formatter.section(title):
                write_rows(formatter, rows, COLUMN)

    def _sections(self, context: click.Context) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        sections: dict[str, list[tuple[str, str]]] = {OWN: [], GENERAL: []}
        for parameter in self.get_params(context):
            if isinstance(parameter, click.Option) and (
                record := parameter.get_help_record(context)
            ):
                title = getattr(parameter, "section", GENERAL) or OWN
                sections.setdefault(title, []).append(record)
        last = sections.pop(GENERAL)
        yield from ((title, rows) for title, rows in sections.items() if rows)
        yield GENERAL, last


def documented(name: str, *examples: tuple[str, str]) -> Callable[[Callable[..., Any]], Command]:
    """Declare a command with its examples: what each is for, and the line to type."""
    return click.command(name, cls=Command, examples=examples)


def write_rows(
    formatter: click.HelpFormatter, rows: Sequence[tuple[str, str]], column: int
) -> None:
    """Write names with their texts in a second column, where no name is broken at its hyphens."""
    margin = formatter.current_indent
    room = max(formatter.width - margin - column - 2, 20)
    for name, text in rows:
        lines = textwrap.wrap(text, room, break_on_hyphens=False)
        first = f"{name:<{column}}  " if len(name) <= column else f"{name}\n"
        begin = "" if len(name) <= column else " " * (margin + column + 2)
        rest = f"\n{'':{margin + column + 2}}".join(lines)
        formatter.write(f"{'':{margin}}{first}{begin}{rest}\n")


def section(title: str, *options: Any) -> Callable[[F], F]:
    """Return a decorator that adds options, in this order, under a title of the help."""

    def add(function: F) -> F:
        before = len(_parameters(function))
        for each in reversed(options):
            function = each(function)
        for parameter in _parameters(function)[before:]:
            if isinstance(parameter, Option) and not parameter.section:
                parameter.section = title
        return function

    return add


def _parameters(function: Any) -> list[click.Parameter]:
    return getattr(function, "__click_params__", [])
