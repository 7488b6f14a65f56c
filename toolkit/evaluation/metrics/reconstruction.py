"""How well an autoencoder gives its input back, and whether that tells anomalies apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgekit.errors import DataError

from .classes import CODE, true_class
from .metric import Array, Floats, Index


def squared(inputs: Mapping[str, Array], outputs: Array) -> Floats:
    """Return the mean squared error ``[n]`` of outputs against the input of their size.

    The input is as the model takes it: preprocessed. Source of the score: the baseline of DCASE
    2020 task 2, which MLPerf Tiny's anomaly detection follows. Raises :class:`DataError` where not
    exactly one input has the outputs' size.
    """
    fitting = [name for name, array in inputs.items() if array.size == outputs.size]
    if len(fitting) != 1:
        shapes = ", ".join(f"{name} {list(array.shape[1:])}" for name, array in inputs.items())
        shape = list(outputs.shape[1:])
        message = f"outputs of {shape} per item give back none, or not one, of the inputs: {shapes}"
        hint = "name the output that reconstructs: --metric-output NAME; or write file.py:function"
        raise DataError("EK-DATA-041", message, hint)
    given = np.asarray(inputs[fitting[0]], np.float64).reshape(outputs.shape)
    error = (given - np.asarray(outputs, np.float64)) ** 2
    return np.asarray(error.reshape(len(outputs), -1).mean(axis=1))


def read(name: str, y_true: Array, outputs: tuple[Array, ...]) -> tuple[Index, list[Floats]]:
    """Return labels 0 or 1, and one error per item.

    Raises :class:`DataError` where outputs are still the model's, or labels are others.
    """
    for errors in outputs:
        if errors.ndim != 1:
            message = f"{name} compares outputs {list(errors.shape)} with the model's inputs"
            hint = "this command does not give it the inputs: use `edgekit evaluate` or `compare`"
            raise DataError("EK-DATA-041", message, hint)
    labels = true_class(y_true)
    if len(labels) and (labels.min() < 0 or labels.max() > 1):
        message = f"{name}: labels are {labels.min()} to {labels.max()}"
        raise DataError(CODE, message, "anomalies are labelled 1, all else 0")
    return labels, [np.asarray(errors, np.float64) for errors in outputs]


def error(labels: Index, errors: Floats) -> Floats:
    """Return the reconstruction error itself, per item or group of items."""
    del labels
    return errors
