"""Intervals of latency percentiles and ratios, over launches that hold blocks of samples.

A launch is one process on the device, a block an uninterrupted run of samples within it. Samples of
a block are not independent (caches, clock frequency, temperature), nor are blocks of a launch
(memory layout); what is resampled is therefore launches, then blocks within each launch drawn.

Few launches show too little of how much launches differ: where that is most of the noise, a plain
bootstrap's nominal 95 % covers some 60, 75 and 88 % of the time with 2, 3 and 5 of them. So the
bounds are moved away from the value by t(L-1)/z · √(L/(L-1)) for L launches: as a t interval
against a normal one, and as a variance divided by L-1 against one divided by L. They are moved as
logarithms, so that those of two launches, nine times as far away, stay above zero.

`launch_ratio` needs at least six launches, and no such correction: it takes one value per launch.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .interval import Interval, two_sided_z, unbounded
from .order import median_of_independent
from .student import t_quantile

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
#: launches[j][i] is block i of launch j: a 1-D array of times in nanoseconds.
Launches = Sequence[Sequence[FloatArray]]


def percentile_interval(
    launches: Launches, q: float, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Return the q-th percentile (nearest rank, q in 0..100) of all samples, by hierarchical
    bootstrap.

    Unit of the samples; blocks and launches may differ in size. With one launch the interval
    covers noise within that launch only; with one block in all it is unbounded. Bounds equal to
    the value mean that every resample repeated it (a cycle counter, or a coarse clock).
    Raises ValueError where q is outside (0, 100), or there is no launch, an empty one, or a block
    that is empty, not 1-D or not finite.
    Source: Davison & Hinkley (1997), "Bootstrap methods and their application", section 3.8
    (hierarchical data).
    """
    if not 0 < q < 100:
        raise ValueError(f"q must be between 0 and 100, got {q}")
    _check(level, resamples)
    blocks = [np.sort(block) for block in _flatten(launches)]
    pooled = np.sort(np.concatenate(blocks))
    value = float(pooled[_rank(q, np.array([pooled.size]))[0] - 1])
    if len(blocks) == 1:
        return unbounded(value, level, pooled.size)
    counts = _block_counts(tuple(len(launch) for launch in launches), resamples, seed)
    drawn = _resampled_percentiles(blocks, pooled, counts, q)
    low, high = _bounds(drawn, level, value, len(launches))
    return Interval(value, low, high, level, pooled.size)


def launch_ratio(candidate: Launches, reference: Launches, *, level: float = 0.95) -> Interval:
    """Return the median over launches of each launch's median ratio of paired block medians.

    n is the number of launches. A launch counts once, because one loaded copy of a model keeps its
    speed for as long as it lives (memory layout), which further blocks do not average out; the
    interval is `median_of_independent`'s, so that a few launches in which one copy was far off do
    not move it. Below six launches (at 95 %) it is unbounded.
    Block i of launch j was measured next to its namesake, so drift common to both cancels.
    Raises ValueError where the two differ in launches or blocks, a median is not positive, or a
    block is empty, not 1-D or not finite.
    Source: Kalibera & Jones (2013), "Rigorous benchmarking in reasonable time", ISMM (repeat at
    the highest level that varies); Mytkowicz et al. (2009), "Producing wrong data without doing
    anything obviously wrong!", ASPLOS (layout).
    """
    ratios = _block_ratios(candidate, reference)
    if not all((launch > 0).all() for launch in ratios):
        raise ValueError("every median of the candidate must be positive")
    # On logarithms: swapping the two sides must invert the bounds.
    found = median_of_independent(np.array([np.median(np.log(r)) for r in ratios]), level)
    return Interval(
        math.exp(found.value), math.exp(found.low), math.exp(found.high), level, found.n
    )


def _block_ratios(candidate: Launches, reference: Launches) -> list[FloatArray]:
    """Return by launch the ratios of medians of blocks that were measured side by side."""
    sizes = [len(launch) for launch in reference]
    if [len(launch) for launch in candidate] != sizes:
        raise ValueError("candidate and reference must have the same launches and blocks")
    above, below = _medians(_flatten(candidate)), _medians(_flatten(reference))
    if not (below > 0).all():
        raise ValueError("every median of the reference must be positive")
    return np.split(above / below, np.cumsum(sizes)[:-1])


