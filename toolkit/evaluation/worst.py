"""The items that a model answers worst."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.evaluation.metrics import classification, regression
from edgekit.evaluation.metrics import labels as several
from edgekit.evaluation.metrics.classes import ClassScores
from edgekit.evaluation.metrics.measurement import read
from edgekit.evaluation.metrics.metric import Array, Floats, Metric
from edgekit.evaluation.metrics.texts import Edits
from edgekit.evaluation.texts import shown

Number = int | float | str | None


@dataclass(frozen=True)
class WorstItem:
    """An item by its number among those judged, and by what it is ranked.

    ``score`` is the confidence of a wrong class, or the item's own part of the metric. ``label``
    and ``answer`` are class numbers, single numbers or texts; nothing where an item has several.
    """

    item: int
    score: float
    label: Number
    answer: Number


def worst(metric: Metric, y_true: Array | None, y_pred: Array, count: int) -> tuple[WorstItem, ...]:
    """Return at most ``count`` items, worst first; equals in the order of the items.

    For classes: wrong answers, the most confident first; for ``log_loss`` the largest losses. For
    errors: the largest. For several labels and pixels: the largest share that is wrong. For
    texts: the most edits for their length. For boxes: the lowest F1 of a picture. For
    ``anomaly_auc``: by the share of the other kind on the wrong side of it. Nothing for a function
    without scores per item. Raises as ``measure`` does.
    """
    labels, (scores,) = read(metric, y_true, y_pred)
    badness = _badness(metric, labels, scores)
    if badness is None:
        return ()
    answers = scores.answered() if isinstance(scores, ClassScores) else scores
    if isinstance(scores, Edits):
        answers = scores.answers
    truths = labels if metric.takes_labels else None
    if metric.reads in ("labels", "masks", "vectors", "boxes"):
        answers = truths = None
    # A score that is better when higher, such as a cosine or a user's, is shown as it is.
    likeness = metric.reads in ("anything", "boxes") or (
        metric.reads == "numbers" and metric.per_item
    )
    sign = -1.0 if likeness and metric.direction == "higher" else 1.0
    order = np.argsort(-badness, kind="stable")[:count]
    return tuple(
        WorstItem(int(i), float(sign * badness[i]), _single(truths, i), _single(answers, i))
        for i in order
        if badness[i] > -np.inf
    )


def _badness(metric: Metric, labels: Any, scores: Any) -> Floats | None:
    """Compute the scores that rank the items, larger is worse; -inf where an item is right."""
    if metric.badness is not None:
        return metric.badness(labels, scores)
    if metric.reads == "classes":
        return classification.confident_misses(classification.hit, labels, scores)
    if metric.reads == "labels":
        return _where_wrong(several.right(labels, scores))
    if metric.reads == "masks":
        return _where_wrong(scores.accuracy)
    if metric.reads == "vectors" and metric.per_item:
        return _where_wrong(metric.per_item(labels, scores))
    if isinstance(scores, Edits):
        rate = scores.edits / np.maximum(scores.sizes, 1)
        return np.where(scores.edits > 0, rate, -np.inf)
    if metric.reads == "numbers" and metric.per_item is None:
        return regression.squared_error(labels, scores)
    found = metric.per_item(labels, scores) if metric.per_item else None
    return None if found is None else -metric.sign * found


def _where_wrong(shares: Floats | None) -> Floats | None:
    """Return 1 less the share, of the items where it is below 1."""
    return None if shares is None else np.where(shares < 1, 1 - shares, -np.inf)


def _single(values: Array | None, at: int) -> Number:
    if values is None:
        return None
    item = np.asarray(values[at])
    if item.dtype.kind == "U":
        return shown(str(item))
    if item.size != 1 or item.dtype.kind not in "iubf":
        return None
    return float(item.reshape(())) if item.dtype.kind == "f" else int(item.reshape(()))
