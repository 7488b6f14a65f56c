"""How often what did not change goes red, and what did does: simulated."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from recorded_batches import golden, items, latencies, recorded
from scipy.stats import norm

from edgekit.record.monitoring import judged, of_golden, parse_golden, read_records
from edgekit.statistics import divergence
from edgekit.types import Status
from edgekit.types.monitored import MonitorLimits


@pytest.mark.slow
def test_of_two_hundred_batches_without_drift_at_most_two_are_red(tmp_path: Path) -> None:
    found: Counter[Status] = Counter()
    for seed in range(200):
        told = golden(1000, seed=1000 + seed)
        path = recorded(tmp_path / str(seed), told, *items(1000, seed), latencies(1000, seed))
        batch = read_records([str(path)], parse_golden(told))
        known = parse_golden(told)
        found[judged(known, of_golden(known), batch, MonitorLimits()).status] += 1
    assert found[Status.FAILED] <= 2
    assert found[Status.PASSED] >= 180


def binned(shift: float, n: int, m: int, random: np.random.Generator) -> list[np.ndarray]:
    """Counts of a normal sample, and of one that moved, in ten bins of the first."""
    before, now = random.normal(size=m), random.normal(shift, 1, n)
    edges = np.quantile(before, np.arange(1, 10) / 10)
    return [
        np.bincount(np.searchsorted(edges, one), minlength=10).astype(np.int64)
        for one in (before, now)
    ]


def index_of(shift: float) -> float:
    """The population stability index of a normal distribution and one that moved."""
    at = norm.ppf(np.arange(11) / 10)
    p, q = np.diff(norm.cdf(at)), np.diff(norm.cdf(at - shift))
    return float(((q - p) * np.log(q / p)).sum())


@pytest.mark.parametrize(("n", "m"), [(100, 1000), (500, 1000), (5000, 500)])
@pytest.mark.parametrize("shift", [0.0, 0.32, 0.8])
def test_the_interval_of_the_index_holds_the_populations(shift: float, n: int, m: int) -> None:
    random = np.random.default_rng(0)
    true, outside = index_of(shift), [0, 0]
    for _ in range(200):
        found = divergence.stability(*binned(shift, n, m, random))
        outside[0] += found.low > true
        outside[1] += found.high < true
    # Each bound misses one in twenty: ten of two hundred, and twenty by chance.
    assert max(outside) <= 20


@pytest.mark.parametrize("limit", [0.1, 0.3])
def test_a_population_at_the_limit_is_seldom_beyond_it(limit: float) -> None:
    random = np.random.default_rng(1)
    shifts = np.linspace(0.1, 1, 200)
    shift = float(shifts[np.abs([index_of(one) - limit for one in shifts]).argmin()])
    index, distance = 0, 0
    for _ in range(300):
        before, now = binned(shift, 500, 1000, random)
        index += divergence.stability(before, now).p(limit) <= 0.01
        ks = divergence.binned_ks(before, now)
        distance += divergence.ks_p(ks, 500, 1000, divergence.ks_of_shift(limit)) <= 0.01
    assert max(index, distance) <= 9


def test_chance_alone_is_no_drift_however_few_the_items_are() -> None:
    random = np.random.default_rng(2)
    found = [divergence.stability(*binned(0, 50, 1000, random)) for _ in range(300)]
    # As is well known, the index itself is far beyond 0.1 or 0.2 with so few.
    assert np.quantile([one.raw for one in found], 0.95) > 0.25
    assert sum(one.p(0.1) <= 0.01 for one in found) <= 3


def test_classes_and_constants_have_no_interval_that_promises_too_much() -> None:
    same = np.array([0, 500, 0])
    found = divergence.stability(same, np.array([0, 20, 0]))
    assert (found.raw, found.low) == (0.0, 0.0)
    assert found.high > 0.1
    assert divergence.stability(same, np.array([0, 2000, 0])).high < 0.1
    rare = np.array([500, 480, 1, 1, 1])
    assert divergence.balance(rare, np.array([510, 470, 0, 3, 1])).high < 0.1
    assert divergence.balance(rare, np.array([100, 800, 0, 3, 1])).low > 0.1
    with pytest.raises(ValueError, match="no items"):
        divergence.stability(same, np.zeros(3, np.int64))


def test_items_that_settle_it_do() -> None:
    expected = np.full(10, 100)
    found = divergence.stability(expected, np.full(10, 6))
    assert found.high > 0.1
    needed = divergence.items_to_pass(found, 0.1, 1000)
    assert needed is not None
    assert divergence.stability(expected, np.full(10, 1 + needed // 10)).high <= 0.1
    assert divergence.items_to_pass(found, 0.1, 50) is None
