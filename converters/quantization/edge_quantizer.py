"""Quantize a float ``.tflite`` file per operator with ai-edge-quantizer. In the worker.

It needs no TensorFlow. Source: ai-edge-quantizer's ``Quantizer`` and ``qtyping``.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.quantization.batches import in_batches
from edgekit.converters.quantization.calibration import FEWEST_ITEMS, reason
from edgekit.converters.quantization.editing import with_builtin_codes
from edgekit.converters.quantization.recipe import CALIBRATED, FLOAT, RecipeOperator, Rule, resolve
from edgekit.converters.version_stamp import stamp_versions
from edgekit.errors import ConversionError

FILE = "model.tflite"
BLOCK = 32
HALF = "float16"
DENSE = "FULLY_CONNECTED"
NOT_INSTALLED = (
    "unavailable, because ai-edge-quantizer is not installed: pip install 'edgekit[quantizer]'"
)
# The quantizer's own names of some operators.
NAMES = {"TRANSPOSE_CONV": "CONV_2D_TRANSPOSE"}
LOOPS = frozenset({"WHILE", "IF"})


def installed() -> bool:
    return importlib.util.find_spec("ai_edge_quantizer") is not None


def quantize(
    model: Path,
    rules: Sequence[Rule],
    feeds: Mapping[str, Path],
    folder: Path,
    per_channel_dense: bool = True,
    per_channel: bool = True,
) -> Mapping[str, Any]:
    """Write ``model.tflite`` into ``folder``: each operator at the precision of its last rule.

    ``feeds`` are preprocessed items ``[n, ...]`` as ``.npy`` by input name of the signature, for
    rules that calibrate. Without ``per_channel_dense`` dynamic dense layers have one scale each, as
    runtimes before TFLite 2.17 need; without ``per_channel`` every dynamic layer has. Inputs and
    outputs stay float. The facts are ``operators``, ``[kind, name, precision]`` each. Raises
    :class:`ConversionError`.
    """
    if not installed():
        raise ConversionError("EK-CONVERT-010", NOT_INSTALLED)
    from ai_edge_quantizer import quantizer

    file = flatbuffer.read(model)
    chosen = resolve(file, rules, _is_supported)
    _check_quantizable(file, chosen)
    quantizing = quantizer.Quantizer(with_builtin_codes(model.read_bytes()))
    for operator, precision in chosen:
        if precision != FLOAT:
            coarse = not per_channel or (operator.kind == DENSE and not per_channel_dense)
            quantizing.update_quantization_recipe(
                _scope(operator),
                _operation(operator),
                _config(precision, coarse),
                algorithm_key=_algorithm(precision),
            )
    try:
        ranges = quantizing.calibrate(_items(file, feeds)) if quantizing.need_calibration else None
        content = quantizing.quantize(ranges).quantized_model
    except (ValueError, RuntimeError, NotImplementedError) as error:
        message = "ai-edge-quantizer cannot quantize this model by this recipe"
        raise ConversionError("EK-CONVERT-014", message, reason(error)) from error
    (folder / FILE).write_bytes(stamp_versions(bytes(content)))
    return {"operators": [[one.kind, one.name, precision] for one, precision in chosen]}


def _check_quantizable(file: TFLiteFile, chosen: Sequence[tuple[RecipeOperator, str]]) -> None:
    """Refuse what the quantizer would fail on without a reason."""
    if not any(precision != FLOAT for _, precision in chosen):
        hint = "choose operators that hold weights, or an integer precision"
        raise ConversionError("EK-CONVERT-013", "the recipe leaves every operator float32", hint)
    loops = [n for graph in file.graphs for n in graph.nodes if n.operator in LOOPS]
    if loops and any(precision in CALIBRATED for _, precision in chosen):
        names = ", ".join(file.graphs[0].tensors[n.outputs[0]].name for n in loops)
        message = f"ai-edge-quantizer cannot calibrate a model with loops: {names}"
        hint = "quantize weights only (dynamic, int8-weights, int4), or use --unroll"
        raise ConversionError("EK-CONVERT-014", message, hint)


def _is_supported(operator: RecipeOperator, precision: str) -> bool:
    """Tell whether the quantizer supports this precision for an operator."""
    from ai_edge_quantizer import algorithm_manager

    if precision == FLOAT:
        return True
    name = _operation(operator)
    if name is None or not (precision in CALIBRATED or _weights(operator)):
        return False
    if precision == "int4-block32" and _weights(operator)[-1] % BLOCK:
        return False
    key = _algorithm(precision)
    try:
        algorithm_manager.check_op_quantization_config(key, name, _config(precision))
    except ValueError:
        return False
    return True


def _operation(operator: RecipeOperator) -> Any:
    """Return the quantizer's name of an operator, or nothing."""
    from ai_edge_quantizer import qtyping

    kind = NAMES.get(operator.kind, operator.kind)
    return next((n for n in qtyping.TFLOperationName if n.value == kind), None)


