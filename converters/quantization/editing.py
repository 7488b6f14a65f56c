"""Edit a ``.tflite`` file: unpack it into objects, change them, and pack it again.

Source: the TensorFlow Lite schema, version 3 (``schema.fbs``), by its generated object API.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT = 16
# Dtypes of constants that quantization reads or changes, by number in the schema's TensorType.
DTYPES = {0: np.float32, 2: np.int32, 4: np.int64, 9: np.int8}
# They convert between precisions, and compute nothing.
CASTS = frozenset({"QUANTIZE", "DEQUANTIZE"})


@dataclass(frozen=True)
class EditableOperator:
    """One operator of the main graph: its schema name, first output's name, and the object.

    What only keeps a state has no output, and no name.
    """

    kind: str
    name: str
    operator: Any


def unpack(content: bytes) -> Any:
    """Parse a file into its ``ModelT``."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def pack(model: Any) -> bytes:
    """Serialize a ``ModelT``."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def with_builtin_codes(content: bytes) -> bytes:
    """Return the file with every operator in the field that today's readers look at.

    TensorFlow before 2.4 wrote the deprecated byte alone, which leaves that field at 0 (ADD). The
    same bytes if nothing changes.
    """
    model = unpack(content)
    old = [code for code in model.operatorCodes if code.deprecatedBuiltinCode > code.builtinCode]
    for code in old:
        code.builtinCode = code.deprecatedBuiltinCode
    return pack(model) if old else content


def in_signature_order(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Return the file with inputs and outputs in the order of the signature's names that are
    given.

    TensorFlow sorts them in its own ways, and readers that go by position would get another
    output. The same bytes if nothing changes.
    """
    model = unpack(content)
    if len(model.signatureDefs or []) != 1 or len(inputs) + len(outputs) <= 2:
        return content
    (signature,), graph = model.signatureDefs, model.subgraphs[0]
    changed = False
    for edge, names in (("inputs", inputs), ("outputs", outputs)):
        rows = {decode_text(row.name): row for row in getattr(signature, edge)}
        before = [int(at) for at in getattr(graph, edge)]
        if sorted(rows) != sorted(names):
            continue
        after = [int(rows[name].tensorIndex) for name in names]
        if sorted(after) == sorted(before) and after != before:
            setattr(graph, edge, after)
            setattr(signature, edge, [rows[name] for name in names])
            changed = True
    return pack(model) if changed else content


def main_operators(model: Any) -> Iterator[EditableOperator]:
    """Return the operators of the main graph in the order in which they run."""
    from ai_edge_litert import schema_py_generated as schema

    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if k.isupper()}
    graph = model.subgraphs[0]
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        kind = names.get(number, str(number))
        if kind == "CUSTOM":
            kind = decode_text(code.customCode)
        outputs = [] if operator.outputs is None else list(operator.outputs)
        yield EditableOperator(
            kind, tensor_name(graph.tensors[outputs[0]]) if outputs else "", operator
        )


def tensor_name(tensor: Any) -> str:
    return decode_text(tensor.name)


class AlignedBuffer:
    """A buffer of the model that packs itself aligned, as the schema asks.

    Python's generated writer does not.
    """

    def __init__(self, content: bytes | None) -> None:
        self._content = content

    @classmethod
    def of(cls, buffer: Any) -> AlignedBuffer:
        """Copy the content of a ``BufferT``."""
        data = buffer.data
        return cls(None if data is None else np.asarray(data, np.uint8).tobytes())

    def Pack(self, builder: Any) -> int:
        """Write the buffer, and return its offset."""
        from ai_edge_litert import schema_py_generated as schema

        vector = None
        if self._content is not None:
            size = len(self._content)
            builder.StartVector(1, size, BUFFER_ALIGNMENT)
            builder.head = builder.Head() - size
            builder.Bytes[builder.head : builder.head + size] = self._content
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


def decode_text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else (value or "")


def constant(model: Any, tensor: Any) -> npt.NDArray[Any] | None:
    """Return a copy of a tensor's constant content in its shape and dtype; None if it has none."""
    data = model.buffers[tensor.buffer].data
    if data is None or len(data) == 0 or tensor.type not in DTYPES:
        return None
    array = np.frombuffer(np.asarray(data, np.uint8).tobytes(), DTYPES[tensor.type])
    return array.reshape([int(size) for size in tensor.shape]).copy()


def set_input(model: Any, operator: Any, position: int, array: npt.NDArray[Any]) -> None:
    """Set a constant input of an operator of the main graph to new content of its dtype.

    Equal constants share a buffer, and sometimes a tensor: what others read stays as it is.
    """
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    at = int(operator.inputs[position])
    tensor = graph.tensors[at]
    buffer = schema.BufferT()
    content = np.ascontiguousarray(array, DTYPES[tensor.type])
    buffer.data = np.frombuffer(content.tobytes(), np.uint8)
    model.buffers.append(buffer)
    if sum(at in other.inputs for other in graph.operators) > 1:
        tensor = copy.copy(tensor)
        graph.tensors.append(tensor)
        inputs = [int(other) for other in operator.inputs]
        inputs[position] = len(graph.tensors) - 1
        operator.inputs = inputs
    tensor.buffer = len(model.buffers) - 1
