"""Intervals from order statistics: what holds whatever the distribution."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .interval import Interval, two_sided_z, unbounded

FloatArray = npt.NDArray[np.float64]


def median_of_independent(values: FloatArray, level: float = 0.95) -> Interval:
    """Return the median of independent values, shape [n], with the interval of the sign test.

    The bounds are the k-th smallest and the k-th largest value, with the largest k at which
    2 P(Binomial(n, 1/2) < k) <= 1 - level: they cover the population's median at least that often,
    whatever its distribution, and k - 1 wild values on either side do not move them. At 95 %
    n = 6 is the least that bounds it (k = 1), and n = 12 stands two wild values a side (k = 3).
    Raises ValueError where the array is empty, not 1-D or not finite.
    Source: David & Nagaraja (2003), "Order statistics", section 7.1.
    """
    two_sided_z(level)
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if ordered.ndim != 1 or ordered.size == 0 or not np.isfinite(ordered).all():
        raise ValueError(f"values must be a non-empty finite 1-D array, got {ordered.shape}")
    n, value = int(ordered.size), float(np.median(ordered))
    k = _rank(n, level)
    if k == 0:
        return unbounded(value, level, n)
    return Interval(value, float(ordered[k - 1]), float(ordered[n - k]), level, n)


def least_independent(level: float = 0.95) -> int:
    """Return the fewest values whose extremes bound their median at this level."""
    two_sided_z(level)
    return math.ceil(1 - math.log2(1 - level))


def _rank(n: int, level: float) -> int:
    """Return the largest k with 2 P(Binomial(n, 1/2) < k) <= 1 - level, 0 where there is none."""
    outside, k = 0.0, 0
    while k <= n // 2:
        outside += 2 * math.comb(n, k) / 2**n
        if outside > 1 - level:
            break
        k += 1
    return k
