"""Intervals that may be looked at at any moment: by hand, by simulation, and at their edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import gammaln, xlogy
from scipy.stats import binom

from edgekit.statistics.sequential import (
    LEAST,
    answers_to_settle,
    difference_sequence,
    mean_difference_sequence,
    mean_sequence,
    proportion_sequence,
)


def mixture(successes: Any, n: Any, p: Any) -> Any:
    """The evidence against a rate, by scipy."""
    failures = n - successes
    mixed = gammaln(successes + 1) + gammaln(failures + 1) - gammaln(n + 2)
    return mixed - xlogy(successes, p) - xlogy(failures, 1 - p)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (3, 10), (10, 10), (900, 1000)])
def test_bounds_of_a_proportion_are_where_the_evidence_is_twenty_to_one(
    successes: int, n: int
) -> None:
    found = proportion_sequence(successes, n)
    for bound, end in ((found.low, 0.0), (found.high, 1.0)):
        if bound != end:
            assert mixture(successes, n, bound) == pytest.approx(math.log(20), abs=1e-6)
    assert found.low <= successes / n <= found.high
    # A usual interval is narrower: it holds at one moment.
    low, high = binom.interval(0.95, n, successes / n)
    assert found.high - found.low >= (high - low) / n


def test_bounds_of_a_difference_hold_all_pairs_of_rates_that_are_not_excluded() -> None:
    before, now = (55, 60), (20, 30)
    found = difference_sequence(before, now)
    grid = np.linspace(0, 1, 801)
    evidence = mixture(*before, grid[:, None]) + mixture(*now, grid[None, :])
    inside = (grid[None, :] - grid[:, None])[evidence < math.log(20)]
    assert found.low == pytest.approx(inside.min(), abs=3e-3)
    assert found.high == pytest.approx(inside.max(), abs=3e-3)
    swapped = difference_sequence(now, before)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


def test_where_little_is_known_nothing_is_excluded() -> None:
    assert math.isnan(proportion_sequence(0, 0).value)
    nothing = difference_sequence((3, 5), (0, 0))
    assert (nothing.low, nothing.high) == (-1, 1)
    few = mean_sequence((LEAST - 1, 2.0, 5.0))
    assert (few.low, few.high) == (-math.inf, math.inf)
    with pytest.raises(ValueError, match=r"within 0\.\.n"):
        proportion_sequence(3, 2)
    with pytest.raises(ValueError, match=r"within 0\.\.n"):
        difference_sequence((-1, 2), (0, 2))


def test_answers_to_settle_is_where_the_verdict_falls() -> None:
    before, now = (810.0, 900.0), (96.0, 100.0)
    needed = answers_to_settle(before, now)
    assert needed is not None
    for factor, settled in ((needed / 1000, True), (needed / 1000 * 0.95, False)):
        first, second = ((k * factor, n * factor) for k, n in (before, now))
        found = difference_sequence(first, second)
        assert (found.low > 0 or found.high < 0) is settled
    assert answers_to_settle((9, 10), (9, 10)) is None
    assert answers_to_settle((9, 10), (0, 0)) is None
    assert answers_to_settle((0, 500), (500, 500)) == 1000


def excluded(rates: tuple[float, float], share: float, runs: int, n: int, seed: int = 7) -> float:
    """In what share of experiments some look, after any of n answers, finds a difference."""
    random = np.random.default_rng(seed)
    arm = random.random((runs, n)) < share
    right = random.random((runs, n)) < np.where(arm, rates[1], rates[0])

    def counted(of: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        return np.cumsum(of, axis=1)

    now, before = counted(arm), counted(~arm)
    rights = counted(right & arm), counted(right & ~arm)
    # With no difference the likeliest rate is that of both together.
    pooled = (rights[0] + rights[1]) / (now + before)
    evidence = mixture(rights[0], now, pooled) + mixture(rights[1], before, pooled)
    return float((evidence >= math.log(20)).any(axis=1).mean())


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_looking_after_every_answer_finds_no_difference_where_there_is_none(share: float) -> None:
    assert excluded((0.9, 0.9), share, 400, 2000) <= 0.05
    # And finds one that is there.
    assert excluded((0.9, 0.6), share, 400, 2000) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_false_alarms_stay_below_one_in_twenty_over_ten_thousand_looks(
    rate: float, share: float
) -> None:
    alarms = [excluded((rate, rate), share, 200, 10_000, seed) for seed in range(5)]
    assert np.mean(alarms) <= 0.05


def test_verdict_on_no_difference_is_that_of_the_interval() -> None:
    random = np.random.default_rng(3)
    for _ in range(30):
        n = random.integers(1, 300, 2)
        k = random.binomial(n, random.random(2))
        found = difference_sequence((int(k[0]), int(n[0])), (int(k[1]), int(n[1])))
        pooled = k.sum() / n.sum()
        evidence = mixture(k[0], n[0], pooled) + mixture(k[1], n[1], pooled)
        assert (found.low > 0 or found.high < 0) == (evidence >= math.log(20))


@pytest.mark.parametrize("draw", ["exponential", "normal"])
def test_means_looked_at_all_along_hold_the_truth(draw: str) -> None:
    random = np.random.default_rng(11)
    missed = 0
    for _ in range(100):
        values = getattr(random, draw)(size=(2, 2000)) * 3
        ever = False
        for n in range(LEAST, 2000, 50):
            sides = [
                (n, float(v[:n].mean()), float(((v[:n] - v[:n].mean()) ** 2).sum())) for v in values
            ]
            found = mean_difference_sequence(sides[0], sides[1])
            ever |= not found.low <= 0 <= found.high
        missed += ever
    assert missed <= 5
    shifted = mean_difference_sequence((2000, 0.0, 2000.0), (2000, 1.0, 2000.0))
    assert shifted.low > 0
