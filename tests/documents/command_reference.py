"""The page of every command and option, from Click's own declarations."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
from cells import cell

from edgekit.cli.main import COMMANDS, group

HEAD = """\
# Every command and option

`edgekit COMMAND --help` says the same. Exit codes are [the gate's](../gate.md#exit-codes). Options
of the command line go before [the project file](edgekit-toml.md).

`python tests/documents/pages.py` writes this page from `toolkit/cli/`; a test holds it against the
code.

| command | what it does |
| --- | --- |
"""
# Click's mark for what it does not fold; texts fold by themselves on a page.
NO_WRAP = "\b"


def page() -> str:
    """Return the whole page."""
    index = "".join(
        f"| [`edgekit {name}`](#edgekit-{name}) | {text} |\n" for name, text in COMMANDS.items()
    )
    with click.Context(group, info_name="edgekit", max_content_width=2000) as root:
        sections = "".join(_section(command, context) for command, context in _walk(group, root))
    return HEAD + index + sections


def _walk(
    command: click.Command, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield the commands below a group, each before those below it."""
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        below = click.Context(inner, info_name=name, parent=context)
        yield inner, below
        yield from _walk(inner, below)


def _section(command: click.Command, context: click.Context) -> str:
    level = "##" if context.parent and context.parent.parent is None else "###"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    about = inspect.cleandoc(command.help or "").replace(NO_WRAP, "")
    rows = "".join(_rows(command, context))
    table = f"\n| option | what it does |\n| --- | --- |\n{rows}" if rows else ""
    shown = "".join(
        f"    # {what}\n    {line}\n" for what, line in getattr(command, "examples", ())
    )
    examples = f"\n{shown}" if shown else ""
    return f"\n{level} {context.command_path}\n\n    {usage}\n\n{about}\n{examples}{table}"


def _rows(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None or not record[1] or "--help" in parameter.opts:
            continue
        names, text = (" ".join(part.split()) for part in record)
        yield f"| {cell(f'`{names}`')} | {cell(text.replace('<', '&lt;'))} |\n"
