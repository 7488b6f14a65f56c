"""A metric of classes in detail: each class, and which are taken for which."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from edgekit import statistics
from edgekit.types import Json, Measurement

from .classes import ClassScores
from .measurement import read
from .metric import Array, Index, Metric

MOST_CLASSES = 100
PAIRS = 10


@dataclass(frozen=True)
class ClassDetail:
    """One class: how many items have it as label, how many as answer, and how many as both."""

    number: int
    name: str
    labelled: int
    answered: int
    hits: int
    precision: Measurement
    recall: Measurement
    f1: Measurement


@dataclass(frozen=True)
class ConfusedPair:
    """Items of one class answered as another: their number, and their share of the class."""

    label: str
    answer: str
    count: int
    share: float


@dataclass(frozen=True)
class Details:
    """Every class, the confusion matrix ``[label][answer]``, and the pairs confused most.

    Of more than 100 classes there is no matrix.
    """

    classes: tuple[ClassDetail, ...]
    confusion: tuple[tuple[int, ...], ...] | None
    confused: tuple[ConfusedPair, ...]

    def to_json(self) -> dict[str, Json]:
        return dataclasses.asdict(self)


def details(
    metric: Metric, y_true: Array | None, y_pred: Array, class_names: tuple[str, ...] = ()
) -> Details | None:
    """Return precision, recall and F1 per class, and the confusion matrix; None without classes.

    Intervals are Wilson's, 95 %. Raises :class:`DataError` where labels do not fit.
    """
    if metric.reads != "classes":
        return None
    labels, (scores,) = read(metric, y_true, y_pred)
    matrix = confusion(labels, scores)
    count = len(matrix)
    names = class_names if len(class_names) == count else tuple(map(str, range(count)))
    small = tuple(tuple(map(int, row)) for row in matrix) if count <= MOST_CLASSES else None
    rows = tuple(_class(number, names[number], matrix) for number in range(count))
    return Details(rows, small, _confused(matrix, names))


def confusion(labels: Index, scores: ClassScores) -> Index:
    """Count the items of each label and answer, ``[label, answer]``."""
    count = scores.count
    pairs = np.bincount(labels * count + scores.answered(), minlength=count**2)
    return np.asarray(pairs.reshape(count, count), np.int64)


def _class(number: int, name: str, matrix: Index) -> ClassDetail:
    hits = int(matrix[number, number])
    labelled, answered = int(matrix[number].sum()), int(matrix[:, number].sum())
    either = labelled + answered - hits
    return ClassDetail(
        number=number,
        name=name,
        labelled=labelled,
        answered=answered,
        hits=hits,
        precision=_share(hits, answered, "the class is never answered"),
        recall=_share(hits, labelled, "no item has this label"),
        f1=_f1(_share(hits, either, "no item has this label or answer")),
    )


def _share(hits: int, n: int, reason: str) -> Measurement:
    if n == 0:
        return Measurement.unavailable("1", reason)
    return statistics.wilson(hits, n).measurement("1", "Wilson")


def _f1(overlap: Measurement) -> Measurement:
    """Compute F1 from the share of the items labelled or predicted so that are both.

    ``F1 = 2·share / (1 + share)`` grows with the share, so that its bounds carry over.
    """
    bounds = (overlap.value, overlap.low, overlap.high)
    value, low, high = (None if b is None else 2 * b / (1 + b) for b in bounds)
    return dataclasses.replace(overlap, value=value, low=low, high=high)


def _confused(matrix: Index, names: tuple[str, ...]) -> tuple[ConfusedPair, ...]:
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [divmod(int(at), len(matrix)) for at in order]
    return tuple(
        ConfusedPair(
            names[label],
            names[answer],
            int(wrong[label, answer]),
            float(wrong[label, answer] / matrix[label].sum()),
        )
        for label, answer in pairs
        if wrong[label, answer]
    )
