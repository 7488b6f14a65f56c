"""Words of a report: quantities, paths, and how wide a line of text is."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.quantities import NO_INTERVAL as NO_INTERVAL
from edgekit.quantities import NONE as NONE
from edgekit.quantities import binary as binary
from edgekit.quantities import bounds_nothing as bounds_nothing
from edgekit.quantities import duration as duration
from edgekit.quantities import exact as exact
from edgekit.quantities import in_points as in_points
from edgekit.quantities import interval as interval
from edgekit.quantities import listed as listed
from edgekit.quantities import number as number
from edgekit.quantities import points as points
from edgekit.quantities import ratio as ratio
from edgekit.quantities import share as share
from edgekit.quantities import size as size
from edgekit.quantities import value as value
from edgekit.types import Json, TargetResult

# Before a latency that is an estimate.
ESTIMATE = "~"
WIDTH = 100


def task(settings: Mapping[str, Json]) -> str:
    """Name the detected task and its reason; empty where the user's own function judged."""
    detected = settings.get("task")
    return f"task: {detected['name']}, because {detected['reason']}" if detected else ""


def training(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Say of what data a model was trained, with which seed, in how many steps, where and how long;
    nothing of a model that was not.
    """
    if not facts:
        return ()
    data, machine = facts["data"], facts["hardware"]
    held = facts["validation_items"]
    aside = f", {held:,} to validate on" if held else ""
    return (
        f"trained on {facts['items']:,} items of {data['source']} ({data['digest'][:12]}){aside}",
        f"seed {facts['seed']}, {facts['epochs']:,} epochs, {facts['steps']:,} steps of"
        f" {facts['batch_size']:,} items, {facts['seconds']:.1f} s",
        f"on {machine['cpus']} cores, {machine['processor']}, {binary(machine['memory_bytes'])},"
        f" {machine['system']}",
    )


def ships(target: TargetResult) -> str:
    """Tell what a target ships and what runs it; where nothing, what runs the nearest candidate."""
    if target.candidate:
        return f"ships {target.candidate}; {target.fit}"
    nearest = next((check.candidate for check in target.checks if check.candidate), "")
    known = nearest and target.fit not in ("not tried", "not executed")
    return f"ships nothing; {nearest}: {target.fit}" if known else f"ships nothing; {target.fit}"


def path(full: Path) -> str:
    """Return a path relative to the current folder where it is below it."""
    here = Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)


def columns() -> int:
    """Return the width of a line of text: 100, or a narrower terminal's."""
    if not sys.stdout.isatty():
        return WIDTH
    return min(WIDTH, shutil.get_terminal_size().columns)


def shortened(name: str, width: int) -> str:
    """Shorten a long name to its end, where paths differ."""
    return name if len(name) <= width else f"…{name[1 - width :]}"
