"""Sizes of tensors by their shapes, and which dimensions a file leaves free."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgekit.converters.flatbuffer import Graph, Node, Tensor

# Bits an element takes in memory. Source: the TensorFlow Lite schema, ``TensorType``.
BITS = {
    "INT2": 2,
    "INT4": 4,
    "UINT4": 4,
    "INT8": 8,
    "UINT8": 8,
    "BOOL": 8,
    "FLOAT8_E4M3FN": 8,
    "FLOAT8_E5M2": 8,
    "INT16": 16,
    "UINT16": 16,
    "FLOAT16": 16,
    "BFLOAT16": 16,
    "INT32": 32,
    "UINT32": 32,
    "FLOAT32": 32,
    "INT64": 64,
    "UINT64": 64,
    "FLOAT64": 64,
    "COMPLEX64": 64,
    "COMPLEX128": 128,
    # A handle; what it leads to is the runtime's.
    "RESOURCE": 0,
}
# No device holds more; a damaged shape may claim it.
MOST_ELEMENTS = 1 << 48
NAME_LENGTH = 44


def elements(shape: Sequence[int]) -> int | None:
    """Count the elements of a shape; None if it is free or impossible."""
    if any(size < 0 for size in shape) or len(shape) > 32:
        return None
    count = math.prod(shape)
    return count if count <= MOST_ELEMENTS else None


def size(tensor: Tensor) -> int | None:
    """Return the bytes a tensor takes in memory, a free batch as 1; None if not known."""
    count = elements(tensor.shape)
    if tensor.dtype == "RESOURCE":
        return 0
    if count is None or tensor.dtype not in BITS or has_free_size(tensor) or not tensor.ranked:
        return None
    return (count * BITS[tensor.dtype] + 7) // 8


def has_free_batch(tensor: Tensor) -> bool:
    """Tell whether the first dimension is free."""
    return _free(tensor)[:1] == [True]


def has_free_size(tensor: Tensor) -> bool:
    """Tell whether a dimension other than the first is free, or their number."""
    return any(_free(tensor)[1:]) or not tensor.ranked


def _free(tensor: Tensor) -> list[bool]:
    return [size < 0 for size in (tensor.signature_shape or tensor.shape)]


def shape_text(tensor: Tensor) -> str:
    """Return a shape as text, ``?`` for a free size, ``[...]`` for a free rank."""
    if not tensor.ranked:
        return "[...]"
    whole = tensor.signature_shape or tensor.shape
    return f"[{', '.join('?' if size < 0 else str(size) for size in whole)}]"


def short(name: str) -> str:
    """Shorten a tensor's name: without the operators fused into it, its end if it is long."""
    first = name.split(";")[0] or "(no name)"
    text = "".join(char if char.isprintable() else "?" for char in first[-NAME_LENGTH:])
    return text if len(first) <= NAME_LENGTH else f"..{text[2:]}"


def node_name(graph: Graph, node: Node) -> str:
    """Name a node by its first output: operators have no names in a ``.tflite``."""
    first = next((i for i in node.outputs if i >= 0), None)
    return short(graph.tensors[first].name) if first is not None else node.operator


def called_graphs(node: Node, count: int) -> tuple[int, ...]:
    """Return the graphs that a node runs: loops, branches, composites; of ``count`` graphs."""
    named = (v for name, v in node.options.items() if name.endswith("subgraph_index"))
    return tuple(v for v in named if isinstance(v, int) and 0 <= v < count)
