"""Parse the bytes of a ``.tflite`` file."""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit.converters.flatbuffer.contents import (
    Graph,
    Node,
    Quantization,
    Signature,
    Tensor,
    TFLiteFile,
)
from edgekit.converters.flatbuffer.walk import DamagedFile, FileBytes, Table
from edgekit.errors import ModelError

IDENTIFIER = b"TFL3"
# Of the union QuantizationDetails.
BLOCKWISE = 2
# The bytes of most vectors' entries in options.
ENTRY = 4
Span = tuple[int, int]


def read(path: Path) -> TFLiteFile:
    """Read a file. Raises :class:`ModelError` if it is damaged or not a TFLite file."""
    return parse(path.read_bytes(), str(path))


def parse(content: bytes, name: str) -> TFLiteFile:
    """Parse a file's content; ``name`` is for the error, :class:`ModelError`."""
    if len(content) < 16 or content[4:8] != IDENTIFIER:
        raise ModelError("EK-MODEL-003", f"{name} is not a TFLite file, or is damaged")
    try:
        return _file(FileBytes(content))
    except (DamagedFile, struct.error, LookupError, TypeError, ValueError, OverflowError) as error:
        hint = f"it is truncated or damaged: {error}"
        raise ModelError("EK-MODEL-003", f"{name} cannot be read as .tflite", hint) from error


def _file(content: FileBytes) -> TFLiteFile:
    model = content.root()
    spans = tuple(_buffer(table) for table in model.tables(4))
    codes = [operator_code(table) for table in model.tables(1)]
    graphs = _ranked(tuple(_graph(table, codes, spans) for table in model.tables(2)))
    if not graphs:
        raise DamagedFile("it holds no graph")
    signatures = tuple(_signature(table, graphs) for table in model.tables(7))
    return TFLiteFile(
        size=len(content.data),
        version=model.scalar(0, "<I"),
        description=model.text(3),
        graphs=graphs,
        signatures=signatures,
        metadata=dict(_metadata(table, spans, content.data) for table in model.tables(6)),
        _content=content.data,
        _spans=spans,
    )


def _buffer(table: Table) -> Span:
    """Return where a buffer's bytes lie: in the flatbuffer, or behind it in files over 2 GB."""
    offset, size = table.scalar(1, "<Q"), table.scalar(2, "<Q")
    span = table.content.span(offset, size) if offset > 1 else table.span(0, 1)
    # Every buffer is copied when the file is written again.
    table.content.spend(size=span[1])
    return span


def _metadata(table: Table, spans: tuple[Span, ...], data: bytes) -> tuple[str, bytes]:
    at, size = spans[_within(table.scalar(1, "<I"), len(spans), "buffer")]
    table.content.spend(size=size)
    return table.text(0), data[at : at + size]


def operator_code(table: Table) -> tuple[str, int, bool]:
    """Return an operator's name and version, and whether it is custom."""
    # Files before schema 3a keep the operator in the deprecated byte.
    number = max(table.scalar(3, "<i"), table.scalar(0, "<b"))
    known = _names("BuiltinOperator")
    is_custom = known.get(number) == "CUSTOM"
    custom = table.text(1) if is_custom else ""
    name = custom or known.get(number, f"UNKNOWN_{number}")
    return name, table.scalar(2, "<i", 1), is_custom


def operator_names() -> frozenset[str]:
    """Return the names of TFLite's own operators."""
    return frozenset(_names("BuiltinOperator").values())


def _graph(table: Table, codes: list[tuple[str, int, bool]], spans: tuple[Span, ...]) -> Graph:
    tensors = tuple(_tensor(t, i, spans) for i, t in enumerate(table.tables(0)))
    count = len(tensors)
    return Graph(
        name=table.text(4),
        tensors=tensors,
        inputs=_indices(table, 1, count),
        outputs=_indices(table, 2, count),
        nodes=tuple(_node(row, codes, count) for row in table.tables(3)),
    )


def _tensor(table: Table, index: int, spans: tuple[Span, ...]) -> Tensor:
    buffer = _within(table.scalar(2, "<I"), len(spans), "buffer") if spans else 0
    dtypes = _names("TensorType")
    kind = table.scalar(1, "<b")
    if kind not in dtypes:
        raise DamagedFile(f"tensor {index} is of the unknown type {kind}")
    return Tensor(
        name=table.text(3),
        dtype=dtypes[kind],
        shape=_integers(table, 0),
        index=index,
        signature_shape=_integers(table, 7),
        buffer=buffer,
        bytes=spans[buffer][1] if spans else 0,
        variable=bool(table.scalar(5, "<B")),
        sparse=table.table(6) is not None,
        quantization=_quantization(table.table(4)),
        ranked=bool(table.scalar(8, "<B")),
    )


