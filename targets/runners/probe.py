"""The smallest model there is, written without TensorFlow: to see whether a runtime works here."""

from __future__ import annotations

import numpy as np


def probe_model() -> bytes:
    """Return a ``.tflite`` file that adds its input ``x`` (float32 ``[1, 4]``) to itself.

    Source: the TensorFlow Lite schema, version 3 (``schema.fbs``).
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.SubGraphT()
    graph.tensors = [_tensor(schema, name) for name in ("x", "y")]
    graph.inputs, graph.outputs = [0], [1]
    add = schema.OperatorT()
    add.opcodeIndex, add.inputs, add.outputs = 0, [0, 0], [1]
    add.builtinOptionsType = schema.BuiltinOptions.AddOptions
    add.builtinOptions = schema.AddOptionsT()
    graph.operators = [add]
    code = schema.OperatorCodeT()
    code.deprecatedBuiltinCode = code.builtinCode = schema.BuiltinOperator.ADD
    code.version = 1
    model = schema.ModelT()
    model.version = 3
    model.operatorCodes, model.subgraphs = [code], [graph]
    model.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(512)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(schema: object, name: str) -> object:
    tensor = schema.TensorT()  # type: ignore[attr-defined]
    tensor.name = name.encode()
    tensor.shape = np.array([1, 4], np.int32)
    tensor.type = schema.TensorType.FLOAT32  # type: ignore[attr-defined]
    tensor.buffer = 0
    return tensor
