"""Peak activation memory by a liveness plan over the execution order.

A tensor lives from the operator that writes it to the last one that reads it; inputs from the
start, outputs to the end; variables always. What lives at once at the worst operator is the least
that an arena without in-place operators can be: alignment, scratch buffers and the runtime's own
structures come on top. Source: "Memory Management in TensorFlow Lite Micro"
(``tflite-micro/docs/memory_management.md``), whose planner frees inputs after their last use too.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.converters.flatbuffer import Graph, Node, Tensor, TFLiteFile
from edgekit.converters.inspection.resources import resources
from edgekit.converters.inspection.shapes import called_graphs, node_name, short, size
from edgekit.types import Measurement

TOOL = "liveness plan"
UNIT = "B"
# Their result from a constant is a weight: runtimes keep it, or never compute it.
UNPACKING = frozenset({"DEQUANTIZE", "DENSIFY"})
DEEPEST = 32


@dataclass(frozen=True)
class MemoryPlan:
    """The peak of one graph's activations, where it is, and what lives there.

    ``node`` is the operator's position in its graph, absent where there is none. ``live`` are bytes
    by tensor name, largest first. ``state`` are the bytes of variables, which the peak includes;
    ``unpacked`` those of weights that DEQUANTIZE makes of packed ones, which it does not.
    """

    peak: Measurement
    node: int | None
    operator: str
    live: tuple[tuple[str, int], ...]
    state: int
    unpacked: int


class _UnknownSize(ValueError):
    """Why a size cannot be known from the file."""


Span = tuple[Tensor, int, int]


def plan(file: TFLiteFile, index: int) -> MemoryPlan:
    """Plan the memory of one graph; a free batch counts as one item."""
    graph = file.graphs[index]
    resident = sum(resources(file).values())
    state = resident + sum(size(t) or 0 for t in graph.tensors if t.variable)
    unpacked = sum(size(graph.tensors[i]) or 0 for i in _unpacked(graph))
    try:
        levels = [resident + level for level in _levels(file, index, {}, 0)]
    except _UnknownSize as unknown:
        peak = Measurement.unavailable(UNIT, str(unknown))
        return MemoryPlan(peak, None, "", (), state, unpacked)
    at = max(range(len(levels)), key=levels.__getitem__)
    peak = Measurement(float(levels[at]), UNIT, how="estimated", tool=TOOL)
    live = [(short(t.name), size(t) or 0) for t, begin, end in _spans(graph) if begin <= at <= end]
    live.sort(key=lambda one: -one[1])
    if not graph.nodes:
        return MemoryPlan(peak, None, "", tuple(live), state, unpacked)
    operator = f"{short(graph.nodes[at].operator)} ({node_name(graph, graph.nodes[at])})"
    return MemoryPlan(peak, at, operator, tuple(live), state, unpacked)


def _levels(
    file: TFLiteFile, index: int, known: dict[int, int | _UnknownSize], depth: int
) -> list[int]:
    """Sum the bytes that live at each operator, with what the graphs it runs need."""
    graph = file.graphs[index]
    steps = max(len(graph.nodes), 1)
    changes = [0] * (steps + 1)
    for tensor, begin, end in _spans(graph):
        bytes_live = size(tensor)
        if bytes_live is None:
            raise _UnknownSize(
                f"the size of {short(tensor.name)!r} is only known once the model runs"
            )
        changes[begin] += bytes_live
        changes[end + 1] -= bytes_live
    levels, level = [], 0
    for step in range(steps):
        level += changes[step]
        inner = _inner(file, graph.nodes[step], known, depth) if graph.nodes else 0
        levels.append(level + inner)
    return levels


def _inner(file: TFLiteFile, node: Node, known: dict[int, int | _UnknownSize], depth: int) -> int:
    """Return the largest peak of the graphs that a loop or a branch runs one after another."""
    peaks = [_peak(file, one, known, depth + 1) for one in called_graphs(node, len(file.graphs))]
    return max(peaks, default=0)


def _peak(file: TFLiteFile, index: int, known: dict[int, int | _UnknownSize], depth: int) -> int:
    if index not in known:
        # Who asks before it is known asks from inside the graph itself.
        known[index] = _UnknownSize("a graph runs itself")
        try:
            if depth > DEEPEST:
                raise _UnknownSize("its graphs are nested too deep")
            known[index] = max(_levels(file, index, known, depth))
        except _UnknownSize as unknown:
            known[index] = unknown
    peak = known[index]
    if isinstance(peak, _UnknownSize):
        raise peak
    return peak


def _spans(graph: Graph) -> list[Span]:
    """List the tensors that are not constants, from which operator to which each lives."""
    last = max(len(graph.nodes) - 1, 0)
    begins = {i: 0 for i in graph.inputs if i >= 0}
    ends = dict(begins)
    written = set(begins)
    for at, node in enumerate(graph.nodes):
        for i in (i for i in node.outputs if i >= 0):
            begins.setdefault(i, at)
            ends[i] = at
            written.add(i)
        for i in (i for i in node.inputs if i >= 0):
            # Read, but written nowhere before: it must be there from the start.
            begins.setdefault(i, 0)
            ends[i] = at
    ends.update({i: last for i in graph.outputs if i in begins})
    for tensor in graph.tensors:
        if tensor.variable:
            begins[tensor.index], ends[tensor.index] = 0, last
    skipped = _unpacked(graph)
    rows = ((graph.tensors[i], begin, ends[i]) for i, begin in begins.items() if i not in skipped)
    return [row for row in rows if row[0].index in written or not row[0].bytes]


def _unpacked(graph: Graph) -> set[int]:
    """Find tensors that an operator unpacks from a constant, and nothing else."""
    constants = {tensor.index for tensor in graph.constants()}
    unpacked: set[int] = set()
    for node in graph.nodes:
        if node.operator in UNPACKING and node.inputs and node.inputs[0] in constants:
            unpacked.update(i for i in node.outputs if i >= 0)
            if node.operator == "DENSIFY":
                constants.update(node.outputs)
    return unpacked
