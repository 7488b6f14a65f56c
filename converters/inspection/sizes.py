"""The bytes of a file by constant, and its operators as a page draws them: nothing is decoded."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.converters.flatbuffer import Graph, Node, TFLiteFile
from edgekit.converters.inspection.computed_precision import islands, precisions
from edgekit.converters.inspection.macs import Macs
from edgekit.converters.inspection.shapes import node_name, short
from edgekit.converters.inspection.weights import UNUSED, readers, remainder
from edgekit.types.details import (
    FileSizes,
    OperatorRow,
    Operators,
    PrecisionIsland,
    TensorSize,
)

MOST_TENSORS = 500
MOST_OPERATORS = 2000


def sizes(file: TFLiteFile) -> FileSizes:
    """Return the bytes of the file's constants, largest first, a shared buffer counted once."""
    rows: list[TensorSize] = []
    seen: set[int] = set()
    left = file.size
    for graph in file.graphs:
        reading = readers(graph)
        for tensor in graph.constants():
            # Only buffers that overlap add up to more than the file.
            if tensor.buffer in seen or tensor.bytes > left:
                continue
            seen.add(tensor.buffer)
            left -= tensor.bytes
            layer, operator = reading.get(tensor.index, (UNUSED, ""))
            name, dtype = short(tensor.name), tensor.dtype
            rows.append(TensorSize(layer, operator, name, dtype, tensor.shape, tensor.bytes))
    rows.sort(key=lambda row: -row.bytes)
    rest: dict[str, int] = {}
    for name, size in remainder(file, rows).items():
        rest[name] = min(size, left)
        left -= rest[name]
    if len(rows) > MOST_TENSORS:
        rest["other"] = sum(row.bytes for row in rows[MOST_TENSORS:])
    return FileSizes(file.size, tuple(rows[:MOST_TENSORS]), rest)


def operators(file: TFLiteFile) -> Operators:
    """Return the operators of the main graph in execution order, and the islands among them."""
    graph = file.graphs[0]
    computed, macs = precisions(file, graph), Macs(file)
    listed = [
        PrecisionIsland(island.place, tuple(at for at in island.nodes if at < MOST_OPERATORS))
        for island in islands(0, graph, computed)
        if island.nodes[0] < MOST_OPERATORS
    ]
    lying = {at: number for number, one in enumerate(listed) for at in one.rows}
    reads = _reads(graph)
    rows = []
    for at, node in enumerate(graph.nodes[:MOST_OPERATORS]):
        counted = macs.of_node(0, node).value
        rows.append(
            OperatorRow(
                name=node_name(graph, node),
                operator=node.operator,
                precision=computed[at].label,
                kind=computed[at].kind,
                shape=_shape(graph, node),
                inputs=reads[at],
                island=lying.get(at),
                macs=None if counted is None else int(counted),
            )
        )
    return Operators(tuple(rows), tuple(listed), max(0, len(graph.nodes) - MOST_OPERATORS))


def _shape(graph: Graph, node: Node) -> tuple[int, ...]:
    first = next((i for i in node.outputs if i >= 0), None)
    return () if first is None else graph.tensors[first].shape


def _reads(graph: Graph) -> Mapping[int, tuple[int, ...]]:
    """Find the operators that wrote what each operator reads."""
    written: dict[int, int] = {}
    reads = {}
    for at, node in enumerate(graph.nodes):
        reads[at] = tuple(dict.fromkeys(written[i] for i in node.inputs if i in written))
        written.update({i: at for i in node.outputs if i >= 0})
    return reads
