"""What all charts are made of: axes, readings with their intervals, and charts that are absent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgekit.report import words
from edgekit.types import Measurement


@dataclass(frozen=True)
class Axis:
    """An axis: its label with the unit, and the ``factor`` that brings raw values into it."""

    label: str
    unit: str = ""
    factor: float = 1.0
    logarithmic: bool = False


@dataclass(frozen=True)
class Reading:
    """A raw value and its interval, each with the words for it.

    Without ``bounds`` there is no interval; with them an end that is None is unbounded.
    ``estimated`` values were not measured.
    """

    value: float
    text: str
    low: float | None = None
    high: float | None = None
    bounds: str = ""
    estimated: bool = False


@dataclass(frozen=True)
class Absent:
    """A chart that there is nothing to draw for, and why."""

    title: str
    reason: str
    kind: str = "absent"


def size_reading(count: float) -> Reading:
    """Return bytes as a reading."""
    return Reading(count, words.size(count))


def time_reading(measured: Measurement | None) -> Reading | None:
    """Return nanoseconds as a reading, where there are any."""
    if measured is None or measured.value is None:
        return None
    bounds = ""
    if measured.level is not None:
        axis = time_axis("", [measured.value])
        ends = zip((measured.low, measured.high), ("-∞", "∞"), strict=True)
        shown = [none if end is None else f"{end * axis.factor:.4g}" for end, none in ends]
        bounds = f"[{', '.join(shown)}]"
        if words.bounds_nothing(measured):
            bounds = words.NO_INTERVAL
    return _reading(measured, words.duration(measured), bounds)


def metric_reading(measured: Measurement | None, bounded: bool) -> Reading | None:
    """Return a metric as a reading, where it was measured."""
    if measured is None or measured.value is None:
        return None
    return _reading(measured, words.value(measured, bounded), words.interval(measured, bounded))


def _reading(measured: Measurement, text: str, bounds: str) -> Reading:
    value = measured.value or 0.0
    estimated = measured.how == "estimated"
    return Reading(value, text, measured.low, measured.high, bounds, estimated)


def size_axis(label: str, values: Iterable[float]) -> Axis:
    """Return an axis of bytes in B, kB or MB, as the largest asks for."""
    largest = max(values, default=0.0)
    for factor, unit in ((1e-6, "MB"), (1e-3, "kB")):
        if largest * factor >= 1:
            return Axis(f"{label} ({unit})", unit, factor)
    return Axis(f"{label} (B)", "B")


def time_axis(label: str, values: Iterable[float]) -> Axis:
    """Return an axis of nanoseconds in µs, ms or s, as the largest asks for."""
    largest = max(values, default=0.0)
    for limit, factor, unit in ((1e9, 1e-9, "s"), (1e6, 1e-6, "ms")):
        if largest >= limit:
            return Axis(f"{label} ({unit})", unit, factor)
    return Axis(f"{label} (µs)", "µs", 1e-3)


def metric_axis(label: str, bounded: bool) -> Axis:
    """Return an axis of a metric: in per cent where it lies in 0..1."""
    return Axis(f"{label} (%)", "%", 100.0) if bounded else Axis(label)
