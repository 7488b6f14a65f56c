"""Batch items as a file takes them: along a free batch, in full batches, or one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def batch_size(arrays: Mapping[str, Array], shapes: Mapping[str, Sequence[int | None]]) -> int:
    """Return how many items one inference takes; 1 if that is free, or an input has no batch."""
    sizes = (shapes[name][0] for name in arrays if not _is_whole(arrays[name], shapes[name]))
    return max((int(size or 1) for size in sizes), default=1)


def in_batches(
    arrays: Mapping[str, Array], shapes: Mapping[str, Sequence[int | None]]
) -> Iterator[dict[str, Array]]:
    """Yield items ``[n, ...]`` by input, one inference after the other.

    A fixed batch is always full: the last one is filled up with its last item, which changes no
    range of values. ``shapes`` are the file's, where a free size is None, 1 or below.
    """
    count = min((len(array) for array in arrays.values()), default=0)
    batch = batch_size(arrays, shapes)
    for at in range(0, count, batch):
        places = np.minimum(np.arange(at, at + batch), count - 1)
        yield {
            name: np.asarray(array[at] if _is_whole(array, shapes[name]) else array[places])
            for name, array in arrays.items()
        }


def single_item(
    arrays: Mapping[str, Array], shapes: Mapping[str, Sequence[int | None]], item: int
) -> dict[str, Array]:
    """Return one item as an inference takes it: a fixed batch repeats that item."""
    batch = batch_size(arrays, shapes)
    return {
        name: np.ascontiguousarray(
            array[item] if _is_whole(array, shapes[name]) else np.repeat(array[[item]], batch, 0)
        )
        for name, array in arrays.items()
    }


def _is_whole(array: Array, shape: Sequence[int | None]) -> bool:
    """Tell whether an item is all of an input that has no batch dimension."""
    return len(shape) == array.ndim - 1 or not len(shape)
