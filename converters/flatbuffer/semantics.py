"""What a file computes, as a hash: equal where only names, order or metadata differ."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from edgekit.converters.flatbuffer.contents import Graph, Node, Tensor, TFLiteFile


def semantic_hash(file: TFLiteFile) -> str:
    """Compute SHA-256 over the graphs as they compute: operators, options, shapes, scales and
    constants.

    Tensors are numbered as the operators meet them. Names of tensors, graphs and signatures,
    descriptions, metadata, unused tensors and the order of buffers do not count.
    """
    document = [_graph(file, graph) for graph in file.graphs]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _graph(file: TFLiteFile, graph: Graph) -> Any:
    order: dict[int, int] = {}

    def number(index: int) -> int:
        return -1 if index < 0 else order.setdefault(index, len(order))

    inputs = [number(i) for i in graph.inputs]
    nodes = [_node(node, number) for node in graph.nodes]
    outputs = [number(i) for i in graph.outputs]
    tensors = [_tensor(file, graph.tensors[i]) for i in order]
    return {"inputs": inputs, "outputs": outputs, "nodes": nodes, "tensors": tensors}


def _node(node: Node, number: Any) -> Any:
    return [
        node.operator,
        node.version,
        [number(i) for i in node.inputs],
        [number(i) for i in node.outputs],
        sorted((k, repr(v)) for k, v in node.options.items()),
    ]


def _tensor(file: TFLiteFile, tensor: Tensor) -> Any:
    quantization = tensor.quantization
    steps = (
        [quantization.scales, quantization.zero_points, quantization.axis, quantization.block_size]
        if quantization
        else None
    )
    content = hashlib.sha256(file.data(tensor)).hexdigest() if tensor.bytes else ""
    return [tensor.dtype, tensor.shape, tensor.signature_shape, tensor.variable, steps, content]
