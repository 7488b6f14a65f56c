"""Convert a SavedModel, or a float ``.tflite``, to ``.tflite`` at one precision. In the worker."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.converters import flatbuffer, flex
from edgekit.converters.precisions import PRECISIONS
from edgekit.converters.quantization.batches import in_batches
from edgekit.converters.quantization.editing import in_signature_order
from edgekit.converters.quantization.integer_forms import use_integer_operators
from edgekit.errors import ConversionError, EdgekitError
from edgekit.types import Conversion

FILE = "model.tflite"
FEWEST_SAMPLES = 2


SIXTEEN = re.compile(r"Quantization to 16x8-bit not yet supported for op: '(\w+)'")


def convert(
    saved_model: Path,
    precision: str,
    representative: Mapping[str, Path] | None,
    folder: Path,
    conversion: Conversion | None = None,
    batch: int = 1,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
) -> Mapping[str, Any]:
    """Write ``model.tflite`` at a precision into ``folder``.

    ``representative`` holds preprocessed items ``[n, ...]`` by input name, as ``.npy``; the
    ``conversion`` is the target's, with what the project allows, ``batch`` what the model takes at
    once, ``inputs`` and ``outputs`` their names in the model's own order, which the file keeps.
    Raises :class:`ConversionError` with the converter's own reason.
    """
    import tensorflow as tf

    row = PRECISIONS[precision]
    if row.configure is None:
        raise ValueError(f"{precision} is not made from a SavedModel")
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=["serving_default"]
    )
    row.configure(converter)
    _apply_profile(converter, conversion or Conversion(), row.hybrid)
    if row.calibrated:
        converter.representative_dataset = _feeds(precision, representative, batch)
    try:
        content = converter.convert()
    except EdgekitError:
        raise
    except Exception as error:
        raise _refusal(error, precision) from error
    if row.integer:
        content = use_integer_operators(content)
    content = in_signature_order(content, inputs, outputs)
    flex.check_allowed(
        flatbuffer.parse(content, FILE), (conversion or Conversion()).custom_operators
    )
    (folder / FILE).write_bytes(content)
    return {}


def convert_float(
    model: Path,
    precision: str,
    representative: Mapping[str, Path] | None,
    folder: Path,
    conversion: Conversion | None = None,
) -> Mapping[str, Any]:
    """Write ``model.tflite`` as :func:`convert` does, from a float ``.tflite``.

    Raises :class:`ConversionError`.
    """
    make = PRECISIONS[precision].from_float
    if make is None:
        message = f"a .tflite file cannot be converted to {precision}"
        hint = "give the .keras, .h5 or SavedModel that it was made from"
        raise ConversionError("EK-CONVERT-003", message, hint)
    return make(model, representative or {}, folder, conversion or Conversion())


def _apply_profile(converter: Any, conversion: Conversion, hybrid: bool) -> None:
    """Set the converter as a target's profile asks, besides the precision."""
    import tensorflow as tf

    if hybrid and not conversion.per_channel_dense:
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if conversion.granularity == "per-tensor":
        converter._experimental_disable_per_channel = True
    if conversion.flex:
        admitted = [*converter.target_spec.supported_ops, tf.lite.OpsSet.SELECT_TF_OPS]
        converter.target_spec.supported_ops = admitted
    converter.allow_custom_ops = bool(conversion.custom_operators)


def _refusal(error: Exception, precision: str) -> ConversionError:
    """Build our error from the converter's; those that many models meet say what to do."""
    text = str(error)
    missing = flex.refusal(text)
    if missing is not None:
        return missing
    if match := SIXTEEN.search(text):
        message = f"TensorFlow has no kernel for {match[1]} with 16-bit activations"
        hint = (
            "use int8; or keep such operators in float: [[convert.mixed]] with precision ="
            ' "int16x8", which ai-edge-quantizer makes'
        )
        return ConversionError("EK-CONVERT-005", message, hint)
    message = f"TensorFlow cannot convert this model to {precision}"
    return ConversionError("EK-CONVERT-001", message, _reason(error))


def _feeds(precision: str, representative: Mapping[str, Path] | None, batch: int) -> Any:
    arrays = {name: np.load(path) for name, path in (representative or {}).items()}
    count = min((len(array) for array in arrays.values()), default=0)
    # TensorFlow accepts an empty set without an error, and writes a float file.
    if count < FEWEST_SAMPLES:
        hint = "give real items with --representative FILE.npz or --data; 100 to 500 are usual"
        message = f"{precision} needs a representative dataset; {count} items are not enough"
        raise ConversionError("EK-CONVERT-002", message, hint)

    shapes = {name: (batch, *array.shape[1:]) for name, array in arrays.items()}
    return lambda: in_batches(arrays, shapes)


def _reason(error: Exception) -> str:
    """Return the lines of the converter's error that name the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [n for n in lines if "error:" in n or "not supported" in n or "failed" in n.lower()]
    return "\n".join(line[:300] for line in (telling or lines)[:3])
