"""Metrics of several labels per item (multi-label classification)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekit.errors import DataError

from .classes import CODE, has_logits
from .metric import Array, Floats, Index, Statistic, Undefined
from .ranking import Ranking, average_precisions


@dataclass(frozen=True)
class LabelScores:
    """Outputs ``[n, labels]``, a sigmoid each: ``logits``, or probabilities."""

    outputs: Array
    logits: bool

    def __len__(self) -> int:
        return len(self.outputs)

    def __getitem__(self, items: Index) -> LabelScores:
        return LabelScores(self.outputs[items], self.logits)

    def answered(self) -> Array:
        """Return the labels answered ``[n, labels]``: above 0.5, of logits above 0."""
        return np.asarray(self.outputs > (0.0 if self.logits else 0.5))


def read(name: str, y_true: Array, outputs: tuple[Array, ...]) -> tuple[Array, list[LabelScores]]:
    """Return labels ``[n, labels]`` of 0 and 1, and every model's scores.

    The scores are logits where any of any model's lies outside 0..1. Raises :class:`DataError`
    where labels are others, or do not fit the outputs.
    """
    labels = np.asarray(y_true).reshape(len(y_true), -1)
    flat = [np.asarray(scores).reshape(len(scores), -1) for scores in outputs]
    if labels.dtype.kind not in "iubf" or not np.isin(labels, (0, 1)).all():
        message = f"{name}: labels are {labels.dtype} from {labels.min()} to {labels.max()}"
        raise DataError(CODE, message, "several labels per item are 0 or 1 each")
    for scores in flat:
        if scores.shape != labels.shape:
            message = f"{name}: {labels.shape[1]} labels per item, {scores.shape[1]} outputs"
            raise DataError(CODE, message, "there is one output for each label")
    logits = any(has_logits(scores) for scores in flat)
    return labels.astype(bool), [LabelScores(scores, logits) for scores in flat]


def right(labels: Array, scores: LabelScores) -> Floats:
    """Return the share of an item's labels that are predicted correctly."""
    return np.asarray((labels == scores.answered()).mean(axis=1), np.float64)


def all_right(labels: Array, scores: LabelScores) -> Floats:
    """Return 1 where every label of an item is predicted correctly, else 0."""
    return np.asarray((labels == scores.answered()).all(axis=1), np.float64)


def f1(labels: Array, scores: LabelScores) -> Statistic:
    """Return the mean over labels of ``2·hits / (times labelled + times answered)``.

    Over the labels that some item has or is answered.
    """
    said = scores.answered()
    stacked = np.hstack([labels & said, labels, said]).astype(np.float64)

    def value(items: Index) -> float:
        weight = np.bincount(items, minlength=len(stacked)).astype(np.float64)
        hits, labelled, answered = np.split(weight @ stacked, 3)
        seen = labelled + answered > 0
        if not seen.any():
            return float("nan")
        return float(np.mean(2 * hits[seen] / (labelled + answered)[seen]))

    return value


def mean_average_precision(labels: Array, scores: LabelScores) -> Statistic:
    """Return the mean over labels of the average precision. Raises where no item has a label."""
    missing = np.flatnonzero(~labels.any(axis=0))
    if len(missing):
        first = ", ".join(map(str, missing[:10]))
        raise Undefined(f"no item has the label {first}, and label_map needs every label")
    ranking = Ranking(np.asarray(scores.outputs, np.float64), labels)
    return lambda items: float(np.mean(average_precisions(ranking, items)))
