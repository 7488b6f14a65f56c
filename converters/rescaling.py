"""Detect whether a model rescales its inputs by itself."""

from __future__ import annotations

from edgekit.converters.flatbuffer import Graph, TFLiteFile

# Operators that may lie between an input and its rescaling.
PASSING = frozenset({"CAST", "QUANTIZE", "DEQUANTIZE", "RESHAPE", "TRANSPOSE", "EXPAND_DIMS"})
RESCALING = frozenset({"MUL", "DIV", "SUB", "ADD"})
# One number, or one per channel.
MOST_VALUES = 4


def rescales(file: TFLiteFile) -> bool:
    """Tell whether an input of the main graph is first scaled or shifted by constants."""
    main = file.graphs[0]
    return any(_rescaled(main, index) for index in main.inputs)


def _rescaled(graph: Graph, index: int) -> bool:
    constants = {tensor.index: tensor for tensor in graph.constants()}
    reached = {index}
    for node in graph.nodes:
        if not reached & set(node.inputs):
            continue
        if node.operator in PASSING:
            reached |= set(node.outputs)
            continue
        constants_read = [constants[i] for i in node.inputs if i in constants]
        if node.operator in RESCALING and any(
            _is_per_channel(tensor.shape) for tensor in constants_read
        ):
            return True
    return False


def _is_per_channel(shape: tuple[int, ...]) -> bool:
    count = 1
    for size in shape:
        count *= size
    return count <= MOST_VALUES
