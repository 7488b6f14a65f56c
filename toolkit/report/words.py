"""Quantities in words: sizes, times, metrics with their intervals."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from edgekit.types import Json, Measurement

NONE = "–"
# Before a latency that is an estimate.
ESTIMATE = "~"
WIDTH = 100


def task(settings: Mapping[str, Json]) -> str:
    """Return what the model was judged as, and why; empty where a function of the user's judged
    it.
    """
    found = settings.get("task")
    return f"task: {found['name']}, because {found['reason']}" if found else ""


def path(full: Path) -> str:
    """Return a path as the user would type it from where they stand, where that is shorter."""
    here = Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)


def columns() -> int:
    """Tell how wide a line of text may be: 100, or what a narrower terminal has."""
    if not sys.stdout.isatty():
        return WIDTH
    return min(WIDTH, shutil.get_terminal_size().columns)


def shortened(name: str, width: int) -> str:
    """Return the end of a long name: paths differ there."""
    return name if len(name) <= width else f"…{name[1 - width :]}"


def size(count: float) -> str:
    """Return bytes as kB or MB (1000); small ones, which arenas and limits are copied from, one
    by one.
    """
    if count < 10_000:
        return exact(count)
    if count < 1e6:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e6:.2f} MB"


def exact(count: float) -> str:
    """Return bytes one by one: a size that is copied, or held against a limit, must not be
    rounded.
    """
    return f"{count:,.0f} B"


def duration(measured: Measurement | None) -> str:
    """Return nanoseconds as µs or ms."""
    if measured is None or measured.value is None:
        return NONE
    value = measured.value
    if value < 1e6:
        return f"{value / 1e3:.3g} µs" if value < 1e5 else f"{value / 1e3:.0f} µs"
    return f"{value / 1e6:.3g} ms" if value < 1e9 else f"{value / 1e9:.3g} s"


def value(measured: Measurement | None, bounded: bool) -> str:
    """Return a metric: per cent where it lies in 0..1."""
    if measured is None or measured.value is None:
        return NONE
    return f"{measured.value * 100:.2f} %" if bounded else number(measured.value, 4)


def number(value: float, digits: int) -> str:
    """Return a number of so many digits; whole up to ten million rather than with an exponent."""
    shown = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e+" in shown and abs(value) < 1e7 else shown


def share(part: float) -> str:
    """Return a share of a whole, in per cent."""
    return f"{part * 100:.1f} %"


def points(measured: Measurement | None, bounded: bool) -> str:
    """Return a drop: points where the metric lies in 0..1."""
    if measured is None or measured.value is None:
        return NONE
    shown = f"{measured.value * 100:.2f}" if bounded else number(measured.value, 3)
    return "0.00" if shown == "-0.00" else shown


def interval(measured: Measurement | None, bounded: bool) -> str:
    """Return the bounds of a metric or a drop, in the unit of :func:`value` without its sign."""
    if measured is None or measured.value is None or measured.level is None:
        return ""

    def bound(one: float | None, unbounded: str) -> str:
        if one is None:
            return unbounded
        return f"{one * 100:.2f}" if bounded else number(one, 3)

    return f"[{bound(measured.low, '-∞')}, {bound(measured.high, '∞')}]"


def ratio(measured: Measurement | None) -> str:
    """Return a ratio with its interval."""
    if measured is None or measured.value is None:
        return ""
    return f"x{measured.value:.3g} {interval(measured, False)}".strip()
