"""Convert a float ``.tflite`` to another precision, without its source model. In the worker."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.converters.quantization import calibration, edge_quantizer, post_training
from edgekit.converters.quantization.recipe import Rule
from edgekit.errors import ConversionError
from edgekit.types import Conversion

FILE = "model.tflite"
# The dtypes of inputs and outputs that TensorFlow's quantizer makes.
EDGES = {"int8": "int8", "int8-float-io": "float32", "uint8-io": "uint8"}
# Precisions that ai-edge-quantizer makes.
RULES = {"float16": (Rule("float16"),), "dynamic": (Rule("dynamic"),)}


def convert(
    model: Path,
    precision: str,
    representative: Mapping[str, Path] | None,
    folder: Path,
    conversion: Conversion | None = None,
) -> Mapping[str, Any]:
    """Write ``model.tflite`` at a precision into ``folder``.

    ``representative`` holds preprocessed items ``[n, ...]`` by input name, as ``.npy``; the
    ``conversion`` is the target's. Raises :class:`ConversionError`.
    """
    feeds, settings = representative or {}, conversion or Conversion()
    if precision == "float32":
        shutil.copyfile(model, folder / FILE)
        return {}
    if precision in RULES:
        dense = settings.per_channel_dense
        return edge_quantizer.quantize(model, RULES[precision], feeds, folder, dense)
    if precision == "int16x8":
        return post_training.quantize_int16(model, feeds, folder)
    if precision in EDGES:
        calibration.calibrate(model, feeds, folder)
        edge = EDGES[precision]
        ranges = folder / calibration.FILE
        per_channel = settings.granularity == "per-channel"
        post_training.quantize(ranges, folder, inputs=edge, outputs=edge, per_channel=per_channel)
        ranges.unlink()
        return {}
    message = f"a .tflite file cannot be converted to {precision}"
    hint = "give the .keras, .h5 or SavedModel that it was made from"
    raise ConversionError("EK-CONVERT-003", message, hint)
