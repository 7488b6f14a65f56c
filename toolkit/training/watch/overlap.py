"""Items that training and validation share: what is measured on them is no evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
# Larger training sets are compared in part: to read them whole would take minutes.
MOST_BYTES = 2_000_000_000


def count_shared(rows: Sequence[Array], items: Array, held_out: Array) -> tuple[int, int]:
    """Count the held-out items that are among the training items too, and how many of these were
    looked at.

    ``rows`` are arrays ``[N, ...]``, one per input; ``items`` and ``held_out`` number their rows.
    """
    if not len(held_out) or not len(items):
        return 0, 0
    each = sum(array[:1].nbytes for array in rows)
    looked_at = items[: max(1, MOST_BYTES // max(each, 1))]
    known = set(_digests(rows, held_out))
    if len(known) < len(held_out) / 2:
        # Tables of few distinct rows repeat by nature.
        return 0, len(looked_at)
    found = known.intersection(_digests(rows, looked_at))
    return sum(digest in found for digest in _digests(rows, held_out)), len(looked_at)


def _digests(rows: Sequence[Array], items: Array) -> Iterable[bytes]:
    for item in items:
        digest = hashlib.blake2b(digest_size=16)
        for array in rows:
            digest.update(np.ascontiguousarray(array[item]).data)
        yield digest.digest()
