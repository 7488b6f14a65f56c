"""Which items calibrate and which are judged: never the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

SEED = 20260101
SAMPLES = 200
LARGEST_SHARE = 5

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Item numbers, ascending: the representative dataset's and the evaluation's."""

    representative: Index
    evaluation: Index


def split(labels: npt.NDArray[Any], samples: int = SAMPLES, seed: int = SEED) -> Split:
    """Set ``samples`` items, never more than a fifth, apart for calibration.

    Stratified by label where ``labels`` ``[N]`` are integers.
    """
    count = len(labels)
    representative = choose(labels, count, min(samples, count // LARGEST_SHARE), seed)
    rest = np.setdiff1d(np.arange(count), representative)
    return Split(representative, rest)


def choose(labels: npt.NDArray[Any] | None, count: int, samples: int, seed: int = SEED) -> Index:
    """Choose ``samples`` of ``count`` item numbers, ascending, stratified by class."""
    order = np.random.default_rng(seed).permutation(count)
    samples = min(samples, count)
    if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iub":
        # Sorted by class, evenly spaced picks hold each class in proportion.
        by_class = order[np.argsort(labels[order], kind="stable")]
        picks = np.linspace(0, count, samples, endpoint=False) + count / (2 * max(samples, 1))
        return np.sort(by_class[picks.astype(np.int64)])
    return np.sort(order[:samples])
