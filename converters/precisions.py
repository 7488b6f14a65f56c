"""The precisions: how the converter is set for each, and what its file must then hold.

Source: TensorFlow's guide "Post-training quantization". A new precision is one row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.converters.flatbuffer import TFLiteFile


@dataclass(frozen=True)
class Precision:
    """One precision: what it is, whether it calibrates, its settings, and the check of its file.

    ``configure(converter)`` sets a TFLiteConverter; ``problem(file)`` says in words what is wrong
    with a file that claims this precision, or nothing.
    """

    title: str
    calibrated: bool
    configure: Callable[[Any], None]
    problem: Callable[[TFLiteFile], str]


def _float32(converter: Any) -> None:
    converter.optimizations = []


def _float16(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _int8(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8


def _is_float32(file: TFLiteFile) -> str:
    if file.weights.keys() - {"FLOAT32"}:
        return f"it holds {', '.join(sorted(file.weights))} weights"
    return ""


def _is_float16(file: TFLiteFile) -> str:
    return "" if "FLOAT16" in file.weights else "no weight is float16: it was not quantized"


def _is_dynamic(file: TFLiteFile) -> str:
    if not file.float_operators:
        return "no operator computes in float: it is quantized throughout"
    if "INT8" in file.weights:
        return ""
    return (
        "no weight is int8, so it is a float32 file: TensorFlow leaves weights of fewer than 1,024"
        " elements, and fused recurrent layers, as they are"
    )


def _is_int8(file: TFLiteFile) -> str:
    edges = {tensor.dtype for tensor in (*file.inputs, *file.outputs)} - {"INT8"}
    if edges:
        return f"its inputs and outputs are {', '.join(sorted(edges))}, not int8"
    if file.float_operators:
        return "operators stayed float: " + ", ".join(file.float_operators)
    return ""


PRECISIONS: Mapping[str, Precision] = {
    "float32": Precision("32-bit float", False, _float32, _is_float32),
    "float16": Precision("16-bit float weights", False, _float16, _is_float16),
    "dynamic": Precision("int8 weights, float activations", False, _dynamic, _is_dynamic),
    "int8": Precision("int8 throughout, in and out", True, _int8, _is_int8),
}
