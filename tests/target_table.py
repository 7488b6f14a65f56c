"""The catalog's table of docs/targets.md: ``python tests/target_table.py docs/targets.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from edgekit.report import words
from edgekit.targets import catalog
from edgekit.targets.catalog import Target

TITLES = (
    "target",
    "what, and its other names",
    "RAM, flash",
    "runtimes",
    "best precisions",
    "bundles",
)
BEGIN, END = "<!-- targets -->", "<!-- end of targets -->"


def rows() -> Iterator[str]:
    yield f"| {' | '.join(TITLES)} |"
    yield f"| {' | '.join('---' for _ in TITLES)} |"
    for name in sorted(catalog.SHIPPED):
        target = catalog.load(name)
        aliases = f" ({', '.join(f'`{alias}`' for alias in target.aliases)})"
        cells = (
            f"`{name}`",
            f"{target.title}{aliases if target.aliases else ''}",
            memory(target),
            ", ".join(f"{r.name} {r.versions or r.version}" for r in target.runtimes),
            ", ".join(target.precisions),
            ", ".join(target.bundles),
        )
        yield f"| {' | '.join(cells)} |"


def memory(target: Target) -> str:
    parts = [
        words.binary(part) if part is not None else words.NONE
        for part in (target.memory.ram, target.memory.flash)
    ]
    return ", ".join(parts) if set(parts) != {words.NONE} else ""


def filled(text: str) -> str:
    """Return a page with the table of today's catalog."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    table = "\n".join(rows())
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
