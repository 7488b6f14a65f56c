"""Which items a bundle's self-test runs, and how far their outputs may lie apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
FEWEST, MOST = 8, 32
# Bytes that the golden inputs of a bundle may take; the fewest items are taken in any case.
MOST_BYTES = 8_000_000
# Items looked at, evenly spread: enough to find every class, quick where outputs are pictures.
LOOKED_AT = 4096
# Below half of the distance between the best class and the next, no other class comes first.
SHARE_OF_MARGIN = 0.49


def choose(
    outputs: Mapping[str, Floats], labels: npt.NDArray[Any] | None, item_bytes: int
) -> Index:
    """Positions of the items to keep, in order.

    Where an output ``[n, k]`` scores classes, they are spread over the classes that are answered,
    and over those of the labels, each time the clearest answers: any two classes that change
    places are seen. Else they are spread over the outputs' range, both ends with them.
    """
    count = min((len(values) for values in outputs.values()), default=0)
    looked = np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(np.int64))
    scored = next((v for v in outputs.values() if scores_classes(v)), None)
    if scored is None:
        size = _values(next(iter(outputs.values())), looked)
        wanted = _most(FEWEST, item_bytes)
        ranks = np.linspace(0, len(looked) - 1, min(wanted, len(looked))).round().astype(np.int64)
        return np.sort(looked[np.argsort(size, kind="stable")[np.unique(ranks)]])
    rows = np.asarray(scored[looked])
    margin = margins(rows)
    groups = _by_class(rows.argmax(axis=1), margin)
    if labels is not None and labels.shape == (count,):
        groups += _by_class(labels[looked], margin)
    wanted = _most(max(FEWEST, rows.shape[1]), item_bytes)
    return np.sort(looked[_in_turn(groups, min(wanted, len(looked)))])


def scores_classes(values: Floats) -> bool:
    """Whether an output holds a score per class of each item."""
    return values.ndim == 2 and values.shape[1] > 1


def margins(rows: Floats) -> Floats:
    """Of each row, by how much the largest value is above the next."""
    top = np.partition(rows, -2, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0], np.float32)


def tolerance(values: Floats, rounding: float) -> tuple[float, bool]:
    """How far golden outputs may lie apart, and whether that tells one class from another.

    ``rounding`` is what runtimes may differ by; where the classes lie further apart than that, no
    wrong class passes.
    """
    if not scores_classes(values):
        return rounding, True
    clear = SHARE_OF_MARGIN * float(margins(values).min())
    return min(rounding, clear) if clear > 0 else rounding, clear >= rounding


def clear_items(values: Floats, rounding: float) -> Index:
    """Positions of the golden items whose classes lie further apart than rounding; else of all."""
    if not scores_classes(values):
        return np.arange(len(values))
    found = np.flatnonzero(SHARE_OF_MARGIN * margins(values) >= rounding)
    return found if len(found) else np.arange(len(values))


def _most(count: int, item_bytes: int) -> int:
    """As many items as there may be, by their number and their bytes."""
    return max(FEWEST, min(count, MOST, MOST_BYTES // max(item_bytes, 1)))


def _by_class(classes: npt.NDArray[Any], margin: Floats) -> list[list[int]]:
    """Positions by class, the clearest answers first."""
    order = np.argsort(-margin, kind="stable")
    return [[int(i) for i in order if classes[i] == one] for one in np.unique(classes)]


def _in_turn(groups: list[list[int]], count: int) -> Index:
    """The first of each group, then the second of each, without the same twice."""
    found: dict[int, None] = {}
    for rank in range(max(map(len, groups))):
        for group in groups:
            if rank < len(group) and len(found) < count:
                found.setdefault(group[rank])
        if len(found) >= count:
            break
    return np.array(sorted(found), np.int64)


def _values(values: Floats, looked: Index) -> npt.NDArray[np.float64]:
    """One number an item, by which it lies in the outputs' range."""
    return np.array([np.asarray(values[i], np.float64).mean() for i in looked])
