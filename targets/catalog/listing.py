"""What a list shows of a target, read from the head of its TOML file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Listed(NamedTuple):
    """A target's id, its title and the other names that it is called by."""

    id: str
    title: str
    aliases: tuple[str, ...]


def read_listed(name: str, path: Path) -> Listed:
    """Return what a list shows of a TOML file, without parsing the tables that end it."""
    text = path.read_text(encoding="utf-8")
    try:
        # All that stands outside a table comes before the first of them.
        table = tomllib.loads(text.partition("\n[")[0])
    except tomllib.TOMLDecodeError:
        # That bracket was inside an array.
        table = tomllib.loads(text)
    return listed(name, table)


def listed(name: str, table: Mapping[str, Any]) -> Listed:
    """Return what a list shows of a target's table."""
    return Listed(name, table["title"], tuple(table.get("aliases", ())))
