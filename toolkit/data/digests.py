"""Digests of items, by which identical ones are found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

DIGEST_BYTES = 16
# Rows are read so many bytes at a time.
BLOCK_BYTES = 1 << 24

Digests = npt.NDArray[np.void]


def digests_of(inputs: Iterable[Iterable[npt.NDArray[Any]]], count: int) -> Digests:
    """Hash ``count`` items over all their inputs, each given as blocks of rows: ``[count]``.

    Memory does not grow with the items' size.
    """
    digests = [hashlib.blake2b(digest_size=DIGEST_BYTES) for _ in range(count)]
    for blocks in inputs:
        at = 0
        for block in blocks:
            # Adding zero makes one zero of the two that floats have.
            flat = np.ascontiguousarray(block.reshape(len(block), -1) + np.zeros(1, block.dtype))
            for row in flat:
                digests[at].update(row.data)
                at += 1
    joined = b"".join(digest.digest() for digest in digests)
    return np.frombuffer(joined, f"V{DIGEST_BYTES}")


def file_digests(arrays: Mapping[str, Path], count: int) -> Digests:
    """Hash the items of raw arrays in ``.npy`` files, ``[count, ...]`` each."""
    return digests_of((_blocks(arrays[name]) for name in sorted(arrays)), count)


def _blocks(path: Path) -> Iterator[npt.NDArray[Any]]:
    rows = np.load(path, mmap_mode="r")
    step = max(1, BLOCK_BYTES // max(1, rows[:1].nbytes))
    for at in range(0, len(rows), step):
        yield np.asarray(rows[at : at + step])
