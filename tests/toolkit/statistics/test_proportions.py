"""Proportions: against published values, a brute-force profile likelihood and exact coverage."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import xlogy
from scipy.stats import binom, binomtest, norm

from edgekit.statistics import items_to_settle, tango, wilson
from edgekit.statistics.proportions import _tango_bounds

Z = float(norm.ppf(0.975))
Z2 = Z * Z
COUNTS = [(12, 2, 50), (1, 7, 21), (0, 3, 40), (1, 0, 1000), (25, 25, 50), (49, 0, 50), (7, 7, 30)]


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (0, 50), (7, 50), (50, 50), (9990, 10000)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_equals_scipy(successes: int, n: int, level: float) -> None:
    expected = binomtest(successes, n).proportion_ci(level, method="wilson")
    interval = wilson(successes, n, level)
    assert interval.low == pytest.approx(expected.low, abs=1e-12)
    assert interval.high == pytest.approx(expected.high, abs=1e-12)
    assert (interval.value, interval.level, interval.n) == (successes / n, level, n)


def test_wilson_ends_exactly_at_zero_and_one() -> None:
    assert wilson(0, 30).low == 0.0
    assert wilson(30, 30).high == 1.0


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_raises_when_counts_are_impossible(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        wilson(successes, n)


@pytest.mark.parametrize(
    ("lost", "gained", "n", "level", "low", "high"),
    [
        # Cavo et al. 2012; R package contingencytables, its tests for chapter 8 (Fagerland,
        # Lydersen & Laake 2017, "Statistical analysis of contingency tables").
        (6, 16, 161, 0.95, -0.1240, -0.0054),
        # R: PropCIs::scoreci.mp(25, 28, 618, 0.90) and scoreci.mp(41, 48, 549, 0.90), as
        # published by their users.
        (28, 25, 618, 0.90, -0.0148, 0.0247),
        (48, 41, 549, 0.90, -0.0157, 0.0414),
    ],
)
def test_tango_equals_published_values(
    lost: int, gained: int, n: int, level: float, low: float, high: float
) -> None:
    interval = tango(lost, gained, n, level)
    assert interval.value == (lost - gained) / n
    assert interval.low == pytest.approx(low, abs=5.1e-5)
    assert interval.high == pytest.approx(high, abs=5.1e-5)


def accepted_by_profile_likelihood(
    lost: int, gained: int, n: int, deltas: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """The score test at each delta, its restricted MLE by ternary search on the likelihood."""
    left, right = np.maximum(0.0, -deltas), (1 - deltas) / 2

    def likelihood(q: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        rest = np.maximum(1 - 2 * q - deltas, 0)
        total = xlogy(lost, np.maximum(q + deltas, 0)) + xlogy(gained, q)
        return np.asarray(total + xlogy(n - lost - gained, rest))

    for _ in range(120):
        third = (right - left) / 3
        better_right = likelihood(left + third) < likelihood(right - third)
        left, right = (
            np.where(better_right, left + third, left),
            np.where(better_right, right, right - third),
        )
    variance = n * (2 * left + deltas * (1 - deltas))
    return np.asarray((lost - gained - n * deltas) ** 2 <= Z2 * variance)


@pytest.mark.parametrize(("lost", "gained", "n"), COUNTS)
def test_tango_equals_brute_force(lost: int, gained: int, n: int) -> None:
    deltas = np.linspace(-0.99995, 0.99995, 20_000)
    accepted = deltas[accepted_by_profile_likelihood(lost, gained, n, deltas)]
    step = deltas[1] - deltas[0]
    assert np.ptp(accepted) == pytest.approx((len(accepted) - 1) * step)  # one piece
    interval = tango(lost, gained, n)
    assert interval.low == pytest.approx(accepted[0], abs=step)
    assert interval.high == pytest.approx(accepted[-1], abs=step)


@pytest.mark.parametrize(("lost", "gained", "n"), [*COUNTS, (0, 0, 9), (9, 0, 9)])
def test_tango_negates_when_lost_and_gained_swap(lost: int, gained: int, n: int) -> None:
    one, other = tango(lost, gained, n), tango(gained, lost, n)
    assert (one.value, one.low, one.high) == (-other.value, -other.high, -other.low)
    assert -1 <= one.low < one.value <= one.high <= 1


@pytest.mark.parametrize("n", [1, 50, 380, 100_000])
def test_tango_has_closed_form_when_nothing_flips(n: int) -> None:
    interval = tango(0, 0, n)
    assert interval.high == -interval.low == pytest.approx(Z2 / (n + Z2), rel=1e-12)


@pytest.mark.parametrize("n", [1, 50, 1000])
def test_tango_has_closed_form_when_all_are_lost(n: int) -> None:
    interval = tango(n, 0, n)
    assert (interval.value, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx((n - Z2) / (n + Z2), rel=1e-12)


@pytest.mark.parametrize("lost", [0, 50])
def test_tango_is_continuous_at_its_closed_forms(lost: int) -> None:
    step = 1e-9 if lost == 0 else -1e-9
    exact, near = _tango_bounds(lost, 0, 50, Z), _tango_bounds(lost + step, 0, 50, Z)
    assert near == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize(("lost", "gained", "n"), [(0, 0, 0), (-1, 0, 5), (0, -1, 5), (3, 3, 5)])
def test_paired_functions_raise_when_counts_are_impossible(lost: int, gained: int, n: int) -> None:
    with pytest.raises(ValueError, match=r"must|exceeds"):
        tango(lost, gained, n)
    with pytest.raises(ValueError, match=r"must|exceeds"):
        items_to_settle(lost, gained, n, 0.01)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, math.nan])
def test_level_raises_when_not_a_fraction(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        tango(1, 2, 50, level)


@cache
def tango_low_high(lost: int, gained: int, n: int) -> tuple[float, float]:
    interval = tango(lost, gained, n)
    return interval.low, interval.high


def wald_low_high(lost: int, gained: int, n: int) -> tuple[float, float]:
    value = (lost - gained) / n
    half = Z * math.sqrt(lost + gained - (lost - gained) ** 2 / n) / n
    return value - half, value + half


def coverage(
    low_high: Callable[[int, int, int], tuple[float, float]], n: int, lost: float, gained: float
) -> float:
    """The exact coverage, but for outcomes so rare that they are taken as not covered."""
    total = 0.0
    for i in range(int(binom.ppf(1e-5, n, lost)), int(binom.isf(1e-5, n, lost)) + 1):
        rest = binom(n - i, gained / (1 - lost))
        row = np.arange(int(rest.ppf(1e-5)), int(rest.isf(1e-5)) + 1)
        for k, mass in zip(row, rest.pmf(row) * binom.pmf(i, n, lost), strict=True):
            low, high = low_high(i, int(k), n)
            total += float(mass) * (low <= lost - gained <= high)
    return total


@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize(
    ("lost", "gained"), [(0.01, 0.0), (0.01, 0.01), (0.03, 0.01), (0.05, 0.03), (0.2, 0.1)]
)
def test_tango_covers_nominally(n: int, lost: float, gained: float) -> None:
    assert coverage(tango_low_high, n, lost, gained) >= 0.93


@pytest.mark.parametrize(("n", "lost", "gained"), [(50, 0.01, 0.0), (200, 0.01, 0.0)])
def test_wald_fails_to_cover_where_tango_does(n: int, lost: float, gained: float) -> None:
    # With no flip it claims no loss, as a bootstrap of the same items would.
    assert wald_low_high(0, 0, n) == (0.0, 0.0)
    assert coverage(wald_low_high, n, lost, gained) < 0.90


def decided(lost: int, gained: int, n: int, limit: float, items: int) -> bool:
    low, high = _tango_bounds(lost / n * items, gained / n * items, items, Z)
    return high <= limit or low > limit


def test_items_to_settle_equals_known_number_when_nothing_flips() -> None:
    assert items_to_settle(0, 0, 100, 0.01) == 381
    assert tango(0, 0, 381).high <= 0.01 < tango(0, 0, 380).high


@pytest.mark.parametrize(
    ("lost", "gained", "n", "limit"),
    [
        (1, 0, 100, 0.02),
        (3, 1, 100, 0.01),
        (5, 3, 200, 0.005),
        (0, 1, 100, 0.01),
        (2, 0, 50, 0.0),
        (1, 5, 100, -0.02),
        (101, 0, 10_000, 0.01),
    ],
)
def test_items_to_settle_is_the_smallest_that_decides(
    lost: int, gained: int, n: int, limit: float
) -> None:
    items = items_to_settle(lost, gained, n, limit)
    assert items is not None
    assert items > n
    assert decided(lost, gained, n, limit, items)
    assert not decided(lost, gained, n, limit, items - 1)


@pytest.mark.parametrize(("lost", "gained", "limit"), [(0, 0, 0.01), (100, 0, 0.01), (0, 9, 0.0)])
def test_items_to_settle_is_n_when_already_decided(lost: int, gained: int, limit: float) -> None:
    assert decided(lost, gained, 1000, limit, 1000)
    assert items_to_settle(lost, gained, 1000, limit) == 1000


@pytest.mark.parametrize(
    ("lost", "gained", "n", "limit"),
    [(1, 0, 100, 0.01), (0, 0, 100, 0.0), (4, 1, 300, 0.01), (1, 0, 100, 0.01 + 1e-7)],
)
def test_items_to_settle_is_none_when_no_number_would(
    lost: int, gained: int, n: int, limit: float
) -> None:
    assert items_to_settle(lost, gained, n, limit) is None


@pytest.mark.parametrize("limit", [-1.0, 1.0, math.nan])
def test_items_to_settle_raises_when_limit_is_no_fraction(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        items_to_settle(1, 0, 10, limit)