def _check(level: float, resamples: int) -> None:
    two_sided_z(level)
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")


def _flatten(launches: Launches) -> list[FloatArray]:
    """Return all blocks, launch by launch."""
    if not launches or not all(len(launch) for launch in launches):
        raise ValueError("there must be a launch, and a block in each")
    blocks = [np.asarray(block, dtype=np.float64) for launch in launches for block in launch]
    whole = all(block.ndim == 1 and block.size for block in blocks)
    if not whole or not np.isfinite(np.concatenate(blocks)).all():
        raise ValueError("every block must be a non-empty 1-D array of finite times")
    return blocks


def _medians(blocks: Sequence[FloatArray]) -> FloatArray:
    """Return the median of each block, all at once: a call per block takes many times as long."""
    sizes = np.array([block.size for block in blocks])
    samples = np.concatenate(blocks)
    ordered = samples[np.lexsort((samples, np.repeat(np.arange(sizes.size), sizes)))]
    starts = np.cumsum(sizes) - sizes
    medians: FloatArray = (ordered[starts + (sizes - 1) // 2] + ordered[starts + sizes // 2]) / 2
    return medians


@functools.lru_cache(maxsize=4)
def _block_counts(sizes: tuple[int, ...], resamples: int, seed: int) -> IntArray:
    """Count how often each resample draws each block, [resamples, blocks].

    Kept: every percentile of every model that took turns is resampled alike.
    """
    rng = np.random.default_rng(seed)
    launches = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=resamples)
    # A launch drawn k times has its blocks redrawn k times, and k draws of m are one draw of k m.
    return np.concatenate(
        [
            rng.multinomial(launches[:, j] * size, np.full(size, 1 / size))
            for j, size in enumerate(sizes)
        ],
        axis=1,
    )


def _rank(q: float, totals: IntArray) -> IntArray:
    """Return the 1-based nearest rank of the q-th percentile among so many samples."""
    # The subtraction undoes rounding upwards: 99.9 % of 1000 is rank 999.
    ranks = np.ceil(q / 100 * totals - 1e-9).astype(np.int64)
    return np.asarray(np.clip(ranks, 1, totals), dtype=np.int64)


def _resampled_percentiles(
    blocks: Sequence[FloatArray], pooled: FloatArray, counts: IntArray, q: float
) -> FloatArray:
    """Return the q-th percentile of each resample, exactly, without building any resample.

    How many of a resample's samples are <= x follows from how many of each block's are, and how
    often each was drawn; bisection finds the x that has the rank wanted. It lies between the
    blocks' own percentiles, the least and the largest of them.
    """
    sizes = np.array([block.size for block in blocks])
    ranks = _rank(q, counts @ sizes)
    own = [block[rank - 1] for block, rank in zip(blocks, _rank(q, sizes), strict=True)]
    first, end = np.searchsorted(pooled, min(own)), np.searchsorted(pooled, max(own), side="right")
    among = pooled[first:end]
    covered = np.stack([np.searchsorted(block, among, side="right") for block in blocks])
    low = np.zeros(len(counts), dtype=np.int64)
    high = np.full(len(counts), among.size - 1, dtype=np.int64)
    while (low < high).any():
        middle = (low + high) // 2
        enough = np.einsum("rb,br->r", counts, covered[:, middle]) >= ranks
        high = np.where(enough, middle, high)
        low = np.where(enough, low, middle + 1)
    return among[low]


def _bounds(drawn: FloatArray, level: float, value: float, launches: int) -> tuple[float, float]:
    """Return equal tails of the resamples, widened for few launches as logarithms: no time is zero
    or less, and twice as long is as far away as half as long.
    """
    low, high = (float(end) for end in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    wider = _small_sample_factor(launches, level)
    # A clock too coarse for a run gives zero, and is not widened below it.
    below = value * (low / value) ** wider if low > 0 else min(low, value)
    return below, value * (high / value) ** wider if value > 0 else high


def _small_sample_factor(launches: int, level: float) -> float:
    """Return how much wider a t interval over so many launches is; 1 where launches are not
    compared.
    """
    if launches < 2:
        return 1.0
    t = t_quantile((1 + level) / 2, launches - 1)
    return t / two_sided_z(level) * math.sqrt(launches / (launches - 1))
