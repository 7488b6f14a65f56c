"""How often the lock raises a false alarm, and how often it sees a planted regression."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit import statistics
from edgekit.gate.lock import LockedMetric
from edgekit.gate.lock.metric import compared
from edgekit.types import Measurement, PairedCounts

ITEMS, PIPELINES = 2000, 200
BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
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


@pytest.mark.parametrize("draw", [resampled(0.0), same_items(0.0)])
def test_no_regression_is_seldom_red(draw: Draw) -> None:
    rng = np.random.default_rng(0)
    seen = Counter(draw(rng) for _ in range(PIPELINES))
    # A one-sided error of 2.5 % by the interval; 6 % is what 200 draws hardly exceed.
    assert seen["failed"] <= 0.06 * PIPELINES, seen


@pytest.mark.parametrize(
    ("draw", "least"),
    [(resampled(0.02), 0.65), (same_items(0.02), 0.9)],
)
def test_planted_regression_is_mostly_red_and_hardly_ever_green(draw: Draw, least: float) -> None:
    rng = np.random.default_rng(0)
    seen = Counter(draw(rng) for _ in range(PIPELINES))
    assert seen["failed"] >= least * PIPELINES, seen
    assert seen["passed"] <= 0.02 * PIPELINES, seen


def test_latency_of_real_runs_is_no_false_alarm_and_a_tenth_is_never_green(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Runs of one file, as they were measured on a busy host, held against each other."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import lock_latency

    seen = dict(lock_latency.rows(PIPELINES))
    for name, ended in seen.items():
        if name.startswith("no change") and lock_latency.OLD not in name:
            assert ended["failed"] <= 0.02 * PIPELINES, (name, ended)
    assert seen["no change: the same network"] == {"passed": PIPELINES}
    beside = seen["10 % slower, the lock's file beside it"]
    assert beside["passed"] == 0
    assert beside["failed"] >= 0.8 * PIPELINES, beside
    # The fault that was: the two runs' own intervals do not hold what lies between the runs.
    assert seen[f"no change: the same network, {lock_latency.OLD}"]["failed"] > 0.05 * PIPELINES
