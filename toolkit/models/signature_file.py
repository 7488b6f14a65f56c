"""What a SavedModel takes, read from its file without TensorFlow: the inputs of its signature.

Only the few fields on the way there are read; a graph of any size is passed over by its length.
Source: saved_model.proto, meta_graph.proto, tensor_shape.proto and types.proto of TensorFlow.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from edgekit.types import TensorSpec

SERVING = "serving_default"
# SavedModel.meta_graphs, MetaGraphDef.signature_def, SignatureDef.inputs.
GRAPHS, SIGNATURES, INPUTS = 2, 5, 1
# An entry of a map; TensorInfo; TensorShapeProto; its Dim.
KEY, VALUE = 1, 2
DTYPE, SHAPE = 2, 3
DIMENSION, UNKNOWN_RANK, SIZE = 2, 3, 1
DTYPES = {
    **{1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string"},
    **{9: "int64", 10: "bool", 17: "uint16", 19: "float16", 22: "uint32", 23: "uint64"},
}
VARINT, DOUBLE, BYTES, SINGLE = 0, 1, 2, 5
FIXED = {DOUBLE: 8, SINGLE: 4}

Value = int | memoryview


def inputs_of(folder: Path, signature: str | None = None) -> tuple[TensorSpec, ...]:
    """Return the inputs ``[batch, ...]`` of a SavedModel's signature, where its file tells them.

    None where it does not: it is damaged, holds several graphs, or an input has any rank. What is
    wrong with it is said where it is loaded.
    """
    try:
        with (folder / "saved_model.pb").open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return tuple(_inputs(memoryview(content), signature))
    # A file that ends in a field, text that is not one: no reader of this goes further.
    except (OSError, ValueError, LookupError):
        return ()


def _inputs(content: memoryview, signature: str | None) -> Iterator[TensorSpec]:
    (graph,) = _all(content, GRAPHS)
    found = {name: each for name, each in _map(graph, SIGNATURES) if not name.startswith("__")}
    chosen = signature or (next(iter(found)) if len(found) == 1 else SERVING)
    for name, info in sorted(_map(found.get(chosen, memoryview(b"")), INPUTS)):
        fields = dict(_fields(info))
        shape, dtype = fields.get(SHAPE), fields.get(DTYPE)
        if not isinstance(shape, memoryview) or not isinstance(dtype, int):
            raise ValueError("no tensor with a shape")
        yield TensorSpec(name, tuple(_sizes(shape)), DTYPES[dtype])


def _sizes(shape: memoryview) -> Iterator[int | None]:
    if dict(_fields(shape)).get(UNKNOWN_RANK):
        raise ValueError("a tensor of any rank")
    for one in _all(shape, DIMENSION):
        size = dict(_fields(one)).get(SIZE, 0)
        # A negative number is written as one of 64 bits.
        yield size if isinstance(size, int) and 0 < size < 1 << 63 else None


def _map(message: memoryview, number: int) -> Iterator[tuple[str, memoryview]]:
    for entry in _all(message, number):
        fields = dict(_fields(entry))
        key, value = fields.get(KEY), fields.get(VALUE)
        if isinstance(key, memoryview) and isinstance(value, memoryview):
            yield bytes(key).decode(), value


def _all(message: memoryview, number: int) -> Iterator[memoryview]:
    """Yield the messages in a field that is repeated."""
    for each, value in _fields(message):
        if each == number and isinstance(value, memoryview):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield the fields of a message by number. Raises ValueError or LookupError at damage."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == BYTES:
            length, at = _varint(message, at)
        else:
            length = FIXED.get(kind, len(message) + 1)
        if at + length > len(message):
            raise ValueError("a field ends beyond its message")
        yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("no number")
