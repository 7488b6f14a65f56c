"""The precision in which each operator really computes, by the dtypes it reads and writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edgekit.converters.flatbuffer import FLOATS, Graph, Node, TFLiteFile
from edgekit.converters.inspection.shapes import called_graphs

Kind = Literal["integer", "float", "dynamic", "conversion", "index", "control", "custom"]
CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE"})
UNPACKING = frozenset({"DEQUANTIZE", "DENSIFY"})
# Shapes, axes, indices, conditions: not what a model's precision is about.
INDICES = frozenset({"INT32", "INT64", "UINT32", "UINT64", "BOOL", "STRING", "RESOURCE", "VARIANT"})
PACKED = frozenset({"INT8", "UINT8", "INT4", "UINT4", "INT2", "INT16"})


@dataclass(frozen=True)
class NodePrecision:
    """The precision of one node.

    ``label`` is what users call it (int8, int16x8, float32, dynamic int8); ``kind`` groups labels:
    *integer* computes in integers only, *dynamic* quantizes float activations as it runs, *index*
    works on shapes and indices. ``activations`` and ``weights`` are the dtypes it follows from.
    """

    label: str
    kind: Kind
    activations: tuple[str, ...]
    weights: tuple[str, ...]


@dataclass(frozen=True)
class Island:
    """A connected part of an otherwise integer graph that computes in float.

    ``nodes`` are positions in the graph, in execution order; ``place`` is where it lies between
    the integer operators.
    """

    graph: int
    nodes: tuple[int, ...]
    place: Literal["at the start", "inside", "at the end", "beside"]


def precisions(file: TFLiteFile, graph: Graph) -> tuple[NodePrecision, ...]:
    """Return the precision of each node of a graph, in execution order."""
    constants = {tensor.index for tensor in graph.constants()}
    unpacked: dict[int, int] = {}
    for node in graph.nodes:
        source = unpacked.get(node.inputs[0], node.inputs[0]) if node.inputs else -1
        if node.operator in UNPACKING and source in constants:
            unpacked.update(dict.fromkeys(node.outputs, source))
    count = len(file.graphs)
    return tuple(_precision(graph, node, constants, unpacked, count) for node in graph.nodes)


def _precision(
    graph: Graph, node: Node, constants: set[int], unpacked: dict[int, int], graphs: int
) -> NodePrecision:
    read = [i for i in node.inputs if i >= 0]
    weights = _dtypes(graph, [unpacked.get(i, i) for i in read if i in constants or i in unpacked])
    computed = [i for i in read if i not in constants and i not in unpacked]
    # A recurrent layer's state may be wider than what goes through it.
    computed = [i for i in computed if not graph.tensors[i].variable] or computed
    moved = _dtypes(graph, [*computed, *(i for i in node.outputs if i >= 0)])
    if node.custom:
        return NodePrecision("custom", "custom", moved, weights)
    if node.operator in CONVERSIONS:
        into = _dtypes(graph, [i for i in node.outputs if i >= 0])
        label = f"{_words(_dtypes(graph, read))} to {_words(into)}"
        return NodePrecision(label, "conversion", moved, weights)
    if called_graphs(node, graphs):
        return NodePrecision("control flow", "control", moved, weights)
    data = tuple(d for d in moved if d not in INDICES)
    if not data:
        return NodePrecision(_words(moved) or "none", "index", moved, weights)
    heavy = tuple(d for d in weights if d not in INDICES and d not in data)
    packed = tuple(d for d in heavy if d in PACKED)
    if any(d in FLOATS for d in data):
        return _float(data, heavy, packed, any(i in unpacked for i in read), moved, weights)
    if data == ("INT16",) and "INT8" in packed:
        return NodePrecision("int16x8", "integer", moved, weights)
    label = _words(data) + (f" ({_words(packed)} weights)" if packed else "")
    return NodePrecision(label, "integer", moved, weights)


def _float(
    data: tuple[str, ...],
    heavy: tuple[str, ...],
    packed: tuple[str, ...],
    is_unpacked: bool,
    moved: tuple[str, ...],
    weights: tuple[str, ...],
) -> NodePrecision:
    """Classify a node with float activations by its weights."""
    if packed and not is_unpacked:
        return NodePrecision(f"dynamic {_words(packed)}", "dynamic", moved, weights)
    label = _words(data) + (f" ({_words(heavy)} weights)" if heavy else "")
    return NodePrecision(label, "float", moved, weights)


def _dtypes(graph: Graph, indices: list[int]) -> tuple[str, ...]:
    return tuple(sorted({graph.tensors[i].dtype for i in indices if i >= 0}))


def _words(dtypes: tuple[str, ...]) -> str:
    return "+".join(d.lower() for d in dtypes)


def is_quantized(nodes: tuple[NodePrecision, ...]) -> bool:
    """Tell whether a graph computes in integers, at least in part."""
    return any(one.kind == "integer" for one in nodes)


def islands(index: int, graph: Graph, nodes: tuple[NodePrecision, ...]) -> tuple[Island, ...]:
    """Find connected runs of float operators in a graph that computes in integers."""
    if not is_quantized(nodes):
        return ()
    floats = [at for at, precision in enumerate(nodes) if precision.kind in ("float", "dynamic")]
    borders = [
        node
        for node, precision in zip(graph.nodes, nodes, strict=True)
        if precision.kind == "conversion" and not precision.weights
    ]
    cast_outputs = {i for node in borders for i in node.outputs if i >= 0}
    cast_inputs = {i for node in borders for i in node.inputs if i >= 0}
    groups = _components(graph, floats)
    return tuple(
        Island(index, group, _place(graph, group, cast_outputs, cast_inputs)) for group in groups
    )


def _components(graph: Graph, chosen: list[int]) -> list[tuple[int, ...]]:
    """Group nodes that share a computed tensor (union-find over tensors)."""
    constants = {tensor.index for tensor in graph.constants()}
    parent = {at: at for at in chosen}

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    touched: dict[int, int] = {}
    for at in chosen:
        for i in _touched(graph.nodes[at]):
            if i not in constants:
                parent[root(at)] = root(touched.setdefault(i, at))
    groups: dict[int, list[int]] = {}
    for at in chosen:
        groups.setdefault(root(at), []).append(at)
    return [tuple(group) for group in groups.values()]


def _touched(node: Node) -> Iterator[int]:
    return (i for i in (*node.inputs, *node.outputs) if i >= 0)


def _place(
    graph: Graph, group: tuple[int, ...], cast_outputs: set[int], cast_inputs: set[int]
) -> Literal["at the start", "inside", "at the end", "beside"]:
    """Say where an island lies, by the conversions of activations before and after it."""
    before = any(i in cast_outputs for at in group for i in graph.nodes[at].inputs)
    after = any(i in cast_inputs for at in group for i in graph.nodes[at].outputs)
    if before and after:
        return "inside"
    return "at the end" if before else "at the start" if after else "beside"
