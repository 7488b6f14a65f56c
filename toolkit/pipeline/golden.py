"""Which items a bundle's self-test runs, and how far their outputs may lie apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.evaluation.tasks import margins
from edgekit.evaluation.tasks.margins import DecisionMargin

Floats = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
FEWEST, MOST = 8, 32
# Bytes that the golden inputs of a bundle may take; the fewest items are taken in any case.
MOST_BYTES = 8_000_000
# Items looked at, evenly spread: enough to find every class, quick where outputs are pictures.
LOOKED_AT = 4096
# Values looked at of outputs that are pictures themselves.
MOST_VALUES = 1 << 24
# Below half of the distance between the best class and the next, no other class comes first.
SHARE_OF_MARGIN = 0.49


def margin_of(values: Floats) -> DecisionMargin:
    """Return what tells the answers of an output whose task is not known: classes where it
    scores any.
    """
    if scores_classes(values):
        return margins.CLASSES
    return margins.WHOLE_NUMBERS if values.dtype.kind in "iu" else margins.NUMBERS


def choose(
    outputs: Mapping[str, Floats],
    labels: npt.NDArray[Any] | None,
    item_bytes: int,
    known: Mapping[str, DecisionMargin] | None = None,
) -> Index:
    """Return positions of the items to keep, in order.

    They are spread over what the first output with answers of its own gives (``known`` says what
    tells them), and over the classes of the labels, each time the clearest first: any two classes
    that change places are seen. Without answers they are spread over the outputs' range, both ends
    with them.
    """
    count = min((len(values) for values in outputs.values()), default=0)
    size = max(int(np.prod(values.shape[1:])) for values in outputs.values())
    most = min(count, LOOKED_AT, max(FEWEST, MOST_VALUES // max(size, 1)))
    looked = np.unique(np.linspace(0, count - 1, most).astype(np.int64))
    groups: list[list[int]] = []
    for name, values in outputs.items():
        by = (known or {}).get(name) or margin_of(values)
        rows = np.asarray(values[looked])
        margin = by.margins(rows)
        groups = by.groups(rows, margin)
        if groups:
            break
    if not groups:
        values = next(iter(outputs.values()))
        wanted = _most(FEWEST, item_bytes)
        ranks = np.linspace(0, len(looked) - 1, min(wanted, len(looked))).round().astype(np.int64)
        order = np.argsort(_values(values, looked), kind="stable")
        return np.sort(looked[order[np.unique(ranks)]])
    answers = len(groups)
    if labels is not None and labels.shape == (count,):
        of_labels = labels[looked]
        order = np.argsort(-margin, kind="stable")
        groups += [[int(i) for i in order if of_labels[i] == k] for k in np.unique(of_labels)]
    width = outputs[name].shape[-1] if scores_classes(outputs[name]) else answers
    wanted = _most(max(FEWEST, width), item_bytes)
    return np.sort(looked[_in_turn(groups, min(wanted, len(looked)))])


def begin(streams: tuple[int, ...], count: int, item_bytes: int) -> Index:
    """Return positions of the first items of the longest stream, in order."""
    lengths = np.diff([*streams, count])
    first = streams[int(lengths.argmax())]
    return np.arange(first, first + min(int(lengths.max()), _most(MOST, item_bytes)))


def scores_classes(values: Floats) -> bool:
    """Tell whether an output holds a score per class of each item."""
    return values.ndim == 2 and values.shape[1] > 1 and values.dtype.kind == "f"


def tolerance(
    values: Floats, rounding: float, by: DecisionMargin | None = None
) -> tuple[float, bool]:
    """Tell how far golden outputs may lie apart, and whether that tells one answer from another.

    ``rounding`` is what runtimes may differ by; where the answers lie further apart than that, no
    wrong one passes.
    """
    by = by or margin_of(values)
    clear = SHARE_OF_MARGIN * _clearness(values, by)
    if not np.isfinite(clear):
        return rounding, True
    return min(rounding, clear) if clear > 0 else rounding, clear >= rounding


def _clearness(values: Floats, by: DecisionMargin) -> float:
    """Tell how far the least clear answer is from the next."""
    margin = by.margins(values)
    if not by.whole:
        return float(margin.min())
    if by is margins.PLACES and values.dtype.kind == "f":
        clear, answers = margins.clearest(values)
        return float(min(clear[:, k].max() for k in answers))
    return float(margin.max())


def clear_items(values: Floats, rounding: float, by: DecisionMargin | None = None) -> Index:
    """Return positions of the golden items whose answers lie further apart than rounding; else
    of all.
    """
    by = by or margin_of(values)
    if by.whole:
        return np.arange(len(values))
    found = np.flatnonzero(SHARE_OF_MARGIN * by.margins(values) >= rounding)
    return found if len(found) else np.arange(len(values))


def _most(count: int, item_bytes: int) -> int:
    """Return as many items as there may be, by their number and their bytes."""
    return max(FEWEST, min(count, MOST, MOST_BYTES // max(item_bytes, 1)))


def _in_turn(groups: list[list[int]], count: int) -> Index:
    """Return the first of each group, then the second of each, without the same twice."""
    chosen: dict[int, None] = {}
    for rank in range(max(map(len, groups))):
        for group in groups:
            if rank < len(group) and len(chosen) < count:
                chosen.setdefault(group[rank])
        if len(chosen) >= count:
            break
    return np.array(sorted(chosen), np.int64)


def _values(values: Floats, looked: Index) -> npt.NDArray[np.float64]:
    """Return one number an item, by which it lies in the outputs' range."""
    return np.array([np.asarray(values[i], np.float64).mean() for i in looked])
