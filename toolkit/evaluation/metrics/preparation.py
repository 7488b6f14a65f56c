"""Outputs as a metric takes them: beside their inputs, and averaged over groups of items."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgekit.data import preprocessing
from edgekit.errors import DataError
from edgekit.evaluation.parity import refuse_non_finite
from edgekit.types import Preprocess, TensorSpec

from .metric import Array, Index, Metric, rows_at_once


def prepared(
    metric: Metric,
    inputs: Mapping[str, Array],
    index: Index,
    preprocess: Preprocess,
    outputs: Array,
    groups: Array | None = None,
) -> Array:
    """Return the metric's ``y_pred``: for most metrics the outputs as they are.

    ``inputs`` are raw items by name, ``index`` the items of them that ``outputs`` ``[n, ...]`` are
    of. A metric that needs inputs gets them preprocessed, some items at a time. With ``groups``
    ``[n]`` the result is one mean per group, in the order of :func:`group_labels`. Raises
    :class:`DataError` where the metric is not taken per group, or the inputs do not fit, and
    :class:`RunnerError` where an output is NaN or infinite.
    """
    check_groups(metric, groups, len(outputs))
    if metric.prepare is None:
        return outputs
    refuse_non_finite(outputs, "the model's")
    parts = []
    shapes = [array.shape[1:] for array in (*inputs.values(), outputs)]
    rows = min(rows_at_once(shape) for shape in shapes)
    for at in range(0, len(outputs), rows):
        block = slice(at, at + rows)
        batch = {
            name: preprocessing.apply(array[index[block]], _as_given(name, array), preprocess)
            for name, array in inputs.items()
        }
        parts.append(metric.prepare(batch, np.asarray(outputs[block])))
    scores = np.concatenate(parts)
    if groups is None:
        return scores
    _, number = np.unique(groups, return_inverse=True)
    return np.asarray(np.bincount(number, scores) / np.bincount(number))


def group_labels(metric: Metric, y_true: Array | None, groups: Array) -> Array | None:
    """Return the label of each group, sorted by the groups' values; nothing without labels.

    Raises :class:`DataError` where the items of a group are labelled differently.
    """
    if y_true is None or not metric.takes_labels:
        return None
    check_groups(metric, groups, len(y_true))
    names, first, number = np.unique(groups, return_index=True, return_inverse=True)
    labels = y_true[first]
    differs = (labels[number] != y_true).reshape(len(y_true), -1).any(axis=1)
    if differs.any():
        group = names[number[int(np.argmax(differs))]]
        message = f"the items of group {group} have several labels"
        raise DataError("EK-DATA-042", message, "a group, such as a clip, has one label")
    return np.asarray(labels)


def check_groups(metric: Metric, groups: Array | None, n: int) -> None:
    """Raise :class:`DataError` where the metric is not taken per group, or there are others."""
    if groups is None:
        return
    if not metric.grouped:
        hint = "anomaly_auc and reconstruction_error are; for others group in a function of yours"
        raise DataError("EK-DATA-042", f"{metric.name} is not taken per group of items", hint)
    if groups.shape != (n,):
        message = f"groups are {list(groups.shape)}, the items {n}"
        raise DataError("EK-DATA-042", message, "give one group per item")


def _as_given(name: str, array: Array) -> TensorSpec:
    return TensorSpec(name, (None, *array.shape[1:]), "float32")
