"""Classes in detail for a page: the confusion matrix, and confidence against accuracy."""

from __future__ import annotations

import numpy as np

from edgekit.types import Measurement
from edgekit.types.details import Confusion, Reliability, ReliabilityBin

from .classes import ClassScores
from .classification import BINS, bins_of, confidences, hit
from .details import MOST_CLASSES, confusion
from .measurement import read
from .metric import Array, Index, Metric


def confusion_matrix(
    metric: Metric, y_true: Array | None, y_pred: Array, names: tuple[str, ...] = ()
) -> Confusion:
    """Count which class is answered as which.

    Raises ValueError that says why there is none, of other metrics and more than 100 classes.
    """
    labels, scores = _classes(metric, y_true, y_pred)
    if scores.count > MOST_CLASSES:
        raise ValueError(f"{scores.count} classes are more than the {MOST_CLASSES} that are shown")
    called = names if len(names) == scores.count else tuple(map(str, range(scores.count)))
    matrix = confusion(labels, scores)
    return Confusion(called, tuple(tuple(map(int, row)) for row in matrix))


def reliability(metric: Metric, y_true: Array | None, y_pred: Array) -> Reliability:
    """Bin the items by their confidence, as the metric ``calibration_error`` does.

    Raises ValueError that says why it cannot be, of other metrics and of class numbers.
    """
    labels, scores = _classes(metric, y_true, y_pred)
    if scores.numbers:
        raise ValueError("the model answers class numbers, which have no confidence")
    confidence, right = confidences(scores), hit(labels, scores)
    bins = bins_of(confidence)
    counts = np.bincount(bins, minlength=BINS)
    sums = [np.bincount(bins, values, BINS) for values in (confidence, right)]
    rows = tuple(
        ReliabilityBin(
            at / BINS,
            (at + 1) / BINS,
            int(count),
            float(sums[0][at] / count) if count else None,
            float(sums[1][at] / count) if count else None,
        )
        for at, count in enumerate(counts)
    )
    error = float(np.abs(sums[1] - sums[0]).sum() / len(labels))
    return Reliability(rows, Measurement(error, "1", n=len(labels), tool=f"{BINS} equal bins"))


def _classes(metric: Metric, y_true: Array | None, y_pred: Array) -> tuple[Index, ClassScores]:
    if metric.reads != "classes":
        raise ValueError(f"{metric.name} is not a metric of one class per item")
    labels, (scores,) = read(metric, y_true, y_pred)
    return labels, scores
