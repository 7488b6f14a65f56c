"""Multiply-accumulates per operator, from the shapes in the file.

Only products of activations with weights, or with each other, count: element-wise operators are 0.
Sources: the operators' shapes in TensorFlow Lite's ``kernels/*.cc`` (conv, depthwise_conv,
fully_connected, transpose_conv, conv3d, batch_matmul, lstm, unidirectional_sequence_lstm, svdf).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from edgekit.converters.flatbuffer import Graph, Node, Tensor, TFLiteFile
from edgekit.converters.inspection import structure
from edgekit.converters.inspection.shapes import (
    called_graphs,
    elements,
    has_free_size,
    short,
)
from edgekit.types import Measurement

UNIT = "MAC"
TOOL = "shapes in the file"
# These run the graph they name exactly once, and nothing else.
COMPOSITES = frozenset({"STABLEHLO_COMPOSITE"})
# At start-up, not for an inference.
ONCE = frozenset({"CALL_ONCE"})
DEEPEST = 32


class UnknownMacs(ValueError):
    """Why a count cannot be known from the file."""


def inference_macs(file: TFLiteFile) -> Measurement:
    """Count the multiply-accumulates of one inference; the most, of a file with several entries."""
    counted = Macs(file)
    totals = [counted.of_graph(number) for number in structure.entry_graphs(file)]
    unknown = next((total for total in totals if total.value is None), None)
    return unknown or max(totals, key=lambda total: total.value or 0.0)


class Macs:
    """The multiply-accumulates of a file's nodes and graphs; a free batch counts as one item."""

    def __init__(self, file: TFLiteFile) -> None:
        self._file = file
        self._known: dict[int, int | UnknownMacs] = {}

    def of_node(self, graph: int, node: Node) -> Measurement:
        """Count one run of a node; unavailable if the file does not tell."""
        try:
            return _measured(self._node(graph, node, 0))
        except UnknownMacs as unknown:
            return Measurement.unavailable(UNIT, str(unknown))

    def of_graph(self, graph: int) -> Measurement:
        """Count one run of a graph; unavailable if one node's count is."""
        try:
            return _measured(self._graph(graph, 0))
        except UnknownMacs as unknown:
            return Measurement.unavailable(UNIT, str(unknown))

    def _graph(self, index: int, depth: int) -> int:
        if index not in self._known:
            # Who asks before it is known asks from inside the graph itself.
            self._known[index] = UnknownMacs("its graph runs itself")
            try:
                total = sum(self._node(index, n, depth) for n in self._file.graphs[index].nodes)
                self._known[index] = total
            except UnknownMacs as unknown:
                self._known[index] = unknown
        count = self._known[index]
        if isinstance(count, UnknownMacs):
            raise count
        return count

    def _node(self, index: int, node: Node, depth: int) -> int:
        inner = called_graphs(node, len(self._file.graphs))
        if node.custom:
            raise UnknownMacs(
                f"what the custom operator {short(node.operator)} computes is not known"
            )
        if node.operator in ONCE:
            return 0
        if inner and node.operator not in COMPOSITES:
            raise UnknownMacs(f"how often {node.operator} runs its graph depends on the data")
        if depth > DEEPEST:
            raise UnknownMacs("its graphs are nested too deep")
        if inner:
            return sum(self._graph(one, depth + 1) for one in inner)
        count = COUNTS.get(node.operator)
        try:
            return count(self._file.graphs[index], node) if count else 0
        except UnknownMacs as unknown:
            raise UnknownMacs(f"{node.operator}: {unknown}") from unknown


def _measured(count: int) -> Measurement:
    return Measurement(float(count), UNIT, how="estimated", tool=TOOL)


def _tensor(graph: Graph, indices: tuple[int, ...], at: int) -> Tensor:
    if at >= len(indices) or indices[at] < 0:
        raise UnknownMacs("it lacks an input or output")
    return graph.tensors[indices[at]]


