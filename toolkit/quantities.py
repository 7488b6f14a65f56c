"""Format quantities: sizes, times, metrics with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.types import Measurement

NONE = "–"
NO_INTERVAL = "no interval"


def size(count: float) -> str:
    """Format bytes as kB or MB (1000), and below 10 kB exactly."""
    if count < 10_000:
        return exact(count)
    if count < 1e6:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e6:.2f} MB"


def binary(count: float) -> str:
    """Format the bytes of a memory as GiB, MiB or KiB (1024), as memories are sold."""
    for limit, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return exact(count)


def exact(count: float) -> str:
    """Format bytes exactly: a size that is compared with a limit must not be rounded."""
    return f"{count:,.0f} B"


def duration(measured: Measurement | None) -> str:
    """Format nanoseconds as µs, ms or s."""
    if measured is None or measured.value is None:
        return NONE
    value = measured.value
    if value < 1e6:
        return f"{value / 1e3:.3g} µs" if value < 1e5 else f"{value / 1e3:.0f} µs"
    return f"{value / 1e6:.3g} ms" if value < 1e9 else f"{value / 1e9:.3g} s"


def value(measured: Measurement | None, bounded: bool) -> str:
    """Format a metric: per cent where it lies in 0..1."""
    if measured is None or measured.value is None:
        return NONE
    return f"{measured.value * 100:.2f} %" if bounded else number(measured.value, 4)


def number(value: float, digits: int) -> str:
    """Return a number of so many digits; whole up to ten million rather than with an exponent."""
    shown = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e+" in shown and abs(value) < 1e7 else shown


def share(part: float) -> str:
    """Format a share of a whole in per cent."""
    return f"{part * 100:.1f} %"


def points(measured: Measurement | None, bounded: bool) -> str:
    """Format a drop: points where the metric lies in 0..1."""
    if measured is None or measured.value is None:
        return NONE
    shown = f"{measured.value * 100:.2f}" if bounded else number(measured.value, 3)
    return "0.00" if shown == "-0.00" else shown


def bounds_nothing(measured: Measurement) -> bool:
    """Tell whether an interval says nothing: both ends are open, or one is and the other is the
    value itself, as of an error of exactly 0, which no error is below.
    """
    low, high = measured.low, measured.high
    return (low is None and high in (None, measured.value)) or (
        high is None and low == measured.value
    )


def in_points(drop: float, digits: int = 3) -> str:
    """Format a difference of shares: 0.01 is ``1 point``."""
    shown = number(100 * drop, digits)
    return f"{shown} point" if shown in ("1", "-1") else f"{shown} points"


def interval(measured: Measurement | None, bounded: bool) -> str:
    """Format the bounds of a metric or a drop, in the unit of :func:`value` without its sign."""
    if measured is None or measured.value is None or measured.level is None:
        return ""
    if bounds_nothing(measured):
        return NO_INTERVAL

    def bound(end: float | None, unbounded: str) -> str:
        if end is None:
            return unbounded
        return f"{end * 100:.2f}" if bounded else number(end, 3)

    return f"[{bound(measured.low, '-∞')}, {bound(measured.high, '∞')}]"


def listed(names: Sequence[object], most: int) -> str:
    """List the first of some names, and how many more there are."""
    more = len(names) - most
    return ", ".join(map(str, names[:most])) + (f" and {more:,} more" if more > 0 else "")


def ratio(measured: Measurement | None) -> str:
    """Format a ratio with its interval."""
    if measured is None or measured.value is None:
        return ""
    return f"x{measured.value:.3g} {interval(measured, False)}".strip()