def _ranked(graphs: tuple[Graph, ...]) -> tuple[Graph, ...]:
    """Mark a missing shape as a scalar's if the file states no rank anywhere.

    Older converters do not write whether a tensor has a rank.
    """
    states_ranks = any(tensor.ranked for graph in graphs for tensor in graph.tensors)
    return tuple(
        replace(
            graph,
            tensors=tuple(
                replace(t, ranked=not states_ranks or t.ranked or bool(t.shape) or t.bytes > 0)
                for t in graph.tensors
            ),
        )
        for graph in graphs
    )


def _quantization(table: Table | None) -> Quantization | None:
    if table is None:
        return None
    scales = tuple(float(one) for one in table.array(2, "<f4"))
    zeros = tuple(int(one) for one in table.array(3, "<i8"))
    blocks = table.table(5) if table.scalar(4, "<B") == BLOCKWISE else None
    if blocks is not None:
        return Quantization(
            scales, zeros, table.scalar(6, "<i"), blocks.scalar(2, "<i"), blocks.scalar(0, "<i", -1)
        )
    return Quantization(scales, zeros, table.scalar(6, "<i")) if scales else None


def _node(table: Table, codes: list[tuple[str, int, bool]], tensors: int) -> Node:
    name, version, custom = codes[_within(table.scalar(0, "<I"), len(codes), "operator code")]
    return Node(
        operator=name,
        version=version,
        custom=custom,
        inputs=_indices(table, 1, tensors),
        outputs=_indices(table, 2, tensors),
        intermediates=_indices(table, 8, tensors),
        options={**_options(table, 3, ""), **_options(table, 11, "2")},
    )


def _options(table: Table, field: int, union: str) -> Mapping[str, Any]:
    """Read the options of an operator with the schema's own classes."""
    kind = _names(f"BuiltinOptions{union}").get(table.scalar(field, "<B"))
    content = table.table(field + 1) if kind else None
    if kind is None or kind == "NONE" or content is None:
        return {}
    import numpy as np

    schema = _schema()
    options = getattr(schema, kind)()
    options.Init(content.content.data, content.at)
    rows = vars(getattr(schema, f"{kind}T").InitFromObj(options))
    # Vectors of numbers are views until they are copied; operators may share them.
    vectors = [one for one in rows.values() if isinstance(one, np.ndarray | list | bytes)]
    table.content.spend(size=sum(len(one) * ENTRY for one in vectors))
    return {_snake(name): value for name, raw in rows.items() if (value := _plain(raw)) is not None}


def _plain(value: Any) -> int | float | bool | str | tuple[int, ...] | None:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, list) or hasattr(value, "dtype"):
        return tuple(int(one) for one in value)
    return value if isinstance(value, int | float | bool) else None


def _signature(table: Table, graphs: tuple[Graph, ...]) -> Signature:
    graph = _within(table.scalar(4, "<I"), len(graphs), "graph")
    count = len(graphs[graph].tensors)

    def named(field: int) -> dict[str, int]:
        return {
            row.text(0): _within(row.scalar(1, "<I"), count, "tensor")
            for row in table.tables(field)
        }

    return Signature(table.text(2), graph, named(0), named(1))


def _integers(table: Table, field: int) -> tuple[int, ...]:
    return tuple(int(one) for one in table.array(field, "<i4"))


def _indices(table: Table, field: int, count: int) -> tuple[int, ...]:
    indices = _integers(table, field)
    for index in indices:
        if index != -1:
            _within(index, count, "tensor")
    return indices


def _within(index: int, count: int, kind: str) -> int:
    if not 0 <= index < count:
        raise DamagedFile(f"{kind} {index} of {count} is named")
    return index


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@functools.cache
def _names(enumeration: str) -> Mapping[int, str]:
    """Return the names of an enumeration of the schema, by number."""
    rows = vars(getattr(_schema(), enumeration))
    return {value: name for name, value in rows.items() if isinstance(value, int)}


def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated
