"""Metrics of numbers: errors, and the share of the targets' variance that is explained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgekit.errors import DataError

from .classes import CODE
from .metric import Array, Floats, Index, Statistic, Undefined, rows_at_once


def read(name: str, y_true: Array, outputs: tuple[Array, ...]) -> tuple[Array, list[Array]]:
    """Return targets in the outputs' shape. Raises :class:`DataError` where they do not fit."""
    for output in outputs:
        if y_true.size != output.size or y_true.dtype.kind not in "iubf":
            labels = f"labels are {y_true.dtype} {list(y_true.shape)}"
            message = f"{name}: {labels}, outputs {list(output.shape)}"
            raise DataError(CODE, message, "an error metric needs one target per output value")
    return y_true.reshape(outputs[0].shape), list(outputs)


def squared_error(targets: Array, outputs: Array) -> Floats:
    """Return the mean over an item's output values of the squared error."""
    return _per_item(targets, outputs, np.square)


def absolute_error(targets: Array, outputs: Array) -> Floats:
    """Return the mean over an item's output values of the absolute error."""
    return _per_item(targets, outputs, np.abs)


def _per_item(targets: Array, outputs: Array, of: Callable[[Floats], Floats]) -> Floats:
    means = np.empty(len(outputs))
    rows = rows_at_once(outputs.shape[1:])
    for at in range(0, len(outputs), rows):
        block = slice(at, at + rows)
        error = np.asarray(targets[block], np.float64) - np.asarray(outputs[block], np.float64)
        means[block] = of(error).reshape(len(error), -1).mean(axis=1)
    return means


def cosine(targets: Array, outputs: Array) -> Floats:
    """Return the cosine of the angle between an item's target and output; 0 where either is
    zero.
    """
    cosines = np.empty(len(outputs))
    rows = rows_at_once(outputs.shape[1:])
    for at in range(0, len(outputs), rows):
        left = np.asarray(targets[at : at + rows], np.float64).reshape(
            len(targets[at : at + rows]), -1
        )
        right = np.asarray(outputs[at : at + rows], np.float64).reshape(left.shape)
        norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        dots = (left * right).sum(axis=1)
        cosines[at : at + rows] = np.divide(dots, norms, out=np.zeros(len(dots)), where=norms > 0)
    return cosines


def rmse(targets: Array, outputs: Array) -> Statistic:
    """Return the root of the mean squared error, over items and output values."""
    squares = squared_error(targets, outputs)
    return lambda items: float(np.sqrt(squares[items].mean()))


def relative_error(targets: Array, outputs: Array) -> Statistic:
    """Compute ``Σ |target - output| / Σ |target|``: the error as a share of the targets."""
    errors, sizes = (
        absolute_error(targets, outputs),
        absolute_error(targets, np.zeros_like(outputs)),
    )
    if not sizes.any():
        raise Undefined("every target is 0, and the error is taken relative to them")

    def value(items: Index) -> float:
        total = sizes[items].sum()
        return float(errors[items].sum() / total) if total else float("nan")

    return value


def r2(targets: Array, outputs: Array) -> Statistic:
    """Compute ``1 - Σ (target - output)² / Σ (target - mean)²``, a mean over output values.

    Output values whose targets do not vary are left out.
    """
    values = np.asarray(targets, np.float64).reshape(len(targets), -1)
    errors = (values - np.asarray(outputs, np.float64).reshape(values.shape)) ** 2
    if not np.ptp(values, axis=0).any():
        raise Undefined("the targets do not vary, and r2 is the share of their variance")
    varying = np.ptp(values, axis=0) > 0
    # Centred, so that a sum of squares loses no digits to the mean.
    values, errors = values[:, varying] - values[:, varying].mean(axis=0), errors[:, varying]
    stacked = np.hstack([errors, values, values**2])

    def value(items: Index) -> float:
        weight = np.bincount(items, minlength=len(stacked)).astype(np.float64)
        residual, sums, squares = np.split(weight @ stacked, 3)
        total = squares - sums**2 / len(items)
        kept = total > 1e-12 * squares
        return float(np.mean(1 - residual[kept] / total[kept])) if kept.any() else float("nan")

    return value
