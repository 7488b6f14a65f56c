"""A subset of the data as the linter sees it: which items of which files, preprocessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgekit.data import preprocessing
from edgekit.types import Preprocess, TensorSpec

Array = npt.NDArray[Any]
Use = Literal["representative", "evaluation", "training"]

# What one look holds in memory at most: items are read in blocks, statistics from a sample.
BLOCK_BYTES = 1 << 24
SAMPLE_BYTES = 1 << 25
SAMPLE_ITEMS = 1000


@dataclass(frozen=True)
class Subset:
    """The items of one use.

    ``arrays`` are raw ``.npy`` files ``[N, ...]`` by input name, ``index`` ``[n]`` the items of
    them that belong to the subset, ``labels`` ``[n, ...]`` theirs where there are any.
    ``preprocess`` turns raw items into what the inputs ``specs`` take. ``class_names`` are what
    integer labels are called, where that is known.
    """

    use: Use
    source: str
    arrays: Mapping[str, Path]
    index: npt.NDArray[np.int64]
    labels: Array | None
    specs: tuple[TensorSpec, ...]
    preprocess: Preprocess
    class_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.use} data ({self.source})"

    def raw(self, spec: TensorSpec) -> Array:
        """Return one input's raw array, memory-mapped, of all items in the file."""
        return np.load(self.arrays[spec.name], mmap_mode="r")  # type: ignore[no-any-return]

    def blocks(self, spec: TensorSpec) -> Iterator[Array]:
        """Yield the subset's items as the model takes them, in order, a block at a time."""
        for block in self.raw_blocks(spec):
            yield self._apply(block, spec)

    def raw_blocks(self, spec: TensorSpec) -> Iterator[Array]:
        """Yield the subset's items as the file has them, in order, a block at a time."""
        raw = self.raw(spec)
        step = max(1, BLOCK_BYTES // max(1, 4 * int(np.prod(raw.shape[1:]))))
        for at in range(0, len(self.index), step):
            yield raw[self.index[at : at + step]]

    def sample(self, spec: TensorSpec) -> Array:
        """Return items as the model takes them, evenly spaced over the subset, as many as memory
        is for.
        """
        raw = self.raw(spec)
        fitting = max(2, SAMPLE_BYTES // max(1, 4 * int(np.prod(raw.shape[1:]))))
        count = min(len(self.index), SAMPLE_ITEMS, fitting)
        places = np.linspace(0, len(self.index), count, endpoint=False).astype(np.int64)
        return self._apply(raw[self.index[places]], spec)

    def _apply(self, raw: Array, spec: TensorSpec) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return preprocessing.apply(raw, spec, self.preprocess)


def listed(items: npt.ArrayLike, most: int = 5) -> str:
    """Format item numbers for a message: the first few, and how many more."""
    numbers = np.asarray(items)
    shown = ", ".join(str(n) for n in numbers[:most])
    return shown if len(numbers) <= most else f"{shown} and {len(numbers) - most:,} more"


def share(part: float, whole: float) -> str:
    """Return a share in per cent."""
    return f"{100 * part / whole:.3g} %"
