"""A metric of two runs: paired as far as both runs' evidence goes, else by their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgekit import quantities, statistics
from edgekit.gate.decision import decide
from edgekit.gate.lock.entries import LockedMetric
from edgekit.types import Measurement, PairedCounts, Status

LEVEL = 0.95


@dataclass(frozen=True)
class Comparison:
    """The drop from one run to the other, positive when worse, and how it was compared.

    ``counts`` are items that only one of the two has right, where both runs were on the same items:
    exact where both say which are right, at most so many where they share a reference.
    """

    drop: Measurement
    how: str
    same_items: bool
    counts: PairedCounts | None = None

    def status(self, tolerance: float | None) -> Status:
        """Decide whether the drop keeps a tolerance; without one, whether it is worse at all.

        Not worse where its items are others, or better on the same ones, is not proof of a drop:
        it passes unless a drop is proven. Worse, and not proven, is inconclusive.
        """
        status = decide(self.drop, tolerance or 0.0)
        not_worse = self.drop.value is not None and self.drop.value <= 0
        if status is Status.INCONCLUSIVE and tolerance is None and not_worse:
            return Status.PASSED
        return status

    def settle(self, limit: float) -> str:
        """Say how many items would decide."""
        needed = None
        if self.counts is not None and -1 < limit < 1:
            lost, gained, n = self.counts.lost, self.counts.gained, self.counts.n
            needed = statistics.items_to_settle(lost, gained, n, limit)
        elif self.drop.value is not None and self.drop.low is not None and self.drop.n:
            high = math.inf if self.drop.high is None else self.drop.high
            bounds = statistics.Interval(self.drop.value, self.drop.low, high, LEVEL, self.drop.n)
            needed = statistics.items_to_settle_scaled(bounds, limit)
        return f"about {needed:,} items would settle it" if needed else "no number of items would"


def compared(before: LockedMetric, now: LockedMetric, same_network: bool) -> Comparison:
    """Compare a metric of two runs."""
    same_items = bool(before.items) and before.items == now.items
    same_items = same_items and before.measured.n == now.measured.n
    if same_items and same_network and before.measured.value == now.measured.value:
        nothing = Measurement(
            0.0, now.measured.unit, n=now.measured.n, low=0.0, high=0.0, level=LEVEL
        )
        return Comparison(nothing, "the same network on the same items", True)
    counts, how = _item_by_item(before, now), "the same items, paired"
    if counts is None:
        counts = _through_reference(before, now)
        how = "the same items, paired through the reference that judged both"
    if same_items and counts is not None:
        interval = statistics.tango(counts.lost, counts.gained, counts.n)
        drop = Measurement(
            interval.value,
            now.measured.unit,
            n=counts.n,
            low=interval.low,
            high=interval.high,
            level=LEVEL,
            tool="Tango paired score",
        )
        return Comparison(drop, how, True, counts)
    how = "items differ: not paired"
    if same_items:
        how = "the same items, without item by item evidence of both: not paired"
    elif not before.items or not now.items:
        how = "whether the items are the same is not known: not paired"
    return Comparison(_by_intervals(before, now), how, same_items)


def _item_by_item(before: LockedMetric, now: LockedMetric) -> PairedCounts | None:
    """Count the items that only one of two models has right, where both runs tell which."""
    if not before.right or len(before.right) != len(now.right) or not now.measured.n:
        return None
    old, new = (int.from_bytes(metric.right, "big") for metric in (before, now))
    lost, gained = (old & ~new).bit_count(), (new & ~old).bit_count()
    if not now.higher_is_better:
        lost, gained = gained, lost
    return PairedCounts(now.measured.n, lost, gained)


def _through_reference(before: LockedMetric, now: LockedMetric) -> PairedCounts | None:
    """Bound in how many items two models differ, where each was paired with one reference.

    No more items differ than differ from the reference in either run: the interval of that many
    is the widest that both runs allow.
    """
    a, b = before.counts, now.counts
    if a is None or b is None or not before.reference or before.reference != now.reference:
        return None
    if a.n != b.n or a.lost + a.gained + b.lost + b.gained > a.n:
        return None
    return PairedCounts(a.n, b.lost + a.gained, b.gained + a.lost)


def _by_intervals(before: LockedMetric, now: LockedMetric) -> Measurement:
    """Compute the drop of two metrics from the interval of each, as of independent samples.

    The method of variance estimates recovery: Zou and Donner (2008), Statistics in Medicine 27.
    """
    worse, better = (before, now) if now.higher_is_better else (now, before)
    left, right = worse.measured, better.measured
    if left.value is None or right.value is None:
        return Measurement.unavailable(now.measured.unit, "it was not measured")
    drop = left.value - right.value
    bounds: list[float | None] = []
    for a, b in ((left.low, right.high), (left.high, right.low)):
        known = a is not None and b is not None
        bounds.append(math.hypot(left.value - a, b - right.value) if known else None)  # type: ignore[operator]
    below, above = bounds
    return Measurement(
        drop,
        now.measured.unit,
        n=min(left.n or 0, right.n or 0) or None,
        low=None if below is None else drop - below,
        high=None if above is None else drop + above,
        level=LEVEL,
        tool="intervals of both, Zou and Donner",
    )


def shown(metric: LockedMetric) -> str:
    """Format a metric's value as a share where it lies in 0..1."""
    value = metric.measured.value or 0.0
    return f"{value:.2%}" if metric.bounded else f"{value:.4g}"


def amount(value: float, metric: LockedMetric) -> str:
    """Format a difference: points for metrics in 0..1."""
    return quantities.in_points(value) if metric.bounded else f"{value:.4g}"


def in_words(drop: Measurement, metric: LockedMetric) -> str:
    """Format a drop with its interval."""
    if quantities.bounds_nothing(drop):
        return f"{amount(drop.value or 0.0, metric)} ({quantities.NO_INTERVAL})"
    low = "-∞" if drop.low is None else amount(drop.low, metric).split()[0]
    high = "∞" if drop.high is None else amount(drop.high, metric).split()[0]
    return f"{amount(drop.value or 0.0, metric)} [{low}, {high}]"
