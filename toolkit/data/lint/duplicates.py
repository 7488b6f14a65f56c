"""Items that occur twice: within a subset, and in two subsets that must not share any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgekit.data.digests import Digests, digests_of
from edgekit.data.lint.subset import Array, Subset, listed, share
from edgekit.types import Advice

# More than a curiosity: real sets hold the odd item twice.
REPEATED_SHARE = 0.05
SHARED_SHARE = 0.01


@dataclass(frozen=True)
class Hashed:
    """A subset and the digests ``[n]`` of its items, as the model takes them."""

    subset: Subset
    digests: Digests

    @property
    def repeated(self) -> Array:
        """Places of items that occurred before."""
        _, first = np.unique(self.digests, return_index=True)
        return np.setdiff1d(np.arange(len(self.digests)), first)


def hashed(subset: Subset) -> Hashed:
    """Hash every item over all inputs, in blocks: memory does not grow with the items' size."""
    specs = sorted(subset.specs, key=lambda one: one.name)
    return Hashed(subset, digests_of(map(subset.blocks, specs), len(subset)))


def lint(hashes: tuple[Hashed, ...]) -> Iterator[Advice]:
    """Find EK-LINT-030 to -032, over subsets in the order representative, evaluation, training.

    Data that repeats by nature, such as tables of few distinct rows, is held against itself: what
    two subsets share counts where it is more than each repeats on its own.
    """
    for left in hashes:
        if left.subset.use == "representative":
            yield from _repeated(left)
    for number, left in enumerate(hashes):
        for right in hashes[number + 1 :]:
            if (left.subset.use, right.subset.use) != ("representative", "training"):
                yield from _shared(left, right)


def _repeated(hashes: Hashed) -> Iterator[Advice]:
    subset, again = hashes.subset, hashes.repeated
    if not len(again) or len(np.unique(hashes.digests)) < 2:
        return
    severe = len(again) > REPEATED_SHARE * len(subset)
    message = (
        f"{subset.title}: {len(again):,} of {len(subset):,} items"
        f" ({share(len(again), len(subset))}) repeat an earlier one"
        f" (items {listed(subset.index[again])})"
    )
    fix = "remove the repetitions: they add time to calibration and nothing else"
    yield Advice("EK-LINT-030", "warning" if severe else "info", message, fix)


def _shared(left: Hashed, right: Hashed) -> Iterator[Advice]:
    both = np.flatnonzero(np.isin(left.digests, right.digests))
    smaller = min(len(left.subset), len(right.subset))
    if not len(both):
        return
    natural = max(len(h.repeated) / len(h.subset) for h in (left, right))
    excess = len(both) / smaller - 2 * natural
    severe = excess > SHARED_SHARE and len(both) > 1
    representative = left.subset.use == "representative"
    message = (
        f"{len(both):,} of {len(left.subset):,} items of the {left.subset.title} are in the"
        f" {right.subset.title} too (items {listed(left.subset.index[both])})"
    )
    fix = (
        "keep them apart: calibrated on the evaluation items, a model looks better than it is"
        if representative
        else "keep them apart: a model is not judged by what it was trained on"
    )
    code = "EK-LINT-031" if representative else "EK-LINT-032"
    yield Advice(code, "warning" if severe else "info", message, fix)
