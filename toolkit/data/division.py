"""Items divided into parts that share none: by what an item is, or by its group, and a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data.dataset import Dataset
from edgekit.data.digests import Digests, file_digests
from edgekit.errors import DataError

CODE = "EK-DATA-081"
REST = "train"

Index = npt.NDArray[np.int64]


def divide(
    dataset: Dataset, shares: Mapping[str, float], seed: int = 0, group: str | None = None
) -> Mapping[str, Index]:
    """Return item numbers, ascending, of parts by name, and of the rest as ``train``.

    Where an item belongs depends on its content and the seed alone: identical items are in one
    part, and items that are added to the data move no other. With the name of a ``group`` column
    all items of one group are in one part. A part holds its share of the items by chance, exactly
    so only in the mean. Raises :class:`DataError` where a part would be empty.
    """
    if group is None:
        keys = file_digests(dataset.arrays, dataset.count)
    else:
        keys = _text_digests(dataset.columns([group])[group])
    places = _places(keys, seed)
    parts: dict[str, Index] = {}
    low = 0.0
    for name, share in shares.items():
        parts[name] = np.flatnonzero((places >= low) & (places < low + share))
        low += share
    parts[REST] = np.flatnonzero(places >= low)
    for name, index in parts.items():
        if not len(index):
            kind = "distinct items" if group is None else f"groups ({group!r})"
            message = (
                f"{dataset.source}: none of {len(np.unique(keys)):,} {kind} falls into the part"
                f" {name!r}"
            )
            raise DataError(CODE, message, "give it a larger share, or data of its own")
    return parts


def common(left: Dataset, right: Dataset) -> Index:
    """Return the numbers of ``left``'s items that ``right`` holds as well."""
    if left.arrays.keys() != right.arrays.keys():
        return np.zeros(0, np.int64)
    ours, theirs = (file_digests(one.arrays, one.count) for one in (left, right))
    return np.flatnonzero(np.isin(ours, theirs))


def _text_digests(values: npt.NDArray[Any]) -> Digests:
    found, inverse = np.unique(values, return_inverse=True)
    hashes = b"".join(
        hashlib.blake2b(str(value).encode(), digest_size=16).digest() for value in found
    )
    return np.frombuffer(hashes, "V16")[inverse]


def _places(keys: Digests, seed: int) -> npt.NDArray[np.float64]:
    """Return a place in 0 to 1 for each key.

    Source: the finalizer of SplitMix64, Steele, Lea and Flood (2014), "Fast splittable
    pseudorandom number generators".
    """
    salt = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    mixed = keys.view(np.uint64)[::2] ^ np.frombuffer(salt, np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / (1 << 53)
