"""Change points of a series of runs: where a figure stepped, and not merely moved about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# The share of flat series in which a step is seen: what docs/ci/history.md states, measured.
LEVEL = 0.01
PERMUTATIONS = 999
# Fewer runs on one side of a step than these are an outlier as well as a step.
LEAST_RUNS = 3


@dataclass(frozen=True)
class Step:
    """The first run of a new level, counted from 0, and the medians before and after it.

    ``p`` is the probability of so clear a step in a series without any; 0 of a figure that repeats
    exactly from run to run.
    """

    at: int
    before: float
    after: float
    p: float


def steps(values: FloatArray, exact: bool = False) -> tuple[Step, ...]:
    """Return where a series steps, in order.

    An ``exact`` figure (bytes), and one that mostly repeats from run to run (the accuracy of one
    file on the same items), has no noise: each change is a step. Any other series is split by
    ruptures where its ranks differ most, and a permutation test decides; then both sides likewise.
    Ranks, because one run on a busy machine must not look like a step. Raises ImportError without
    ruptures.
    """
    if exact or repeats(values):
        edges = np.flatnonzero(np.diff(values)) + 1
        p_values = {int(edge): 0.0 for edge in edges}
    else:
        p_values = dict(_split(values, 0, np.random.default_rng(0)))
    bounds = [0, *sorted(p_values), len(values)]
    return tuple(
        Step(
            at=at,
            before=float(np.median(values[bounds[number] : at])),
            after=float(np.median(values[at : bounds[number + 2]])),
            p=p_values[at],
        )
        for number, at in enumerate(bounds[1:-1])
    )


def repeats(values: FloatArray) -> bool:
    """Tell whether a series is mostly equal to the run before: a figure without noise."""
    return 2 * int(np.count_nonzero(np.diff(values) == 0)) >= len(values) - 1


def _split(
    values: FloatArray, first: int, random: np.random.Generator
) -> Iterator[tuple[int, float]]:
    """Yield the steps of a part of the series that begins at run ``first``, with their p."""
    if len(values) < 2 * LEAST_RUNS:
        return
    from scipy.stats import rankdata

    ranks = rankdata(values)
    at = _clearest(ranks)
    shuffled = random.permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
    clearer = int(np.count_nonzero(_gains(shuffled).max(axis=1) >= _gains(ranks[None]).max()))
    p = (1 + clearer) / (1 + PERMUTATIONS)
    if p > LEVEL:
        return
    yield from _split(values[:at], first, random)
    yield first + at, p
    yield from _split(values[at:], first + at, random)


def _clearest(ranks: FloatArray) -> int:
    """Return where the two sides differ most."""
    from ruptures import KernelCPD

    search: Any = KernelCPD(kernel="linear", min_size=LEAST_RUNS)
    return int(search.fit(ranks[:, None]).predict(n_bkps=1)[0])


def _gains(rows: FloatArray) -> FloatArray:
    """Return, for each row and each place to split it, what two means explain more than one."""
    length = rows.shape[1]
    left = np.arange(LEAST_RUNS, length - LEAST_RUNS + 1)
    centred = rows - rows.mean(axis=1, keepdims=True)
    sums = np.cumsum(centred, axis=1)[:, left - 1]
    return np.asarray(sums**2 * (1 / left + 1 / (length - left)))
