"""The operators of a file one by one: their names and their multiply-accumulates."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgekit.converters.flatbuffer import FLOATS, Graph, Node, TFLiteFile


def nodes(file: TFLiteFile) -> Iterator[tuple[Graph, Node]]:
    """Return every operator with its graph, those of loops and branches too."""
    return ((graph, node) for graph in file.graphs for node in graph.nodes)


def describe_node(graph: Graph, node: Node) -> str:
    """Name an operator as ``NAME (tensor)``, by the first of the names that its tensor has."""
    if not node.outputs:
        return node.operator
    return f"{node.operator} ({graph.tensors[node.outputs[0]].name.split(';')[0]})"


def is_float(graph: Graph, node: Node) -> bool:
    """Tell whether an operator's output is float."""
    return any(graph.tensors[i].dtype in FLOATS for i in node.outputs if i >= 0)


def macs(file: TFLiteFile) -> int:
    """Count the multiply-accumulates of one inference: convolutions, dense layers, matrix
    products.

    Each is the number of elements an operator computes times the products summed in one; for a
    transposed convolution those that each input element takes part in. Loops' and branches' bodies
    count once.
    """
    return sum(_macs(graph, node) for graph, node in nodes(file))


def _macs(graph: Graph, node: Node) -> int:
    def shape(indices: tuple[int, ...], at: int) -> tuple[int, ...]:
        return graph.tensors[indices[at]].shape if at < len(indices) and indices[at] >= 0 else ()

    out, first, second = shape(node.outputs, 0), shape(node.inputs, 0), shape(node.inputs, 1)
    if node.operator == "CONV_2D":
        return math.prod(out) * math.prod(second[1:])
    if node.operator == "DEPTHWISE_CONV_2D":
        return math.prod(out) * math.prod(second[1:3])
    if node.operator == "FULLY_CONNECTED":
        return math.prod(out) * second[-1] if second else 0
    if node.operator == "TRANSPOSE_CONV":
        # Inputs: the output's shape, the weights, the data.
        return math.prod(shape(node.inputs, 2)) * math.prod(second[:3])
    if node.operator == "BATCH_MATMUL" and first:
        return math.prod(out) * (first[-2] if node.options.get("adj_x") else first[-1])
    return 0
