"""A float ``.tflite`` at another precision, without the model it was made from. In the worker."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.converters.quantization import calibration, post_training
from edgekit.errors import ConversionError

FILE = "model.tflite"
# The dtypes of the edges of what TensorFlow's quantizer makes.
EDGES = {"int8": "int8", "int8-float-io": "float32", "uint8-io": "uint8"}


def convert(
    model: Path, precision: str, representative: Mapping[str, Path] | None, folder: Path
) -> Mapping[str, Any]:
    """Write ``model.tflite`` at a precision into ``folder``.

    ``representative`` holds preprocessed items ``[n, ...]`` by input name, as ``.npy``. Raises
    :class:`ConversionError`.
    """
    if precision == "float32":
        shutil.copyfile(model, folder / FILE)
    elif precision in EDGES:
        calibration.calibrate(model, representative or {}, folder)
        edge = EDGES[precision]
        post_training.quantize(folder / calibration.FILE, folder, inputs=edge, outputs=edge)
        (folder / calibration.FILE).unlink()
    else:
        message = f"a .tflite file does not convert to {precision}"
        hint = "give the .keras, .h5 or SavedModel that it was made from"
        raise ConversionError("EK-CONVERT-003", message, hint)
    return {}
