"""A metric by class, or by label: which of them a model predicts badly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgekit import statistics
from edgekit.types import Measurement, Part

from .classes import ClassScores
from .details import MOST_CLASSES, details
from .labels import LabelScores
from .masks import MaskCounts, ious
from .measurement import ALIKE, ROUNDING, read
from .metric import Array, Floats, Index, Metric
from .ranking import Ranking, average_precisions

RESAMPLES = 1000
MOST_EMPTY = 0.1
LEVEL = 0.95
Figures = Callable[[Index], Floats]


def parts(
    metric: Metric, y_true: Array | None, y_pred: Array, names: tuple[str, ...] = ()
) -> tuple[Part, ...]:
    """Return every class or label with its figures, of at most 100; none for other metrics.

    Of classes precision, recall and F1, of pixels intersection over union, of several labels per
    item accuracy, F1 and average precision. Raises :class:`DataError` where labels do not fit.
    """
    if metric.reads not in ("classes", "masks", "labels"):
        return ()
    labels, (scores,) = read(metric, y_true, y_pred)
    if isinstance(scores, ClassScores):
        return () if scores.count > MOST_CLASSES else _of_classes(metric, y_true, y_pred, names)
    counts, figures = (
        _of_masks(scores) if isinstance(scores, MaskCounts) else _of_labels(labels, scores)
    )
    width = len(counts)
    if width > MOST_CLASSES:
        return ()
    called = names if len(names) == width else tuple(map(str, range(width)))
    return tuple(
        Part(k, called[k], int(counts[k]), {name: found[k] for name, found in figures.items()})
        for k in range(width)
    )


def _of_classes(
    metric: Metric, y_true: Array | None, y_pred: Array, names: tuple[str, ...]
) -> tuple[Part, ...]:
    detailed = details(metric, y_true, y_pred, names)
    return tuple(
        Part(
            figures.number,
            figures.name,
            figures.labelled,
            {"precision": figures.precision, "recall": figures.recall, "f1": figures.f1},
        )
        for figures in (detailed.classes if detailed else ())
    )


def _of_masks(counts: MaskCounts) -> tuple[Index, Mapping[str, list[Measurement]]]:
    """Count the pictures of each class, and compute its intersection over union."""
    pictures = np.asarray((counts.labelled > 0).sum(axis=0), np.int64)
    return pictures, {"iou": _drawn(lambda items: ious(counts, items), len(counts), pictures)}


def _of_labels(labels: Array, scores: LabelScores) -> tuple[Index, Mapping[str, list[Measurement]]]:
    """Count the items of each label, and compute its figures."""
    n, times = len(labels), np.asarray(labels.sum(axis=0), np.int64)
    predicted = scores.answered()
    right = (labels == predicted).sum(axis=0)
    accuracy = [statistics.wilson(int(hit), n).measurement("1", "Wilson") for hit in right]
    hits, either = labels & predicted, labels.astype(np.int64) + predicted

    def f1(items: Index) -> Floats:
        weight = np.bincount(items, minlength=n).astype(np.float64)
        of = weight @ either
        return np.divide(2 * (weight @ hits), of, out=np.full(len(of), np.nan), where=of > 0)

    return times, {
        "accuracy": accuracy,
        "f1": _drawn(f1, n, times),
        "average_precision": _precisions(labels, scores, times),
    }


def _precisions(labels: Array, scores: LabelScores, times: Index) -> list[Measurement]:
    """Return the average precision of each label that some item has."""
    absent = Measurement.unavailable("1", "no item has this label")
    precisions, had = [absent] * len(times), np.flatnonzero(times)
    if len(had):
        ranking = Ranking(np.asarray(scores.outputs[:, had], np.float64), labels[:, had])
        drawn = _drawn(lambda items: average_precisions(ranking, items), len(labels), times[had])
        for place, precision in zip(had, drawn, strict=True):
            precisions[place] = precision
    return precisions


def _drawn(of: Figures, n: int, counts: Index) -> list[Measurement]:
    """Compute each class's figure with the percentile bootstrap's interval over items.

    Unbounded where more than a tenth of the resamples lacks the class. Where none differs, and all
    is right, as :mod:`edgekit.evaluation.metrics.worst_case` has it.
    """
    rng = np.random.default_rng(0)
    whole = of(np.arange(n))
    drawn = np.array([of(rng.integers(0, n, n)) for _ in range(RESAMPLES)])
    return [_measured(float(whole[k]), drawn[:, k], int(counts[k])) for k in range(len(whole))]


def _measured(value: float, drawn: Floats, count: int) -> Measurement:
    if not np.isfinite(value):
        return Measurement.unavailable("1", "no item has it as label or answer")
    finite = drawn[np.isfinite(drawn)]
    facts: dict[str, Any] = {"n": count, "level": LEVEL, "tool": "bootstrap over items"}
    if len(finite) < (1 - MOST_EMPTY) * len(drawn):
        return Measurement(value, "1", **facts)
    if np.ptp(finite) >= ROUNDING:
        low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Measurement(value, "1", low=float(low), high=float(high), **facts)
    if count and abs(value - 1) < ROUNDING:
        low = (1 - statistics.unseen_share(count)) ** 2
        return Measurement(value, "1", low=low, high=1.0, **{**facts, "tool": ALIKE})
    return Measurement(value, "1", **facts)
