"""Worst cases of a perfect metric: items that are all alike do not show the others.

Resamples of items that are all answered rightly have no spread. Each function gives the share of
the metric that is kept where, of each class by itself, as many items are answered wrongly as may be
with none seen (:func:`edgekit.statistics.unseen_share`). For less to be kept, more would have to be
wrong in one class at least, and none seen of it is as improbable as the level says.
"""

from __future__ import annotations

import numpy as np

from edgekit.statistics import unseen_share

from .classes import ClassScores
from .detection import THRESHOLDS, matched
from .labels import LabelScores
from .masks import MaskCounts
from .metric import Array, Floats, Index


def of_items(labels: Array, scores: object) -> float:
    """Bound a share of items, or of their parts."""
    del scores
    return 1 - unseen_share(len(labels))


def of_classes(labels: Index, scores: ClassScores) -> float:
    """Bound a mean over classes of hits among items labelled, predicted, or either."""
    del scores
    return _mean(np.unique(labels, return_counts=True)[1])


def of_labels(labels: Array, scores: LabelScores) -> float:
    """Bound the same over several labels of each item."""
    del scores
    return _mean(labels.sum(axis=0))


def of_masks(labels: Index, counts: MaskCounts) -> float:
    """Bound the same over the classes of pixels, which stand and fall with their picture."""
    del labels
    return _mean((counts.labelled > 0).sum(axis=0))


def of_boxes(labels: Array, answers: Array) -> float:
    """Bound the same over the classes of boxes: a wrong picture has as many wrong boxes, which go
    first.

    With a share p of a class's boxes missed, and as many wrong ones before all others, recall ends
    at 1 - p, and no precision is above 1 - p.
    """
    found = matched(labels, answers, THRESHOLDS[:1])
    return _mean(np.array([np.count_nonzero(one.boxes) for one in found]))


def of_areas(labels: Index, scores: ClassScores) -> float:
    """Bound a mean over classes of the area under the ROC curve.

    A wrong item lies beyond all of the other kind.
    """
    counts = np.bincount(labels, minlength=scores.count)
    return float(np.mean([_kept(one) * _kept(len(labels) - one) for one in counts]))


def of_error_area(labels: Index, errors: Floats) -> float:
    """Bound the same of one error per item."""
    del errors
    positive = int((labels == 1).sum())
    return _kept(positive) * _kept(len(labels) - positive)


def of_precisions(labels: Index, scores: ClassScores) -> float:
    """Bound a mean over classes of the average precision."""
    counts = np.bincount(labels, minlength=scores.count)
    return float(np.mean([_precision(int(one), len(labels) - int(one)) for one in counts]))


def of_label_precisions(labels: Array, scores: LabelScores) -> float:
    """Bound the same over several labels of each item."""
    del scores
    counts = labels.sum(axis=0)
    return float(np.mean([_precision(int(one), len(labels) - int(one)) for one in counts]))


def _kept(n: int) -> float:
    return 1 - unseen_share(n) if n else 0.0


def _mean(counts: Index) -> float:
    return float(np.mean([_kept(int(n)) ** 2 for n in counts if n]))


def _precision(positive: int, rest: int) -> float:
    """Return the average precision where wrong items of the rest go first, and wrong positives
    last.
    """
    if not positive:
        return 0.0
    found = np.arange(1, int(_kept(positive) * positive) + 1)
    first = (1 - _kept(rest)) * rest
    return float((found / (found + first)).sum() / positive)
