"""What the values of an input look like: ranges, a histogram, curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data.thumbnails import is_picture
from edgekit.types.details import Curve, Histogram, InputDetails, ValueRange

Values = npt.NDArray[Any]
# Of larger data some items are looked at, evenly spaced; and of these some values for the shape.
MOST_VALUES = 1 << 24
MOST_DRAWN = 1 << 20
BINS = 64
PERCENTILES = (0.1, 1, 5, 25, 50, 75, 95, 99, 99.9)
PLACES = 128
EXAMPLES = 8
DIGITS = 6


def looked_at(count: int, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Choose which of so many items are looked at: all, or as many as hold enough values."""
    most = max(1, MOST_VALUES // max(1, int(np.prod(shape))))
    chosen = np.linspace(0, count - 1, min(count, most)) if count else np.zeros(0)
    return np.rint(chosen).astype(np.int64)


def described(items: Values, drawn: bool = False) -> InputDetails:
    """Describe items ``[n, ...]`` as the model is fed them; with curves, unless they are drawn.

    Raises ValueError where they are not numbers, or not finite.
    """
    if items.dtype.kind not in "iufb" or not items.size:
        raise ValueError(f"values of {items.dtype} have no range")
    flat = items.reshape(-1).astype(np.float64 if items.dtype.kind in "iu" else np.float32)
    low, high, mean = float(flat.min()), float(flat.max()), float(flat.mean(dtype=np.float64))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("not all values are finite")
    some = flat[:: max(1, len(flat) // MOST_DRAWN)]
    at = np.percentile(some.astype(np.float64), PERCENTILES)
    percentiles = {f"{q:g}": _round(value) for q, value in zip(PERCENTILES, at, strict=True)}
    curves = _Curves() if drawn or is_picture(items.shape[1:]) else _Curves.of(items)
    return InputDetails(
        shape=items.shape[1:],
        dtype=str(items.dtype),
        range=ValueRange(len(items), low, high, mean, float(flat.std()), percentiles),
        histogram=_histogram(some, low, high),
        envelope=curves.envelope,
        examples=curves.examples,
    )


def _histogram(values: Values, low: float, high: float) -> Histogram:
    counts, edges = np.histogram(values, BINS, (low, high))
    return Histogram(tuple(map(_round, edges)), tuple(map(int, counts)))


@dataclass(frozen=True)
class _Curves:
    envelope: Curve | None = None
    examples: tuple[Curve, ...] = ()

    @classmethod
    def of(cls, items: Values) -> _Curves:
        """Draw items along their first axis, the least and the most of all others at each place."""
        series = items.reshape(len(items), items.shape[1] if items.ndim > 1 else 1, -1)
        if series.shape[1] < 2:
            return cls()
        lows, highs = series.min(axis=2), series.max(axis=2)
        some = range(0, len(items), max(1, -(-len(items) // EXAMPLES)))
        return cls(
            _curve(lows.min(axis=0), highs.max(axis=0)),
            tuple(_curve(lows[at], highs[at]) for at in some),
        )


def _curve(low: Values, high: Values) -> Curve:
    starts = np.unique(np.linspace(0, len(low), min(len(low), PLACES), endpoint=False, dtype=int))
    ends = (np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts))
    return Curve(*(tuple(map(_round, end)) for end in ends))


def _round(value: float) -> float:
    return float(f"{float(value):.{DIGITS}g}")
