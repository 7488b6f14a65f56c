"""The devices that work now, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from edgekit.report.grid import Grid, Row, grid
from edgekit.types import Status

if TYPE_CHECKING:
    from edgekit.targets.devices.entry import InventoryEntry

HEADINGS = ("device", "works", "version", "what")
DROP = ("version",)
ABSENT = "absent"


def table(entries: Iterable[InventoryEntry], default: str) -> Grid:
    """Build the table of devices; ``default`` is the one that is meant where none is named."""
    return grid([(title, "") for title in HEADINGS], (_row(one, default) for one in entries), DROP)


def _row(entry: InventoryEntry, default: str) -> Row:
    works = entry.status is Status.PASSED
    about = [entry.message, *filter(None, [entry.environment, entry.address])]
    if entry.name == default:
        about.append("the default device, local")
    cells = (
        entry.name,
        "ok" if works else entry.status.value,
        entry.version or ABSENT,
        "; ".join(about),
    )
    return Row(tuple((text, "") for text in cells), "" if works else "red", whole=True)
