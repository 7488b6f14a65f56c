"""A metric on parts of the items: one per value of a column, or per class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekit.errors import DataError
from edgekit.evaluation.metrics.measurement import measure_read, read, value
from edgekit.evaluation.metrics.metric import Array, Metric
from edgekit.types import Measurement

MOST = 50


@dataclass(frozen=True)
class Slice:
    """The items whose column ``name`` has one value, and the metric on them.

    ``note`` says where they are not shown to differ from all items, or why there is no metric.
    """

    name: str
    value: str
    count: int
    metric: Measurement
    note: str = ""


def slices(
    metric: Metric, y_true: Array | None, y_pred: Array, column: Array, name: str
) -> tuple[Slice, ...]:
    """Return the metric per value of ``column`` ``[n]``, worst first; those without a metric last.

    Whether outputs are logits is decided on all items. Raises :class:`DataError` where the column
    has another length or more than 50 values.
    """
    labels, (scores,) = read(metric, y_true, y_pred)
    flat = np.asarray(column)
    if flat.shape not in ((len(scores),), (len(scores), 1)):
        message = f"column {name} is {list(flat.shape)}, the items are {len(scores)}"
        raise DataError("EK-DATA-043", message, "a slice needs one value per item")
    values, number = np.unique(flat.reshape(-1), return_inverse=True)
    if len(values) > MOST:
        message = f"column {name} has {len(values):,} values; at most {MOST} are allowed"
        raise DataError("EK-DATA-043", message, "group them first: a column of ranges or kinds")
    whole = value(metric, y_true, y_pred)
    parts = []
    for at, level in enumerate(values):
        items = np.flatnonzero(number == at)
        measured = measure_read(metric, labels[items], scores[items])
        note = measured.reason or _note(measured, whole)
        parts.append(Slice(name, str(level), len(items), measured, note))
    return tuple(sorted(parts, key=lambda part: _badness(metric, part.metric), reverse=True))


def _note(part: Measurement, whole: float | None) -> str:
    if whole is None or part.value is None:
        return ""
    if part.low is None or part.high is None:
        return f"no interval: too few items, or all alike; all items have {whole:.4g}"
    if part.low <= whole <= part.high:
        return f"not shown to differ from all items ({whole:.4g})"
    return ""


def _badness(metric: Metric, part: Measurement) -> float:
    return -np.inf if part.value is None else -metric.sign * part.value
