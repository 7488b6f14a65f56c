"""Metrics of answered classes and of their probabilities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgekit.errors import DataError

from .classes import CODE, EPSILON, ClassScores
from .metric import Floats, Index, Statistic

BINS = 15
DRAWS = 1000


def hit(labels: Index, scores: ClassScores) -> Floats:
    """Return 1 where the predicted class is the label, else 0."""
    return np.asarray(labels == scores.answered(), np.float64)


class TopK:
    """1 where the label is among the ``k`` largest scores; of equal ones the first comes first."""

    def __init__(self, k: int) -> None:
        self.k = k

    def __call__(self, labels: Index, scores: ClassScores) -> Floats:
        if self.k >= scores.count:
            message = f"top_{self.k} of {scores.count} classes is always right"
            raise DataError(CODE, message, "take a smaller k, or accuracy")
        scores.refuse_numbers()
        if scores.outputs.shape[1] == 1:
            return hit(labels, scores)
        hits = np.empty(len(labels))
        for block, rows in scores.blocks():
            own = labels[block][:, None]
            score = np.take_along_axis(rows, own, axis=1)
            earlier = np.arange(rows.shape[1]) < own
            before = (rows > score) | ((rows == score) & earlier)
            hits[block] = before.sum(axis=1) < self.k
        return hits


def log_loss(labels: Index, scores: ClassScores) -> Floats:
    """Return ``-ln p`` of the label's probability, which counts as at least 1.2e-7."""
    losses = np.empty(len(labels))
    for block, rows in scores.probabilities():
        own = rows[np.arange(len(rows)), labels[block]]
        losses[block] = -np.log(np.clip(own, EPSILON, 1.0))
    return losses


def _counted(labels: Index, scores: ClassScores, mean: str) -> Statistic:
    """Return the mean over the classes seen, as label or as answer, of ``hits / (...)``."""
    answers, count = scores.answered(), scores.count
    right = labels == answers
    # Not scikit-learn's: the bootstrap calls this a thousand times, that takes 4 ms each.

    def value(items: Index) -> float:
        own, predicted = labels[items], answers[items]
        hits = np.bincount(own[right[items]], minlength=count)
        labelled = np.bincount(own, minlength=count)
        answered = np.bincount(predicted, minlength=count)
        seen = (labelled + answered) > 0
        of = {"precision": answered, "recall": labelled, "f1": (labelled + answered) / 2}[mean]
        share = np.divide(hits, of, out=np.zeros(count), where=of > 0)
        return float(share[seen].mean())

    return value


def precision(labels: Index, scores: ClassScores) -> Statistic:
    """Return the mean over classes of ``hits / times answered``; 0 for a class never answered."""
    return _counted(labels, scores, "precision")


def recall(labels: Index, scores: ClassScores) -> Statistic:
    """Return the mean over classes of ``hits / times labelled``; 0 for a class only answered."""
    return _counted(labels, scores, "recall")


def f1(labels: Index, scores: ClassScores) -> Statistic:
    """Return the mean over classes of ``2·hits / (times labelled + times answered)``."""
    return _counted(labels, scores, "f1")


def calibration_error(labels: Index, scores: ClassScores) -> Statistic:
    """Return the expected calibration error: ``Σ |hits - confidence| / n`` over 15 bins of
    confidence.

    Confidence is the probability of the class answered; bins are equally wide and hold their upper
    edge. Source: Guo et al. (2017), "On Calibration of Modern Neural Networks", eq. 3.
    """
    scores.refuse_numbers()
    confidence = confidences(scores)
    gap, bins = hit(labels, scores) - confidence, bins_of(confidence)

    def value(items: Index) -> float:
        sums = np.bincount(bins[items], gap[items], BINS)
        return float(np.abs(sums).sum() / len(items))

    return value


def calibrated_by_chance(labels: Index, scores: ClassScores) -> Floats:
    """Draw 1,000 calibration errors of a perfectly calibrated model with these confidences.

    Source: Bröcker & Smith (2007), "Increasing the Reliability of Reliability Diagrams".
    """
    confidence, rng = confidences(scores), np.random.default_rng(0)
    bins, errors = bins_of(confidence), np.empty(DRAWS)
    for number in range(DRAWS):
        gap = (rng.random(len(labels)) < confidence) - confidence
        errors[number] = np.abs(np.bincount(bins, gap, BINS)).sum() / len(labels)
    return errors


def confidences(scores: ClassScores) -> Floats:
    """Return the probability of the class answered, per item; 1 of class numbers."""
    if scores.numbers:
        return np.ones(len(scores))
    largest = np.empty(len(scores))
    for block, rows in scores.probabilities():
        largest[block] = rows.max(axis=1)
    return largest


def bins_of(confidence: Floats) -> Index:
    return np.asarray(np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1), np.int64)


def confident_misses(
    hits: Callable[[Index, ClassScores], Floats], labels: Index, scores: ClassScores
) -> Floats:
    """Return the confidence of each wrong answer, and -inf where ``hits`` has it right."""
    return np.where(hits(labels, scores) == 0, confidences(scores), -np.inf)
