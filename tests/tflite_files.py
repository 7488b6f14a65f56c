"""Small ``.tflite`` files written field by field, to plant what a converter would not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


@dataclass(frozen=True)
class T:
    """A tensor: with ``data`` a constant, -1 in ``free`` where a dimension is.

    ``buffer`` names a constant whose buffer it shares; ``ranked`` is written where it is given.
    """

    name: str
    shape: Sequence[int]
    dtype: str = "FLOAT32"
    data: Any = None
    scale: Sequence[float] = ()
    zero: Sequence[int] = ()
    axis: int = 0
    free: Sequence[int] = ()
    variable: bool = False
    buffer: str = ""
    ranked: bool | None = None


@dataclass(frozen=True)
class N:
    """A node: tensors by name, ``None`` where an input is left out.

    ``custom`` are the options of a custom operator.
    """

    operator: str
    inputs: Sequence[str | None]
    outputs: Sequence[str]
    version: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: bytes = b""


@dataclass(frozen=True)
class G:
    """A graph."""

    tensors: Sequence[T]
    nodes: Sequence[N]
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    signature: str | None = "serving_default"


def build(*graphs: G, metadata: Mapping[str, bytes] | None = None, spare: bytes = b"") -> bytes:
    """The file's bytes; ``spare`` is a buffer that nothing uses."""
    model = schema.ModelT()
    model.version, model.description = 3, "built by a test"
    model.buffers, model.operatorCodes, model.subgraphs = [schema.BufferT()], [], []
    model.signatureDefs, model.metadata = [], []
    codes: dict[tuple[str, int], int] = {}
    for number, graph in enumerate(graphs):
        model.subgraphs.append(_graph(model, graph, codes))
        if graph.signature is not None:
            model.signatureDefs.append(_signature(graph, number))
    for name, content in (metadata or {}).items():
        row = schema.MetadataT()
        row.name, row.buffer = name, _buffer(model, np.frombuffer(content, np.uint8))
        model.metadata.append(row)
    if spare:
        _buffer(model, np.frombuffer(spare, np.uint8))
    return packed(model)


