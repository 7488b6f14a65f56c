"""Metrics by name: a direction, a value per item where the metric decomposes, and its interval.

A new metric is one row of ``METRICS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import statistics
from edgekit.errors import DataError
from edgekit.evaluation.parity import refuse_non_finite
from edgekit.types import Direction, Measurement, PairedCounts
from edgekit.usercode import is_reference, resolve, user_errors

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Metric:
    """A metric over labels ``y_true`` and model outputs ``y_pred``, both items first.

    ``per_item`` gives one score per item, whose mean is the value; a metric without one is
    computed whole by ``value`` and bootstrapped over items. ``binary`` says that the scores are 0
    or 1; ``bounded`` that the value lies in 0..1.
    """

    name: str
    direction: Direction
    binary: bool = False
    bounded: bool = True
    unit: str = "1"
    per_item: Callable[[Array, Array], Array] | None = None
    value: Callable[[Array, Array], float] | None = None


def predicted_class(y_pred: Array) -> Array:
    """Class numbers ``[n]`` from scores ``[n, classes]``; ``[n]`` or ``[n, 1]`` is one sigmoid.

    A single column is cut at 0.5, or at 0 where any value lies outside 0..1 (logits). Raises
    :class:`DataError` where an item has more than one row of scores.
    """
    if sum(size > 1 for size in y_pred.shape[1:]) > 1:
        message = f"outputs are {list(y_pred.shape)}; this metric takes one class per item"
        hint = "write the metric you need: --metric file.py:function"
        raise DataError("EK-DATA-012", message, hint)
    scores = y_pred.reshape(len(y_pred), -1)
    if scores.shape[1] > 1:
        return np.asarray(np.argmax(scores, axis=1))
    column = scores[:, 0]
    logits = bool(len(column) and (column.min() < 0 or column.max() > 1))
    return (column > (0.0 if logits else 0.5)).astype(np.int64)


def true_class(y_true: Array) -> Array:
    """Class numbers ``[n]`` from labels ``[n]``, ``[n, 1]`` or one-hot ``[n, classes]``."""
    labels = y_true.reshape(len(y_true), -1)
    return np.argmax(labels, axis=1) if labels.shape[1] > 1 else labels[:, 0].astype(np.int64)


def _hit(y_true: Array, y_pred: Array) -> Array:
    right, answered = true_class(y_true), predicted_class(y_pred)
    classes = max(2, int(np.prod(y_pred.shape[1:])))
    if len(right) and (right.min() < 0 or right.max() >= classes):
        message = f"labels are {right.min()} to {right.max()}, the model has {classes} classes"
        hint = "labels count from 0: is this the data that the model was made for?"
        raise DataError("EK-DATA-012", message, hint)
    return np.asarray(right == answered, np.float64)


def _mean_over_outputs(values: Array) -> Array:
    return np.asarray(np.mean(values.reshape(len(values), -1), axis=1))


def _squared_error(y_true: Array, y_pred: Array) -> Array:
    return _mean_over_outputs((_shaped(y_true, y_pred) - y_pred.astype(np.float64)) ** 2)


def _absolute_error(y_true: Array, y_pred: Array) -> Array:
    return _mean_over_outputs(np.abs(_shaped(y_true, y_pred) - y_pred.astype(np.float64)))


def _shaped(y_true: Array, y_pred: Array) -> Array:
    if y_true.size != y_pred.size:
        message = f"labels are {list(y_true.shape)}, outputs {list(y_pred.shape)}"
        raise DataError("EK-DATA-012", message, "an error metric needs one target per output value")
    return y_true.reshape(y_pred.shape).astype(np.float64)


def _f1(y_true: Array, y_pred: Array) -> float:
    """The mean over the classes seen of ``2·hits / (times right + times answered)``."""
    right, answered = true_class(y_true), predicted_class(y_pred)
    # Not scikit-learn's f1_score: the bootstrap calls this a thousand times, that takes 4 ms each.
    seen, numbers = np.unique(np.concatenate([right, answered]), return_inverse=True)
    right, answered = np.split(numbers, 2)
    hits, *times = (
        np.bincount(found, minlength=len(seen))
        for found in (right[right == answered], right, answered)
    )
    return float(np.mean(2 * hits / (times[0] + times[1])))


def _roc_auc(y_true: Array, y_pred: Array) -> float:
    """The area under the ROC curve; for more than two classes the mean of one against the rest.

    Scores outside 0..1 are logits and go through a softmax. NaN where a class is missing.
    """
    scores = y_pred.reshape(len(y_pred), -1).astype(np.float64)
    seen, classes = np.unique(true_class(y_true), return_inverse=True)
    count = max(2, scores.shape[1])
    if len(seen) > count:
        message = f"labels hold {len(seen)} classes, outputs {count}"
        raise DataError("EK-DATA-012", message, "roc_auc needs one output per class")
    if len(seen) < count:
        return float("nan")
    if scores.shape[1] > 1 and (scores.min() < 0 or scores.max() > 1):
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
    if count > 2:
        return float(np.mean(_areas(scores, classes[:, None] == np.arange(count))))
    column = scores[:, -1:] - scores[:, :1] if scores.shape[1] == 2 else scores
    return float(_areas(column, classes[:, None] == 1)[0])


def _areas(scores: Array, positive: Array) -> Array:
    """The area under the ROC curve of each column, from its ranks; ties count half.

    Source: Mann & Whitney (1947); it equals scikit-learn's, many times faster.
    """
    from scipy.stats import rankdata

    ones = positive.sum(axis=0)
    above = np.where(positive, rankdata(scores, axis=0), 0.0).sum(axis=0) - ones * (ones + 1) / 2
    return np.asarray(above / (ones * (len(scores) - ones)))


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "higher", binary=True, per_item=_hit),
        Metric("mse", "lower", bounded=False, unit="target²", per_item=_squared_error),
        Metric("mae", "lower", bounded=False, unit="target", per_item=_absolute_error),
        Metric("f1", "higher", value=_f1),
        Metric("roc_auc", "higher", value=_roc_auc),
    )
}


def find(name: str, root: Path) -> Metric | None:
    """A metric by name, or the user's ``file.py:function``; nothing where neither is known.

    A user's metric is taken as higher-is-better unless the function has ``direction = "lower"``.
    """
    if is_reference(name):
        return _users(name, root)
    return METRICS.get(name)


def default_for(labels: Array) -> str:
    """Accuracy for integer labels, mean squared error for float targets."""
    return "accuracy" if labels.dtype.kind in "iub" else "mse"


def _users(name: str, root: Path) -> Metric:
    function = resolve(name, root)

    def score(y_true: Array, y_pred: Array) -> Any:
        with user_errors(name):
            return function(y_true, y_pred)

    def value(y_true: Array, y_pred: Array) -> float:
        answer = score(y_true, y_pred)
        return float(answer[0] if isinstance(answer, tuple) else answer)

    direction: Direction = "lower" if getattr(function, "direction", "") == "lower" else "higher"
    return Metric(name.rpartition(":")[2], direction, bounded=False, value=value)


def measure(metric: Metric, y_true: Array, y_pred: Array) -> Measurement:
    """The metric of one model, with its 95 % interval.

    0/1 items: Wilson's; other per-item scores: BCa; metrics that do not decompose: percentile
    bootstrap over items. Raises :class:`RunnerError` where an output is NaN or infinite.
    """
    refuse_non_finite(y_pred, "the model's")
    n = len(y_true)
    if metric.per_item is None:
        assert metric.value is not None  # noqa: S101
        value = metric.value
        if np.isnan(value(y_true, y_pred)):
            return Measurement.unavailable(metric.unit, "the labels do not hold every class")
        interval = statistics.bootstrap_statistic(lambda i: value(y_true[i], y_pred[i]), n)
        return _measurement(interval, metric, "bootstrap over items")
    scores = metric.per_item(y_true, y_pred)
    if metric.binary:
        return _measurement(statistics.wilson(int(scores.sum()), n), metric, "Wilson")
    return _measurement(statistics.bca_mean(scores), metric, "BCa bootstrap")


def drop(
    metric: Metric, y_true: Array, reference: Array, candidate: Array
) -> tuple[Measurement, PairedCounts | None]:
    """How much worse the candidate is on the same items: positive is worse, 95 % interval.

    0/1 items: Tango's paired score interval; other per-item scores: BCa on the differences;
    otherwise the bootstrap over items, paired. Raises :class:`RunnerError` where an output is NaN
    or infinite.
    """
    refuse_non_finite(reference, "the reference's")
    refuse_non_finite(candidate, "the candidate's")
    sign = 1.0 if metric.direction == "higher" else -1.0
    n = len(y_true)
    if metric.per_item is None:
        assert metric.value is not None  # noqa: S101
        value = metric.value

        def difference(i: npt.NDArray[np.int64]) -> float:
            return sign * (value(y_true[i], reference[i]) - value(y_true[i], candidate[i]))

        if np.isnan(difference(np.arange(n))):
            reason = "the labels do not hold every class"
            return Measurement.unavailable(metric.unit, reason), None
        interval = statistics.bootstrap_statistic(difference, n)
        return _measurement(interval, metric, "paired bootstrap over items"), None
    left, right = metric.per_item(y_true, reference), metric.per_item(y_true, candidate)
    if metric.binary:
        counts = PairedCounts(n, int(np.sum(left > right)), int(np.sum(right > left)))
        interval = statistics.tango(counts.lost, counts.gained, n)
        return _measurement(interval, metric, "Tango paired score"), counts
    return _measurement(statistics.bca_mean(sign * (left - right)), metric, "paired BCa"), None


def _measurement(interval: statistics.Interval, metric: Metric, tool: str) -> Measurement:
    return Measurement(
        value=interval.value, unit=metric.unit, n=interval.n, level=interval.level, tool=tool,
        low=_finite(interval.low), high=_finite(interval.high),
    )  # fmt: skip


def _finite(bound: float) -> float | None:
    """A bound as JSON can carry it: an unbounded side is absent."""
    return bound if np.isfinite(bound) else None
