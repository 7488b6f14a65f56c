"""A SavedModel as a ``.tflite`` file at one precision, by TensorFlow's converter. In the worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.converters.precisions import PRECISIONS
from edgekit.errors import ConversionError, EdgekitError

FILE = "model.tflite"
FEWEST_SAMPLES = 2


def convert(
    saved_model: Path, precision: str, representative: Mapping[str, Path] | None, folder: Path
) -> Mapping[str, Any]:
    """Write ``model.tflite`` at a precision into ``folder``.

    ``representative`` holds preprocessed items ``[n, ...]`` by input name, as ``.npy``. Raises
    :class:`ConversionError` with the converter's own reason.
    """
    import tensorflow as tf

    wanted = PRECISIONS[precision]
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=["serving_default"]
    )
    wanted.configure(converter)
    if wanted.calibrated:
        converter.representative_dataset = _feeds(precision, representative)
    try:
        content = converter.convert()
    except EdgekitError:
        raise
    except Exception as error:
        raise ConversionError(
            "EK-CONVERT-001", f"TensorFlow cannot convert this model to {precision}", _reason(error)
        ) from error
    (folder / FILE).write_bytes(content)
    return {}


def _feeds(precision: str, representative: Mapping[str, Path] | None) -> Any:
    arrays = {name: np.load(path) for name, path in (representative or {}).items()}
    count = min((len(array) for array in arrays.values()), default=0)
    # TensorFlow takes an empty set without a word, and writes a float file.
    if count < FEWEST_SAMPLES:
        hint = "give real items with --representative FILE.npz or --data; 100 to 500 are usual"
        message = f"{precision} needs a representative dataset; {count} items are not enough"
        raise ConversionError("EK-CONVERT-002", message, hint)

    def generate() -> Iterator[dict[str, Any]]:
        for at in range(count):
            yield {name: array[at : at + 1] for name, array in arrays.items()}

    return generate


def _reason(error: Exception) -> str:
    """The lines of the converter's error that say something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [n for n in lines if "error:" in n or "not supported" in n or "failed" in n.lower()]
    return "\n".join(line[:300] for line in (telling or lines)[:3])