def packed(model: Any) -> bytes:
    """A file of the schema's objects."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _buffer(model: Any, data: Any) -> int:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _graph(model: Any, graph: G, codes: dict[tuple[str, int], int]) -> Any:
    rows = schema.SubGraphT()
    names = [tensor.name for tensor in graph.tensors]
    buffers: dict[str, int] = {}
    rows.tensors = []
    for tensor in graph.tensors:
        at = buffers.get(tensor.buffer, 0)
        if tensor.data is not None:
            at = buffers[tensor.name] = _buffer(model, tensor.data)
        rows.tensors.append(_tensor(tensor, at))
    rows.operators = [_node(model, node, names, codes) for node in graph.nodes]
    rows.inputs = [names.index(name) for name in graph.inputs]
    rows.outputs = [names.index(name) for name in graph.outputs]
    return rows


def _tensor(tensor: T, buffer: int) -> Any:
    row = schema.TensorT()
    row.name, row.type = tensor.name, getattr(schema.TensorType, tensor.dtype)
    row.shape, row.buffer = np.array(tensor.shape, np.int32), buffer
    row.isVariable = tensor.variable
    row.hasRank = bool(tensor.ranked)
    if tensor.free:
        row.shapeSignature = np.array(tensor.free, np.int32)
    if tensor.scale:
        found = row.quantization = schema.QuantizationParametersT()
        found.scale = np.array(tensor.scale, np.float32)
        found.zeroPoint = np.array(tensor.zero or [0] * len(tensor.scale), np.int64)
        found.quantizedDimension = tensor.axis
    return row


def _node(model: Any, node: N, names: list[str], codes: dict[tuple[str, int], int]) -> Any:
    number = getattr(schema.BuiltinOperator, node.operator, None)
    if (node.operator, node.version) not in codes:
        code = schema.OperatorCodeT()
        code.version = node.version
        code.builtinCode = schema.BuiltinOperator.CUSTOM if number is None else number
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.customCode = node.operator if number is None else None
        codes[node.operator, node.version] = len(model.operatorCodes)
        model.operatorCodes.append(code)
    row = schema.OperatorT()
    row.opcodeIndex = codes[node.operator, node.version]
    row.inputs = [-1 if name is None else names.index(name) for name in node.inputs]
    row.outputs = [names.index(name) for name in node.outputs]
    if node.custom:
        row.customOptions = np.frombuffer(node.custom, np.uint8)
    if node.options:
        kind = node.options["kind"]
        row.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        row.builtinOptions = getattr(schema, f"{kind}T")()
        for name, value in node.options.items():
            setattr(row.builtinOptions, name, value)
    return row


def _signature(graph: G, number: int) -> Any:
    found = schema.SignatureDefT()
    found.signatureKey, found.subgraphIndex = graph.signature, number
    names = [tensor.name for tensor in graph.tensors]
    found.inputs = [_named(name, names.index(name)) for name in graph.inputs]
    found.outputs = [_named(name, names.index(name)) for name in graph.outputs]
    return found


def _named(name: str, index: int) -> Any:
    row = schema.TensorMapT()
    row.name, row.tensorIndex = name, index
    return row


def int8_dense(**changes: Any) -> G:
    """A sound int8 graph, ``x [1, 4]`` to softmax ``y [1, 3]``; changes are by tensor name.

    A change is a mapping of the tensor's fields, or a function of its graph.
    """
    rng = np.random.default_rng(1)
    tensors = [
        T("x", [1, 4], "INT8", scale=[0.5], zero=[-1]),
        T("w", [3, 4], "INT8", rng.integers(-127, 128, (3, 4)).astype(np.int8), scale=[0.02]),
        T("b", [3], "INT32", np.arange(3, dtype=np.int32), scale=[0.01]),
        T("h", [1, 3], "INT8", scale=[0.25], zero=[3]),
        T("y", [1, 3], "INT8", scale=[1 / 256], zero=[-128]),
    ]
    tensors = [replace(one, **changes.get(one.name, {})) for one in tensors]
    nodes = [N("FULLY_CONNECTED", ["x", "w", "b"], ["h"], 4), N("SOFTMAX", ["h"], ["y"], 2)]
    return G(tensors, nodes, ["x"], ["y"])


def remembering() -> bytes:
    """A graph with a state: ``y`` weighs the last three ``x``, 1, 10 and 100 for the latest."""
    tensors = [
        T("x", [1, 1]),
        T("f", [1, 1], data=np.ones((1, 1), "f4")),
        T("t", [1, 3], data=np.array([[1, 10, 100]], "f4")),
        T("b", [1], data=np.zeros(1, "f4")),
        T("s", [1, 3], variable=True),
        T("y", [1, 1]),
    ]
    node = N("SVDF", ["x", "f", "t", "b", "s"], ["y"], options={"kind": "SVDFOptions", "rank": 1})
    return build(G(tensors, [node], ["x"], ["y"]))


def counting() -> bytes:
    """A graph with a state in a resource variable: ``y`` is 5 and the sum of all ``x`` so far."""
    handle = {"kind": "VarHandleOptions", "container": "", "sharedName": "sum"}
    tensors = [
        T("x", [1, 1]),
        T("handle", [1], "RESOURCE"),
        T("before", [1, 1]),
        T("y", [1, 1]),
    ]
    nodes = [
        N("CALL_ONCE", [], [], options={"kind": "CallOnceOptions", "initSubgraphIndex": 1}),
        N("VAR_HANDLE", [], ["handle"], options=handle),
        N("READ_VARIABLE", ["handle"], ["before"]),
        N("ADD", ["before", "x"], ["y"], options={"kind": "AddOptions"}),
        N("ASSIGN_VARIABLE", ["handle", "y"], []),
    ]
    five = T("five", [1, 1], data=np.full((1, 1), 5, "f4"))
    begin = [
        N("VAR_HANDLE", [], ["handle"], options=handle),
        N("ASSIGN_VARIABLE", ["handle", "five"], []),
    ]
    return build(
        G(tensors, nodes, ["x"], ["y"]),
        G([T("handle", [1], "RESOURCE"), five], begin, signature=None),
    )


def doubling(
    shape: Sequence[int],
    free: Sequence[int] = (),
    name: str = "x",
    answer: str = "y",
    signature: str | None = "serving_default",
) -> G:
    """A graph whose output is twice its input, of any shape; -1 in ``free`` where it is open."""
    tensors = [T(name, shape, free=free), T(answer, shape, free=free)]
    add = N("ADD", [name, name], [answer], options={"kind": "AddOptions"})
    return G(tensors, [add], [name], [answer], signature)


def leaking(quantized: bool = False) -> bytes:
    """A graph with a state of DTLN's kind: ``state_out`` is half of ``state_in`` and ``x``, ``y``
    twice that.

    ``quantized`` it is int8, where the state has another scale and zero point on its way out.
    """

    def tensor(name: str, scale: float = 0.0, zero: int = 0) -> T:
        known = {"scale": [scale], "zero": [zero]} if quantized and scale else {}
        return T(name, [1, 2], "INT8" if quantized else "FLOAT32", **known)

    tensors = [
        tensor("x", 0.5, -7),
        tensor("state_in", 0.125, 9),
        tensor("halved", 0.125, 9),
        tensor("state_out", 0.25, -3),
        tensor("y", 0.5, 3),
        T("half", [1], data=np.full(1, 0.5, "f4"))
        if not quantized
        else T("half", [1], "INT8", np.full(1, 64, "i1"), [1 / 128], [0]),
    ]
    nodes = [
        N("MUL", ["state_in", "half"], ["halved"], options={"kind": "MulOptions"}),
        N("ADD", ["halved", "x"], ["state_out"], options={"kind": "AddOptions"}),
        N("ADD", ["state_out", "state_out"], ["y"], options={"kind": "AddOptions"}),
    ]
    return build(G(tensors, nodes, ["x", "state_in"], ["y", "state_out"]))
