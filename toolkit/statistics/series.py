"""A series of times in the order they were taken: does it drift, has it two modes, its median.

Neighbours of such a series are alike (clock frequency, caches, another process for a while), so
what is counted is batches of it, not samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .interval import Interval, two_sided_z, unbounded

FloatArray = npt.NDArray[np.float64]

# Schmeiser (1982), "Batch size effects in the analysis of simulation output", Operations Research
# 30:556-568: between 10 and 30 batches serve any length of series.
BATCHES = 20
LEAST_BATCHES = 8

# Less than this tells nothing of a second mode; a mode holds at least this share of the samples,
# and between two modes the density falls to at most this share of the lower one.
_LEAST_SAMPLES = 40
_LEAST_SHARE = 0.1
_VALLEY = 0.5
# Modes that differ by less are no two speeds of a machine: a clock's ticks look like that.
_LEAST_BANDWIDTH = 0.003
_GRID = 512


@dataclass(frozen=True, slots=True)
class Drift:
    """How a series moved: ``slope_share`` is (median of its last third - of its first) / median.

    ``p`` is the two-sided probability of so strong a trend where there is none.
    """

    slope_share: float
    p: float


def drift(samples: FloatArray) -> Drift:
    """Return the trend of a series of times, shape [n], any unit; positive when it gets slower.

    p is Mann-Kendall's, of the medians of up to 20 consecutive batches; 1 where there are fewer
    than eight samples. A disturbance longer than a batch counts as a trend, as it should.
    Raises ValueError where the array is empty, not 1-D, not finite, or its median is not positive.
    Source: Mann (1945), "Nonparametric tests against trend", Econometrica 13:245-259.
    """
    series = _checked(samples)
    middle = float(np.median(series))
    if middle <= 0:
        raise ValueError(f"the median must be positive, got {middle}")
    if series.size < LEAST_BATCHES:
        return Drift(0.0, 1.0)
    third = series.size // 3
    moved = float(np.median(series[-third:]) - np.median(series[:third])) / middle
    medians = _batch_medians(series)
    if np.ptp(medians) == 0:
        return Drift(moved, 1.0)
    from scipy.stats import kendalltau

    return Drift(moved, float(kendalltau(np.arange(medians.size), medians).pvalue))


def bimodal(samples: FloatArray) -> bool:
    """Tell whether times, shape [n], positive, any unit, fall into two modes.

    So where the kernel density of their logarithms (the central 98 %) has two modes that hold a
    tenth of the samples each, and falls between them to half of the lower one. A tail of slow
    samples is not a mode. False below 40 samples.
    Raises ValueError where the array is empty, not 1-D, not finite or not positive.
    Source: Silverman (1986), "Density estimation for statistics and data analysis", section 3.4.2
    (bandwidth, formula 3.31); modes as in Silverman (1981), "Using kernel density estimates to
    investigate multimodality", JRSS B 43:97-99.
    """
    series = _checked(samples)
    if not (series > 0).all():
        raise ValueError("times must be positive")
    if series.size < _LEAST_SAMPLES:
        return False
    logs = np.sort(np.log(series))
    cut = series.size // 100
    logs = logs[cut : logs.size - cut]
    grid, density = _density(logs)
    # The best split: at its lowest point, the lower of the highest peaks on either side.
    left = np.maximum.accumulate(density)
    right = np.maximum.accumulate(density[::-1])[::-1]
    deep = density <= _VALLEY * np.minimum(left, right)
    share = np.searchsorted(logs, grid) / logs.size
    return bool((deep & (share >= _LEAST_SHARE) & (share <= 1 - _LEAST_SHARE)).any())


def median_interval(samples: FloatArray, level: float = 0.95) -> Interval:
    """Return the median of a series, shape [n], in its unit, with an interval that allows for its
    order.

    Student's t over the medians of up to 20 consecutive batches; where neighbouring batches are
    correlated (r > 0) the variance counts (1 + r) / (1 - r) times. Unbounded below eight samples.
    Bounds equal to the value mean that all batches agree (a cycle counter, or a coarse clock).
    Raises ValueError where the array is empty, not 1-D or not finite.
    Sources: Seila (1982), "A batching approach to quantile estimation in regenerative
    simulations", Management Science 28:573-581; Law (2015), "Simulation modeling and analysis",
    section 9.5.3 (batch means; the variance of a first-order autoregressive mean).
    """
    series = _checked(samples)
    two_sided_z(level)
    value = float(np.median(series))
    if series.size < LEAST_BATCHES:
        return unbounded(value, level, int(series.size))
    medians = _batch_medians(series)
    deviations = medians - medians.mean()
    total = float((deviations**2).sum())
    if total == 0:
        return Interval(value, value, value, level, int(series.size))
    from scipy.special import stdtrit

    r = float((deviations[1:] * deviations[:-1]).sum()) / total
    # The estimate of r is low by about (1 + 3 r) / batches (Kendall 1954).
    r = min(max(r + (1 + 3 * r) / medians.size, 0.0), 0.9)
    variance = total / (medians.size - 1) * (1 + r) / (1 - r)
    t = float(stdtrit(medians.size - 1, (1 + level) / 2))
    half = t * math.sqrt(variance / medians.size)
    return Interval(value, value - half, value + half, level, int(series.size))


def _checked(samples: FloatArray) -> FloatArray:
    series = np.asarray(samples, dtype=np.float64)
    if series.ndim != 1 or series.size == 0 or not np.isfinite(series).all():
        raise ValueError(f"samples must be a non-empty finite 1-D array, got {series.shape}")
    return series


def _batch_medians(series: FloatArray) -> FloatArray:
    """Return the medians of consecutive batches of equal length, give or take a sample."""
    batches = np.array_split(series, min(BATCHES, series.size))
    return np.array([np.median(batch) for batch in batches])


def _density(logs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a grid over sorted values and their kernel density on it, unscaled."""
    first, third = np.quantile(logs, [0.25, 0.75])
    spread = min(float(logs.std()), float(third - first) / 1.34)
    bandwidth = max(0.9 * spread * logs.size**-0.2, _LEAST_BANDWIDTH)
    grid = np.linspace(logs[0] - 3 * bandwidth, logs[-1] + 3 * bandwidth, _GRID)
    # Binned first: a kernel per sample is as good, and slow for long series.
    counts, edges = np.histogram(logs, bins=_GRID, range=(grid[0], grid[-1]))
    centres = (edges[1:] + edges[:-1]) / 2
    kernel = np.exp(-0.5 * ((grid[:, None] - centres[None, :]) / bandwidth) ** 2)
    return grid, kernel @ counts.astype(np.float64)
