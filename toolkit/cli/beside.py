"""The project file beside the user, which a command that is given MODEL does not read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Tables of tables under names of the user's.
NAMED = ("targets", "devices")


def tell_of_unread(file: str) -> None:
    """Say on standard error what a project file of this folder would have given, if there is one.

    One that holds no more than a model's source would have given nothing, and is not spoken of.
    """
    try:
        table = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except OSError:
        return
    except (ValueError, RecursionError):
        held = "something that is not valid TOML"
    else:
        held = "; ".join(_held(table))
    if held:
        message = f"{file} of this folder is not read, because MODEL is given; it holds {held}"
        click.echo(f"info EK-NOTE-081: {message}", err=True)
        click.echo(f"  to take what it says, for this model: --project {file}", err=True)


def _held(table: Mapping[str, Any]) -> Iterator[str]:
    """Each table that says something besides the model's source, with its keys."""
    for name, inner in table.items():
        if not isinstance(inner, dict):
            yield _shown(name)
        elif name in NAMED:
            yield from (f"[{name}.{_shown(one)}]" for one in inner)
        elif keys := [_shown(key) for key in inner if (name, key) != ("model", "source")]:
            yield f"[{_shown(name)}] {', '.join(keys)}"


def _shown(key: str) -> str:
    """A key of somebody's file, on one line and of bounded length."""
    return repr(key[:60])[1:-1]