def _weights(operator: RecipeOperator) -> tuple[int, ...]:
    """Return the shape of the constant that an operator reads second; empty if there is none."""
    second = [operator.graph.tensors[i] for i in operator.node.inputs[1:2] if i >= 0]
    return second[0].shape if second and second[0].bytes else ()


def _scope(operator: RecipeOperator) -> str:
    """Build a pattern of this operator alone: the quantizer searches it in all outputs' names."""
    return "^" + re.escape("".join(f"{name};" for name in operator.outputs)) + "$"


def _algorithm(precision: str) -> Any:
    """Choose the quantizer's algorithm for a recipe's precision."""
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    return AlgorithmName.FLOAT_CASTING if precision == HALF else AlgorithmName.MIN_MAX_UNIFORM_QUANT


def _config(precision: str, coarse: bool = False) -> Any:
    """Build the quantizer's configuration of an operator at a recipe's precision."""
    from ai_edge_quantizer import qtyping

    tensor, granular = qtyping.TensorQuantizationConfig, qtyping.QuantGranularity
    if precision == HALF:
        return qtyping.OpQuantizationConfig(
            weight_tensor_config=tensor(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        )
    bits = 4 if precision.startswith("int4") else 8
    blocks = precision == "int4-block32"
    granularity = granular.BLOCKWISE_32 if blocks else granular.CHANNELWISE
    if coarse and precision == "dynamic":
        granularity = granular.TENSORWISE
    weights = tensor(num_bits=bits, symmetric=True, granularity=granularity)
    activations = {
        "int8": tensor(num_bits=8, symmetric=False, granularity=granular.TENSORWISE),
        "int16x8": tensor(num_bits=16, symmetric=True, granularity=granular.TENSORWISE),
    }
    in_float = precision in ("int4", "int8-weights")
    compute = qtyping.ComputePrecision
    return qtyping.OpQuantizationConfig(
        activation_tensor_config=activations.get(precision),
        weight_tensor_config=weights,
        compute_precision=compute.FLOAT if in_float else compute.INTEGER,
        explicit_dequantize=in_float,
    )


def _items(
    file: TFLiteFile, feeds: Mapping[str, Path]
) -> Mapping[str, list[dict[str, npt.NDArray[Any]]]]:
    """Batch the items by input name, by signature."""
    if not file.signatures:
        message = "a file without a signature has no input names to calibrate by"
        hint = (
            "convert from the model that it was made of, or to int8, float16, dynamic or int4,"
            " which need no signature"
        )
        raise ConversionError("EK-CONVERT-014", message, hint)
    signature = file.signatures[0]
    missing = [name for name in signature.inputs if name not in feeds]
    if missing:
        message = f"there are no representative items for the input {missing[0]!r}"
        raise ConversionError("EK-CONVERT-031", message, f"the data has: {', '.join(feeds)}")
    arrays = {name: np.load(feeds[name], mmap_mode="r") for name in signature.inputs}
    count = min(len(array) for array in arrays.values())
    if count < FEWEST_ITEMS:
        hint = "give real items with --representative FILE.npz or --data; 100 to 500 are usual"
        message = f"quantizing needs a representative dataset; {count} items are not enough"
        raise ConversionError("EK-CONVERT-002", message, hint)
    tensors = file.graphs[signature.graph].tensors
    shapes = {name: tensors[at].shape for name, at in signature.inputs.items()}
    return {signature.key: list(in_batches(arrays, shapes))}
