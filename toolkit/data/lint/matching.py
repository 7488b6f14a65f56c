"""What fits the model's inputs by name, shape and dtype, and is wrong all the same.

What does not fit is refused before anything is linted: see :func:`edgekit.data.match`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from edgekit.data.lint.subset import Subset, listed
from edgekit.types import Advice, TensorSpec

# A pair of inputs counts as exchanged where each resembles the other this much better than itself.
CLEARLY = 3.0
FEWEST = 20


def lint(subset: Subset, beside: Subset | None) -> Iterator[Advice]:
    """Find EK-LINT-001 and -002 in a subset, beside another where there is one."""
    for spec in subset.specs:
        yield from _dtype(subset, spec)
    if beside is not None:
        yield from _exchanged(subset, beside)


def _dtype(subset: Subset, spec: TensorSpec) -> Iterator[Advice]:
    """Find integers that the input's dtype cannot hold: a cast wraps them without an error."""
    raw, dtype = subset.raw(spec), np.dtype(spec.dtype)
    if dtype.kind not in "iu" or raw.dtype.kind not in "iu" or raw.dtype == dtype:
        return
    bounds = np.iinfo(dtype)
    lows, highs = [], []
    for block in subset.raw_blocks(spec):
        flat = block.reshape(len(block), -1)
        lows.append(flat.min(axis=1))
        highs.append(flat.max(axis=1))
    low, high = np.concatenate(lows), np.concatenate(highs)
    wrong = np.flatnonzero((low < bounds.min) | (high > bounds.max))
    if len(wrong):
        message = (
            f"{subset.title}: input {spec.name!r} takes {spec.dtype}, {bounds.min} to {bounds.max};"
            f" {len(wrong):,} of {len(subset):,} items hold values outside, {low.min()} to"
            f" {high.max()}, that wrap around (items {listed(subset.index[wrong])})"
        )
        fix = "map such values into the range, or remove those items"
        yield Advice("EK-LINT-001", "error", message, fix)


def _exchanged(subset: Subset, beside: Subset) -> Iterator[Advice]:
    """Find two inputs of one shape whose arrays were saved under each other's names."""
    if min(len(subset), len(beside)) < FEWEST:
        return
    for left, right in itertools.combinations(subset.specs, 2):
        if left.shape != right.shape or left.dtype != right.dtype:
            continue
        straight = max(_apart(subset, left, beside, left), _apart(subset, right, beside, right))
        crossed = max(_apart(subset, left, beside, right), _apart(subset, right, beside, left))
        if straight > 1.0 and straight > CLEARLY * crossed:
            message = (
                f"{subset.title}: {left.name!r} and {right.name!r} look exchanged: each is"
                f" distributed as the other is in the {beside.title}"
            )
            fix = "save each array under the name of its own input: inputs are matched by name"
            yield Advice("EK-LINT-002", "error", message, fix)


def _apart(subset: Subset, spec: TensorSpec, beside: Subset, other: TensorSpec) -> float:
    """Compute the distance of two distributions, in standard deviations and their ratio."""
    ours, theirs = subset.sample(spec), beside.sample(other)
    spread = max(float(theirs.std()), 1e-12)
    ratio = max(float(ours.std()), 1e-12) / spread
    return abs(float(ours.mean()) - float(theirs.mean())) / spread + abs(float(np.log2(ratio)))
