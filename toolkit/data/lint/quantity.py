"""How many items suffice: the share of an unseen item's activations that earlier items cover.

Leave-some-out validation of the ranges that min-max calibration takes: of items in random order,
the first n set the ranges, and the others say how much of their own lies within. It does not hang
on how many items there are, as a comparison with the ranges of the whole set would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.types import Advice

Ranges = npt.NDArray[Any]
# What an unseen item loses beyond the ranges is then less than a quarter of an int8 step.
ENOUGH = 0.999
FEWEST = 2
SHUFFLES = 20
SEED = 20260101
# Below this a set is small by any guide, whatever a model says.
USUAL = 100


@dataclass(frozen=True)
class Saturation:
    """The curve: with ``counts`` items, ``covered`` of an unseen item's ranges lies within theirs.

    A mean over tensors, items and orders; the last point leaves one item out in turn.
    ``sufficient`` is the smallest count from which on it is ``ENOUGH``, absent where none is.
    ``widening`` is the ``tensor`` that is covered least by all other items, and how far.
    """

    counts: tuple[int, ...]
    covered: tuple[float, ...]
    sufficient: int | None
    tensors: int
    widening: str
    widening_covered: float


def saturation(names: tuple[str, ...], ranges: Ranges) -> Saturation:
    """Return the curve of item ranges ``[n, tensors, 2]`` (minimum, maximum); ``n`` is at least
    2.
    """
    count = len(ranges)
    counts = [1]
    while counts[-1] * 2 < count - 1:
        counts.append(counts[-1] * 2)
    random = np.random.default_rng(SEED)
    covered = np.zeros(len(counts))
    for _ in range(SHUFFLES):
        covered += _held_out(ranges[random.permutation(count)], counts)
    last = _leave_one_out(ranges)
    points = dict(zip(counts, covered / SHUFFLES, strict=True))
    points[count - 1] = float(last.mean())
    least = int(np.argmin(last))
    return Saturation(
        counts=tuple(points),
        covered=tuple(round(float(value), 6) for value in points.values()),
        sufficient=_sufficient(points),
        tensors=len(names),
        widening=names[least],
        widening_covered=round(float(last[least]), 6),
    )


def lint(curve: Saturation | None, count: int, source: str) -> Iterator[Advice]:
    """Find EK-LINT-050 and -051: too few items, by the curve or, without one, by their number."""
    more = "give more varied items: 100 to 500 are usual"
    if curve is None:
        if count < USUAL:
            message = f"representative data ({source}): {count} items are few"
            yield Advice("EK-LINT-051", "warning" if count < USUAL // 2 else "info", message, more)
    elif curve.sufficient is None:
        message = (
            f"representative data ({source}): {count:,} items are not enough: they cover"
            f" {100 * curve.covered[-1]:.2f} % of an unseen item's activation ranges (enough:"
            f" {100 * ENOUGH:.1f} %), and least those of {curve.widening!r}"
            f" ({100 * curve.widening_covered:.2f} %)"
        )
        yield Advice("EK-LINT-050", "warning", message, more)


def _sufficient(points: dict[int, float]) -> int | None:
    """Return the smallest count from which on every point is enough."""
    enough = None
    for count in sorted(points, reverse=True):
        if points[count] < ENOUGH:
            break
        enough = count
    return enough


def _held_out(ranges: Ranges, counts: list[int]) -> npt.NDArray[np.float64]:
    """Return the share of the rest's ranges that the first n items cover, for each count n."""
    low = np.minimum.accumulate(ranges[..., 0])
    high = np.maximum.accumulate(ranges[..., 1])
    return np.array([_inside(ranges[n:], low[n - 1], high[n - 1]).mean() for n in counts])


def _leave_one_out(ranges: Ranges) -> npt.NDArray[np.float64]:
    """Return by tensor how much of an item's range all others cover, on average."""
    low, high = np.sort(ranges[..., 0], axis=0), np.sort(ranges[..., 1], axis=0)
    others_low = np.where(ranges[..., 0] == low[0], low[1], low[0])
    others_high = np.where(ranges[..., 1] == high[-1], high[-2], high[-1])
    return np.asarray(_inside(ranges, others_low, others_high).mean(axis=0))


def _inside(ranges: Ranges, low: Ranges, high: Ranges) -> Ranges:
    """Return the share of each range ``[..., 2]`` that lies within low..high; a single value
    counts 1.
    """
    width = ranges[..., 1] - ranges[..., 0]
    within = np.minimum(ranges[..., 1], high) - np.maximum(ranges[..., 0], low)
    return np.where(width > 0, np.maximum(within, 0) / np.where(width > 0, width, 1), 1.0)
