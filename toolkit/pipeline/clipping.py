"""Whether items lie in the range that a quantized input can take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import data
from edgekit.converters.flatbuffer import Tensor
from edgekit.data import preprocessing
from edgekit.pipeline.float_file import input_tensors
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.types import Advice, SavedModel

LOOK = 100
# Calibration clips outliers on purpose; a tenth of the values is not an outlier.
MOST = 0.1


@dataclass(frozen=True)
class Clipped:
    """The share of items' values beyond an input's range ``low`` to ``high``, and their own."""

    share: float
    low: float
    high: float
    smallest: float
    largest: float


def clipped(tensor: Tensor, raw: npt.NDArray[Any], items: Items) -> Clipped:
    """Compute the share of items ``[n, ...]`` that a quantized input clips."""
    low, high = _range(tensor)
    real = preprocessing.scaled(raw[items.index[:LOOK]], items.preprocess).astype(np.float64)
    beyond = (real < low - tensor.scale) | (real > high + tensor.scale)
    return Clipped(float(np.mean(beyond)), low, high, float(real.min()), float(real.max()))


def advise_clipped(run: Run, source: str, model: SavedModel, items: Items) -> None:
    """Warn where an input's quantization clips much of the items."""
    if not model.is_tflite:
        return
    tensors = input_tensors(model.path, model.signature)
    for name, path in items.inputs.items():
        tensor = tensors[name]
        if not tensor.scale:
            continue
        clipping = clipped(tensor, np.load(path, mmap_mode="r"), items)
        if clipping.share > MOST:
            low, high = clipping.low, clipping.high
            message = (
                f"{source}: input {name!r} takes {low:.4g} to {high:.4g}, the items are"
                f" {clipping.smallest:.4g} to {clipping.largest:.4g}: {100 * clipping.share:.0f} %"
                " of their values are clipped"
            )
            rescale, offset = (high - low) / 255, low
            fix = (
                "scale them as in training, with --rescale and --offset (if they are pixels of"
                f" 0..255: --rescale {rescale:.6g} --offset {offset:.6g})"
            )
            run.advise(Advice("EK-NOTE-027", "warning", message, fix))
            run.withdraw("EK-NOTE-002", data.UNSCALED)


def _range(tensor: Tensor) -> tuple[float, float]:
    """Compute the real values of a quantized tensor's smallest and largest integer."""
    limits = np.iinfo(tensor.dtype.lower())
    low, high = (int(end) - tensor.zero_point for end in (limits.min, limits.max))
    return low * tensor.scale, high * tensor.scale
