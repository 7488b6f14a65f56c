"""Prove that a pruned model's outputs equal the whole one's with those channels at zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.compression.channels.analysis import Analysis, Mask
from edgekit.errors import CompressionError

ITEMS = 4
RELATIVE_TOLERANCE = 1e-4


def prove(model: Any, analysed: Analysis, mask: Mask, smaller: Any) -> float:
    """Return the largest difference of the two models' outputs, relative to the outputs' range.

    On 4 random items; the weights of ``model`` are changed for the comparison and put back.
    Raises :class:`CompressionError` above a relative difference of 1e-4.
    """
    inputs = [_random(tensor, seed) for seed, tensor in enumerate(model.inputs)]
    actual = _answers(smaller, inputs)
    with _masked(analysed, mask):
        expected = _answers(model, inputs)
    differences = [
        float(np.max(np.abs(left - right))) / max(float(np.max(np.abs(left))), 1e-6)
        for left, right in zip(expected, actual, strict=True)
    ]
    # np.max keeps a NaN, max() may lose it.
    worst = float(np.max(differences))
    if not worst <= RELATIVE_TOLERANCE:
        raise CompressionError(
            "EK-COMPRESS-028",
            f"{model.name!r} with fewer channels gives other outputs: by {worst:.1e} of the range",
            "a layer holds more than its configuration and weights show, or this is a bug of "
            "edgekit: please report the model; compress it without --channels",
        )
    return worst


@contextmanager
def _masked(analysed: Analysis, mask: Mask) -> Iterator[None]:
    """Set kernels to zero where they read pruned channels, for as long as the context lasts."""
    before: list[tuple[Any, npt.NDArray[Any]]] = []
    try:
        for record in analysed.records:
            for weight in record.weights:
                if weight.reads is None or mask[weight.reads[1]].all():
                    continue
                axis, layout = weight.reads
                variable = getattr(record.layer, weight.name)
                value = np.array(variable)
                before.append((variable, value))
                shape = [1] * value.ndim
                shape[axis] = len(layout)
                variable.assign(value * mask[layout].reshape(shape).astype(value.dtype))
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def _random(tensor: Any, seed: int) -> npt.NDArray[Any]:
    shape = tuple(size or 1 for size in tensor.shape[1:])
    dtype = str(getattr(tensor.dtype, "name", tensor.dtype))
    if dtype == "string":
        return np.full((ITEMS, *shape), "")
    if "float" in dtype:
        return np.random.default_rng(seed).normal(size=(ITEMS, *shape)).astype(dtype)
    return np.zeros((ITEMS, *shape), dtype)


def _answers(model: Any, batch: list[npt.NDArray[Any]]) -> list[npt.NDArray[np.float64]]:
    answers = model(batch[0] if len(batch) == 1 else batch, training=False)
    many = list(answers.values()) if isinstance(answers, Mapping) else answers
    many = many if isinstance(many, (list, tuple)) else [many]
    return [np.asarray(answer, dtype=np.float64) for answer in many]
