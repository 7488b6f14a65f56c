"""Seeded bootstrap intervals over items, for metrics that are not counts of right and wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from .interval import Interval, two_sided_z, unbounded

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

# Items drawn at once: with their indices 16 bytes each, hence some 32 MB.
_CHUNK_ITEMS = 2_000_000
_MAX_NAN_SHARE = 0.10


def bca_mean(
    per_item: FloatArray, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Return the BCa bootstrap interval of the mean of per-item scores, shape [n], in their unit.

    For a paired comparison pass the n per-item differences. No spread: the resamples say nothing;
    the interval is unbounded, so that a gate is inconclusive. That includes n = 1.
    Raises ValueError where the array is empty, not 1-D or not finite.
    Source: Efron (1987), "Better bootstrap confidence intervals", JASA 82:171-185.
    """
    scores = np.asarray(per_item, dtype=np.float64)
    if scores.ndim != 1 or scores.size == 0:
        raise ValueError(f"scores must be a non-empty 1-D array, got shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")
    z = two_sided_z(level)
    _check_resamples(resamples)
    n = int(scores.size)
    mean = float(scores.mean())
    if np.ptp(scores) == 0:
        return unbounded(mean, level, n)

    means = _resampled_means(scores, resamples, np.random.default_rng(seed))
    # Ties count half: with few distinct scores many resamples hit the mean exactly.
    below = float(((means < mean).mean() + (means <= mean).mean()) / 2)
    if not 0 < below < 1:
        return unbounded(mean, level, n)
    # Not scipy.stats.bootstrap: it computes the acceleration from n leave-one-out samples, n^2
    # numbers, where the mean has this closed form.
    deviations = scores - mean
    deviations /= np.abs(deviations).max()
    acceleration = float((deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5))
    normal = NormalDist()
    bias = normal.inv_cdf(below)
    shares = []
    for side in (-z, z):
        shifted = bias + side
        shrink = 1 - acceleration * shifted
        if shrink <= 0:
            return unbounded(mean, level, n)
        shares.append(normal.cdf(bias + shifted / shrink))
    low, high = np.quantile(means, shares)
    return Interval(mean, float(low), float(high), level, n)


def unseen_share(n: int, level: float = 0.95) -> float:
    """Return the largest share of all items that may differ from n that are alike, one-sided.

    Raises ValueError where n < 1.
    Source: Clopper & Pearson (1934), "The use of confidence or fiducial limits illustrated in the
    case of the binomial", Biometrika 26:404-413, for no successes.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    two_sided_z(level)
    return float(1 - ((1 - level) / 2) ** (1 / n))


def constant_mean(
    value: float,
    n: int,
    *,
    low: float,
    high: float,
    level: float = 0.95,
    others: float | None = None,
) -> Interval:
    """Return the interval of a mean of n equal scores that lie within low to high.

    What share of other items may score otherwise is bounded by :func:`unseen_share`, unless it is
    given as ``others``, and such an item moves the mean to an end at most. Raises ValueError where
    n < 1 or the value lies outside the bounds.
    """
    if n < 1 or not low <= value <= high:
        raise ValueError(f"{value} of {n} items does not lie within {low} to {high}")
    others = unseen_share(n, level) if others is None else others
    return Interval(
        value, value - others * (value - low), value + others * (high - value), level, n
    )


def bootstrap_statistic(
    statistic: Callable[[IndexArray], float],
    n: int,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return the percentile bootstrap interval of a statistic other than a mean (AUC, F1).

    `statistic` gets an int64 array [n] of item indices and may return NaN where a resample does
    not define it (one class missing). Such resamples are dropped; where they are more than 10 %,
    or the rest have no spread, the interval is unbounded.
    Raises ValueError where n < 1 or the statistic of all items is not finite.
    Source: Efron (1979), "Bootstrap methods: another look at the jackknife", Ann. Stat. 7:1-26.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    two_sided_z(level)
    _check_resamples(resamples)
    value = float(statistic(np.arange(n, dtype=np.int64)))
    if not math.isfinite(value):
        raise ValueError(f"the statistic of all items must be finite, got {value}")
    rng = np.random.default_rng(seed)
    drawn = np.array(
        [statistic(rng.integers(0, n, n, dtype=np.int64)) for _ in range(resamples)],
        dtype=np.float64,
    )
    defined = drawn[np.isfinite(drawn)]
    if defined.size < (1 - _MAX_NAN_SHARE) * resamples or np.ptp(defined) == 0:
        return unbounded(value, level, n)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level, n)


def _check_resamples(resamples: int) -> None:
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")


def _resampled_means(scores: FloatArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """Return the means [resamples] of samples drawn with replacement, some rows at a time."""
    n = scores.size
    rows = max(1, _CHUNK_ITEMS // n)
    means = np.empty(resamples, dtype=np.float64)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        drawn = rng.integers(0, n, (stop - start, n), dtype=np.int64)
        means[start:stop] = scores[drawn].mean(axis=1)
    return means
