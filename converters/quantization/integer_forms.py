"""Integer forms of operators that TensorFlow's quantizer leaves in float. In the worker.

Source: ``tflite/tools/optimize/operator_property.cc``: its table of what can be quantized lacks NEG
and SQUARE, though both are products, and MUL has an integer kernel wherever one runs. Where a model
gives values and the place of the largest, the quantizer lets ARG_MAX read their float form.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from edgekit.converters.quantization import editing
from edgekit.converters.version_stamp import stamp_versions

SQUARE = "SQUARE"
PRODUCTS = ("NEG", SQUARE)
# The index of the largest value is the same in integers.
ORDERING = ("ARG_MAX", "ARG_MIN")
CAST = "CAST"
REPLACED = ("DEQUANTIZE", CAST, *PRODUCTS)
MINUS_ONE = b"minus_one"
# Of MUL, ARG_MAX and ARG_MIN alike: the first that takes int8.
INTEGER_VERSION = 2


def use_integer_operators(content: bytes, keep_float: Collection[str] = ()) -> bytes:
    """Return the file with integer products in place of a float NEG or SQUARE between two casts.

    The ranges are those that were calibrated. ARG_MAX and ARG_MIN read integers, and
    QUANTIZE an input of pixels as it is, where a model casts it to float first. Operators that
    are to ``keep_float`` stay, by the name of their output. What they are now may need a later
    version of the runtime, which the file then states. The same bytes if nothing changes.
    """
    model = editing.unpack(content)
    graph = model.subgraphs[0]
    steps = [one for one in editing.main_operators(model) if one.name not in keep_float]
    products = [one for step in steps if step.kind in PRODUCTS and (one := _product(model, step))]
    bytes_in = [_read_bytes(model, step) for step in steps if step.kind == CAST]
    ordered = [_read_integers(model, step) for step in steps if step.kind in ORDERING]
    if not products and not any(ordered) and not any(bytes_in):
        return content
    for operator, replacing in products:
        at = next(n for n, one in enumerate(graph.operators) if one is replacing)
        graph.operators[at] = operator
    _remove_replaced(model)
    return stamp_versions(editing.pack(model))


def _product(model: Any, step: editing.EditableOperator) -> tuple[Any, Any] | None:
    """Return the product that stands for an operator, and the QUANTIZE that it replaces."""
    from ai_edge_litert import schema_py_generated as schema

    graph, (written,) = model.subgraphs[0], _tensors(step.operator.outputs)
    source = _dequantized(model, step)
    after = [
        one for one in editing.main_operators(model) if written in _tensors(one.operator.inputs)
    ]
    if source is None or [one.kind for one in after] != ["QUANTIZE"] or written in graph.outputs:
        return None
    result = int(after[0].operator.outputs[0])
    if {graph.tensors[at].type for at in (source, result)} != {schema.TensorType.INT8}:
        return None
    other = source if step.kind == SQUARE else _minus_one(model, graph.tensors[source])
    return _multiply(model, [source, other], result), after[0].operator


def _read_integers(model: Any, step: editing.EditableOperator) -> bool:
    """Let an operator read integers instead of their float form; tell whether it can."""
    from ai_edge_litert import schema_py_generated as schema

    source = _dequantized(model, step)
    if source is None or model.subgraphs[0].tensors[source].type != schema.TensorType.INT8:
        return False
    step.operator.opcodeIndex = _code(model, getattr(schema.BuiltinOperator, step.kind))
    step.operator.inputs = [source, *(int(one) for one in step.operator.inputs[1:])]
    return True


def _read_bytes(model: Any, step: editing.EditableOperator) -> bool:
    """Quantize a uint8 input directly instead of its cast, with a scale of 1."""
    from ai_edge_litert import schema_py_generated as schema

    graph, (source,) = model.subgraphs[0], _tensors(step.operator.inputs)
    (written,), tensor = _tensors(step.operator.outputs), graph.tensors[source]
    readers = [
        one for one in editing.main_operators(model) if written in _tensors(one.operator.inputs)
    ]
    plain = tensor.quantization is None or tensor.quantization.scale is None
    if tensor.type != schema.TensorType.UINT8 or source not in graph.inputs or not plain:
        return False
    if {one.kind for one in readers} != {"QUANTIZE"} or written in graph.outputs:
        return False
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [1.0], [0]
    for one in readers:
        one.operator.inputs = [source]
    return True


def _dequantized(model: Any, step: editing.EditableOperator) -> int | None:
    """Return the integer tensor that an operator's first input is the float form of."""
    read = step.operator.inputs[0]
    for one in editing.main_operators(model):
        if one.kind == "DEQUANTIZE" and read in _tensors(one.operator.outputs):
            return int(one.operator.inputs[0])
    return None


def _multiply(model: Any, inputs: list[int], output: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    operator = schema.OperatorT()
    operator.opcodeIndex = _code(model, schema.BuiltinOperator.MUL)
    operator.inputs, operator.outputs = inputs, [output]
    operator.builtinOptionsType = schema.BuiltinOptions.MulOptions
    operator.builtinOptions = schema.MulOptionsT()
    return operator


def _code(model: Any, number: int) -> int:
    """Return the index of an operator's code for int8, its version 2, added if there is none."""
    from ai_edge_litert import schema_py_generated as schema

    for at, code in enumerate(model.operatorCodes):
        if code.builtinCode == number and code.version == INTEGER_VERSION:
            return at
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = number
    code.version = INTEGER_VERSION
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _minus_one(model: Any, like: Any) -> int:
    """Return the tensor of -1, exactly, in the integer dtype of another."""
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    for at, tensor in enumerate(graph.tensors):
        if tensor.name == MINUS_ONE and tensor.type == like.type:
            return at
    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.frombuffer(np.array(-1, np.int8).tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.name, tensor.shape, tensor.type = MINUS_ONE, [], like.type
    tensor.buffer = len(model.buffers) - 1
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [1.0], [0]
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _remove_replaced(model: Any) -> None:
    """Remove the replaced operators, and what only they read."""
    graph = model.subgraphs[0]
    while True:
        read = {at for operator in graph.operators for at in _tensors(operator.inputs)}
        read |= set(_tensors(graph.outputs))
        kept = [
            operator.operator
            for operator in editing.main_operators(model)
            if operator.kind not in REPLACED or read & set(_tensors(operator.operator.outputs))
        ]
        if len(kept) == len(graph.operators):
            return
        graph.operators = kept


def _tensors(indices: Any) -> list[int]:
    """Return the tensors of an operator; the schema's objects have None for none."""
    return [] if indices is None else [int(at) for at in indices]
