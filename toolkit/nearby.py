"""What lies near a path that is not there: the name that was meant, or what there is."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from edgekit.errors import did_you_mean
from edgekit.quantities import listed

# How many files a message names, and among how many the nearest is looked for.
MOST, SOUGHT = 8, 10_000
# Of names that end alike half is alike already.
ALIKE = 0.6


def beside(path: Path) -> str:
    """Return what lies where a path goes wrong: the nearest name, else what there is.

    Empty where that cannot be read.
    """
    there = path
    try:
        while not there.parent.is_dir():
            there = there.parent
        entries = islice(there.parent.iterdir(), SOUGHT)
        names = sorted(one.name for one in entries if not one.name.startswith("."))
    except OSError:
        return ""
    folder = "this folder" if there.parent == Path() else there.parent
    if near := did_you_mean(there.name, names, ALIKE):
        return f"{folder} has no {there.name}{near}"
    return f"{folder} holds {listed(names, MOST) or 'nothing'}"


def hint(path: Path, *more: str) -> str:
    """Return what to do about a path that is not there: what is near it, then what else helps."""
    return "\n".join(line for line in (beside(path), *more) if line)
