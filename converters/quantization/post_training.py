"""Quantize a calibrated ``.tflite`` file to integers, all of it or except some operators.

In the worker. Source: ``tensorflow.lite.python.convert.mlir_quantize``, the quantizer that
``TFLiteConverter`` itself calls: from the same float file and items it gives the same graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.converters.quantization.calibration import feed, reason
from edgekit.converters.quantization.editing import main_operators, unpack
from edgekit.converters.quantization.integer_forms import use_integer_operators
from edgekit.errors import ConversionError

FILE = "model.tflite"


def quantize(
    calibrated: Path,
    folder: Path,
    *,
    inputs: str = "int8",
    outputs: str = "int8",
    per_channel: bool = True,
    keep_float: Sequence[str] = (),
) -> Mapping[str, Any]:
    """Write ``model.tflite`` into ``folder``: int8, with int32 biases.

    ``calibrated`` is of :func:`calibration.calibrate`. ``inputs`` and ``outputs`` are the dtypes of
    the model's edges: float32, int8 or uint8. Without ``per_channel`` convolutions have one scale a
    layer; dense layers keep one per output, whatever TensorFlow is told. ``keep_float`` are
    operators that stay float, by the name of their first output in the float file. Raises
    :class:`ConversionError`.
    """
    from tensorflow.lite.python.convert import (
        ConverterError,
        deduplicate_readonly_buffers,
        mlir_quantize,
    )
    from tensorflow.python.framework import dtypes

    content = calibrated.read_bytes()
    _check_names(content, keep_float)
    edges = {"float32": dtypes.float32, "int8": dtypes.int8, "uint8": dtypes.uint8}
    try:
        quantized = mlir_quantize(
            content,
            disable_per_channel=not per_channel,
            input_data_type=edges[inputs],
            output_data_type=edges[outputs],
            denylisted_nodes=set(keep_float),
        )
    except (ConverterError, ValueError, RuntimeError) as error:
        message = "TensorFlow cannot quantize this model"
        raise ConversionError("EK-CONVERT-032", message, reason(error)) from error
    whole = use_integer_operators(quantized, keep_float)
    (folder / FILE).write_bytes(deduplicate_readonly_buffers(whole))
    return {}


def quantize_int16(model: Path, feeds: Mapping[str, Path], folder: Path) -> Mapping[str, Any]:
    """Write ``model.tflite`` into ``folder``: int16 activations, int8 weights, int64 biases.

    ``model`` is a float file, ``feeds`` as for :func:`calibration.calibrate`. TensorFlow makes such
    files by its older quantizer, in one step with the calibration. Raises :class:`ConversionError`.
    """
    from tensorflow.lite.python.optimize import calibrator
    from tensorflow.python.framework import dtypes

    content = model.read_bytes()
    _, items = feed(unpack(content), feeds)
    try:
        quantized = calibrator.Calibrator(content, [], []).calibrate_and_quantize(
            items,
            dtypes.int16,
            dtypes.int16,
            False,
            activations_type=dtypes.int16,
            bias_type=dtypes.int64,
        )
    except (ValueError, RuntimeError) as error:
        message = "TensorFlow cannot quantize this model to int16x8"
        raise ConversionError("EK-CONVERT-032", message, reason(error)) from error
    (folder / FILE).write_bytes(quantized)
    return {}


def _check_names(content: bytes, names: Sequence[str]) -> None:
    """Refuse a name that no operator has: TensorFlow ignores it, and quantizes the operator."""
    known = {step.name for step in main_operators(unpack(content))} if names else set()
    for name in names:
        if name not in known:
            message = f"no operator of the model makes a tensor called {name!r}"
            raise ConversionError("EK-CONVERT-033", message)
