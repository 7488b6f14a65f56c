"""The arrays behind a training's batches: in files that are mapped and not read, or in memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]
# What TensorFlow computes on begins at such an address.
ALIGNED = 64


@dataclass(frozen=True)
class Column:
    """An array ``[N, ...]`` in a file or in memory, and what is done to a batch of its rows."""

    rows: Array
    prepare: Callable[[Any], Any]

    @property
    def first(self) -> Array:
        """The first row, as a batch of one."""
        return self.some(slice(1))

    def some(self, index: Index | slice) -> Array:
        """Read rows by their numbers, as the model takes them."""
        return np.asarray(self.prepare(np.ascontiguousarray(self.rows[index], _native(self.rows))))

    def reader(self) -> Callable[[Any], Any]:
        """Return a function that gathers raw rows by their numbers ``[n]``.

        A file is mapped, and not read as a whole.
        """
        import tensorflow as tf

        rows, dtype = self.rows, _native(self.rows)
        if not isinstance(rows, np.memmap):
            held = tf.constant(rows)
            return lambda index: tf.gather(held, index)
        if rows.flags.c_contiguous and rows.dtype == dtype and rows.ctypes.data % ALIGNED == 0:
            mapped = tf.experimental.dlpack.from_dlpack(_unguarded(rows).__dlpack__())
            return lambda index: tf.gather(mapped, index)

        def gather(index: Any) -> Any:
            gathered = tf.numpy_function(
                lambda at: np.ascontiguousarray(rows[at], dtype), [index], dtype, stateful=False
            )
            gathered.set_shape((None, *rows.shape[1:]))
            return gathered

        return gather


@dataclass(frozen=True)
class Columns:
    """The arrays behind batches, by name; ``weights`` has one column, or none."""

    inputs: Mapping[str, Column]
    targets: Mapping[str, Column]
    weights: tuple[Column, ...] = ()


def mapped(path: Path) -> Array:
    """Open an ``.npy`` file without reading it."""
    return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]


def _unguarded(rows: Array) -> Array:
    """Return the same memory as an array that is not read-only: numpy lends no other, and nothing
    writes to it.
    """
    buffer: Any = (ctypes.c_ubyte * rows.nbytes).from_address(rows.ctypes.data)
    # The file is mapped for as long as the memory is used.
    buffer.owner = rows
    return np.frombuffer(buffer, rows.dtype).reshape(rows.shape)


def _native(rows: Array) -> np.dtype[Any]:
    return rows.dtype.newbyteorder("=")
