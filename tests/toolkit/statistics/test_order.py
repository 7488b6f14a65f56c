"""Order statistics: the sign test's interval of a median."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from edgekit.statistics import least_independent, median_of_independent


@pytest.mark.parametrize(
    ("n", "rank"), [(6, 1), (8, 1), (9, 2), (11, 2), (12, 3), (15, 4), (20, 6), (100, 40)]
)
def test_bounds_are_the_tabled_order_statistics(n: int, rank: int) -> None:
    found = median_of_independent(np.random.default_rng(n).permutation(n) + 1.0)
    assert (found.low, found.high) == (rank, n + 1 - rank)
    assert 2 * binom.cdf(rank - 1, n, 0.5) <= 0.05 < 2 * binom.cdf(rank, n, 0.5)


def test_five_values_do_not_bound_a_median() -> None:
    found = median_of_independent(np.arange(5.0))
    assert (found.value, found.low, found.high) == (2.0, -np.inf, np.inf)


@pytest.mark.parametrize(("level", "least"), [(0.5, 2), (0.9, 5), (0.95, 6), (0.99, 8)])
def test_least_number_of_values_is_the_first_that_bounds(level: float, least: int) -> None:
    assert least_independent(level) == least
    assert np.isfinite(median_of_independent(np.arange(float(least)), level).low)
    assert np.isinf(median_of_independent(np.arange(least - 1.0), level).low)


@pytest.mark.parametrize("n", [6, 9, 12, 15])
def test_interval_covers_the_median_when_the_distribution_is_skewed(n: int) -> None:
    rng = np.random.default_rng(0)
    intervals = [median_of_independent(np.exp(3 * rng.normal(size=n))) for _ in range(2000)]
    assert np.mean([found.low <= 1 <= found.high for found in intervals]) >= 0.945


def test_two_wild_values_of_twelve_do_not_move_the_interval() -> None:
    values = np.arange(12.0)
    wild = np.where(values > 9, values * 1e6, values)
    assert median_of_independent(wild) == median_of_independent(values)


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, np.inf]])
def test_values_are_refused_when_they_are_no_finite_series(values: list[float]) -> None:
    with pytest.raises(ValueError, match="1-D"):
        median_of_independent(np.array(values))
