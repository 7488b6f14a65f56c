"""How often the lock raises a false alarm, and how often it sees a planted regression."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from edgekit import statistics
from edgekit.gate.lock import LockedLatency, LockedMetric, LockEntry, Tag
from edgekit.gate.lock.latency import latency_check
from edgekit.gate.lock.metric import compared
from edgekit.types import Measurement, PairedCounts

ITEMS, PIPELINES, LAUNCHES = 2000, 200, 12
Draw = Callable[[np.random.Generator], str]


def metric(right: int, items: str, counts: PairedCounts | None = None) -> LockedMetric:
    wilson = statistics.wilson(right, ITEMS)
    measured = Measurement(right / ITEMS, "1", n=ITEMS, low=wilson.low, high=wilson.high)
    return LockedMetric(measured, True, True, None, counts, items, "the reference")


def resampled(drop: float) -> Draw:
    """Each run is judged on items of its own; the model is 95 % right, and loses so much."""

    def draw(rng: np.random.Generator) -> str:
        before, now = (rng.binomial(ITEMS, 0.95 - lost) for lost in (0.0, drop))
        return compared(metric(before, "a"), metric(now, "b"), False).status(None).value

    return draw


def same_items(drop: float) -> Draw:
    """Both runs are judged on the same items, of which each differs in some from the reference."""

    def run(rng: np.random.Generator, lost_more: float) -> LockedMetric:
        lost = int(rng.binomial(1900, 0.01 + lost_more * ITEMS / 1900))
        gained = int(rng.binomial(100, 0.19))
        return metric(1900 - lost + gained, "a", PairedCounts(ITEMS, lost, gained))

    def draw(rng: np.random.Generator) -> str:
        return compared(run(rng, 0.0), run(rng, drop), False).status(None).value

    return draw


def on_another_noisy_machine(slower: float) -> Draw:
    """Launches that differ by 3 % (one standard deviation), each beside the reference."""

    def ratio(rng: np.random.Generator, true: float) -> Measurement:
        drawn = np.sort(true * np.exp(rng.normal(0.0, 0.03, LAUNCHES)))
        middle = float(np.median(drawn))
        # The sign test of 12 launches: 96 %.
        return Measurement(middle, "1", n=LAUNCHES, low=float(drawn[2]), high=float(drawn[9]))

    def entry(rng: np.random.Generator, true: float, cpu: str) -> LockEntry:
        time = Measurement(1e6, "ns")
        latency = LockedLatency("local", {"cpu": cpu}, time, time, ratio(rng, true))
        return LockEntry(Tag("m", "t", "int8"), "", "", 1, {}, "", "", latency=latency)

    def draw(rng: np.random.Generator) -> str:
        before, now = entry(rng, 0.5, "one"), entry(rng, 0.5 * slower, "another")
        assert before.latency is not None
        return latency_check(before.latency, now, None, "lock", "lock latency").status.value

    return draw


@pytest.mark.parametrize("draw", [resampled(0.0), same_items(0.0), on_another_noisy_machine(1.0)])
def test_no_regression_is_seldom_red(draw: Draw) -> None:
    rng = np.random.default_rng(0)
    seen = Counter(draw(rng) for _ in range(PIPELINES))
    # A one-sided error of 2.5 % by the interval; 6 % is what 200 draws hardly exceed.
    assert seen["failed"] <= 0.06 * PIPELINES, seen


@pytest.mark.parametrize(
    ("draw", "least"),
    [(resampled(0.02), 0.65), (same_items(0.02), 0.9), (on_another_noisy_machine(1.1), 0.95)],
)
def test_planted_regression_is_mostly_red_and_hardly_ever_green(draw: Draw, least: float) -> None:
    rng = np.random.default_rng(0)
    seen = Counter(draw(rng) for _ in range(PIPELINES))
    assert seen["failed"] >= least * PIPELINES, seen
    assert seen["passed"] <= 0.02 * PIPELINES, seen
