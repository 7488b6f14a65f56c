"""Constants as the real numbers they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.converters.flatbuffer import FLOATS, Graph, Tensor, TFLiteFile

HALVES = {"FLOAT16": 2.0**-22 / 3, "BFLOAT16": 2.0**-16 / 3}
Doubles = npt.NDArray[np.float64]


def real(file: TFLiteFile, graph: Graph, tensor: Tensor) -> Doubles | None:
    """Return a constant's values, ``scale · (q - zero_point)``; None where they cannot be had.

    That is: where it is sparse, holds no real numbers, or is an integer without a scale (a shape,
    an axis, a padding).
    """
    quantization = tensor.quantization
    values: npt.NDArray[Any] | None = file.array(tensor)
    if values is None or values.dtype.kind not in "fiu":
        return None
    if quantization is None or not (quantization.scales or quantization.block_size):
        return np.asarray(values, np.float64) if values.dtype.kind == "f" else None
    if quantization.block_size:
        scales = (
            file.array(graph.tensors[quantization.block_scales])
            if quantization.block_scales >= 0
            else None
        )
        if scales is None:
            return None
        spread = np.repeat(np.asarray(scales, np.float64), quantization.block_size, axis=-1)
        return np.asarray(values * spread, np.float64) if spread.shape == values.shape else None
    along = [1] * values.ndim
    if len(quantization.scales) > 1:
        along[quantization.axis] = len(quantization.scales)
    zeros = np.asarray(quantization.zero_points or (0,), np.float64)
    zeros = zeros.reshape(along) if zeros.size > 1 else zeros
    return np.asarray((values - zeros) * np.asarray(quantization.scales, np.float64).reshape(along))


def rounding(values: Doubles, tensor: Tensor) -> float:
    """Return noise over signal that rounding made in a constant: ``step² / 12`` for each value.

    Of half-precision floats, whose steps grow with them, it is at most ``2⁻²² / 3`` (11 bits), or
    ``2⁻¹⁶ / 3`` (8 bits). 0 of other floats and of blocks. Source: B. Widrow and I. Kollar,
    "Quantization Noise", 2008, chapter 1.
    """
    quantization = tensor.quantization
    signal = float(np.sum(np.square(values)))
    if tensor.dtype in HALVES:
        return HALVES[tensor.dtype]
    if quantization is None or not quantization.scales or tensor.dtype in FLOATS or signal == 0:
        return 0.0
    return values.size * float(np.mean(np.square(quantization.scales))) / 12 / signal


def correlation(left: Doubles, right: Doubles) -> float | None:
    """Compute Pearson's correlation of two arrays; None where one is constant."""
    a, b = left.reshape(-1) - left.mean(), right.reshape(-1) - right.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else None