def _shape(tensor: Tensor, rank: int | None = None) -> tuple[int, ...]:
    """Return a known shape of this rank. Raises :class:`UnknownMacs`."""
    if has_free_size(tensor) or elements(tensor.shape) is None:
        raise UnknownMacs(f"the shape of {short(tensor.name)!r} is free")
    if rank is not None and len(tensor.shape) != rank:
        raise UnknownMacs(f"the shape of {short(tensor.name)!r} is only known once the model runs")
    return tensor.shape


def _conv(graph: Graph, node: Node) -> int:
    """Count a convolution: each output element sums a window over its group's input channels."""
    _, *window = _shape(_tensor(graph, node.inputs, 1), 4)
    return math.prod(_shape(_tensor(graph, node.outputs, 0), 4)) * math.prod(window)


def _depthwise(graph: Graph, node: Node) -> int:
    """Count a depthwise convolution, with weights ``[1, h, w, out]``."""
    _, height, width, _ = _shape(_tensor(graph, node.inputs, 1), 4)
    return math.prod(_shape(_tensor(graph, node.outputs, 0), 4)) * height * width


def _dense(graph: Graph, node: Node) -> int:
    """Count a dense layer, with weights ``[out, in]`` for each item."""
    _, features = _shape(_tensor(graph, node.inputs, 1), 2)
    output = _tensor(graph, node.outputs, 0)
    if not output.shape:
        raise UnknownMacs(f"the shape of {short(output.name)!r} is only known once the model runs")
    return math.prod(_shape(output)) * features


def _transpose_conv(graph: Graph, node: Node) -> int:
    """Count a transposed convolution: each input element meets a window of every output channel."""
    out, height, width, _ = _shape(_tensor(graph, node.inputs, 1), 4)
    return math.prod(_shape(_tensor(graph, node.inputs, 2), 4)) * out * height * width


def _conv_3d(graph: Graph, node: Node) -> int:
    """Count a 3D convolution, with weights ``[depth, h, w, in, out]``."""
    *window, _ = _shape(_tensor(graph, node.inputs, 1), 5)
    return math.prod(_shape(_tensor(graph, node.outputs, 0), 5)) * math.prod(window)


def _conv_3d_transpose(graph: Graph, node: Node) -> int:
    """Count a transposed 3D convolution: output shape, weights ``[depth, h, w, out, in]``, data."""
    *window, _ = _shape(_tensor(graph, node.inputs, 1), 5)
    return math.prod(_shape(_tensor(graph, node.inputs, 2), 5)) * math.prod(window)


def _batch_matmul(graph: Graph, node: Node) -> int:
    """Count a matrix product: each output element sums over the shared dimension."""
    left = _shape(_tensor(graph, node.inputs, 0))
    output = _shape(_tensor(graph, node.outputs, 0))
    if len(left) < 2 or len(output) < 2:
        raise UnknownMacs("its shapes are only known once the model runs")
    return math.prod(output) * (left[-2] if node.options.get("adj_x") else left[-1])


def _recurrent(graph: Graph, node: Node) -> int:
    """Count a recurrent layer: every weight matrix once a step."""
    steps = _shape(_tensor(graph, node.inputs, 0))[:-1]
    if not steps:
        raise UnknownMacs("its input's shape is only known once the model runs")
    used = [graph.tensors[i] for i in node.inputs[1:] if i >= 0]
    matrices = [t for t in used if len(t.shape) == 2 and not t.variable and t.bytes]
    if not matrices:
        raise UnknownMacs("its weights are not constants of the file")
    return math.prod(steps) * sum(math.prod(_shape(t)) for t in matrices)


COUNTS: Mapping[str, Callable[[Graph, Node], int]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "TRANSPOSE_CONV": _transpose_conv,
    "CONV_3D": _conv_3d,
    "CONV_3D_TRANSPOSE": _conv_3d_transpose,
    "BATCH_MATMUL": _batch_matmul,
    "LSTM": _recurrent,
    "RNN": _recurrent,
    "SVDF": _recurrent,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _recurrent,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _recurrent,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _recurrent,
    "BIDIRECTIONAL_SEQUENCE_RNN": _recurrent,
}
