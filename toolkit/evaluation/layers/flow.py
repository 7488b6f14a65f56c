"""A graph as the steps that its data goes through, without what only changes how it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.converters.flatbuffer import Graph, Node, TFLiteFile

# The same values in another dtype or shape.
SKIPPED = frozenset({"QUANTIZE", "DEQUANTIZE", "CAST", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
# By number in the schema's ActivationFunctionType.
ACTIVATIONS = {1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH"}
# Their fused activation comes last; that of an LSTM is of its gates.
FUSING = frozenset(
    {
        "ADD",
        "SUB",
        "MUL",
        "DIV",
        "CONV_2D",
        "CONV_3D",
        "DEPTHWISE_CONV_2D",
        "TRANSPOSE_CONV",
        "FULLY_CONNECTED",
        "AVERAGE_POOL_2D",
        "MAX_POOL_2D",
        "L2_POOL_2D",
        "CONCATENATION",
        "L2_NORMALIZATION",
    }
)


def hidden(tensor: int) -> int:
    """Return the value before the activation that is fused into the operator that writes
    ``tensor``.
    """
    return -2 - tensor


@dataclass(frozen=True)
class FlowStep:
    """One computation: an operator, or the activation fused into one.

    Values are numbers of the tensors that hold them, or :func:`hidden`. ``inputs`` are those that
    depend on the model's inputs, in order; ``constants`` the tensors with content, by position.
    """

    kind: str
    node: int
    inputs: tuple[int, ...]
    constants: Mapping[int, int]
    outputs: tuple[int, ...]
    fused: bool = False


@dataclass(frozen=True)
class Flow:
    """A graph of a file as steps, in execution order.

    ``roots`` give the value that a tensor holds, for each tensor that depends on the inputs;
    ``readers`` the numbers of the steps that read a value.
    """

    graph: Graph
    steps: tuple[FlowStep, ...]
    roots: Mapping[int, int]
    readers: Mapping[int, tuple[int, ...]]

    def weights(self, tensor: int) -> Mapping[int, int]:
        """Return constants of two dimensions and more, by position, of what writes a tensor."""
        constants: dict[int, int] = {}
        for step in self.steps:
            if tensor in step.outputs or hidden(tensor) in step.outputs:
                constants.update(step.constants)
        return {k: at for k, at in constants.items() if len(self.graph.tensors[at].shape) > 1}

    def shape(self, value: int) -> tuple[int, ...]:
        return self.graph.tensors[value if value >= 0 else -2 - value].shape

    def name(self, value: int) -> str:
        return self.graph.tensors[value if value >= 0 else -2 - value].name

    def short(self, step: FlowStep) -> str:
        """Return the first of the names that a converter joined with semicolons."""
        return self.name(step.outputs[0]).split(";")[0] if step.outputs else ""

    def described(self, step: FlowStep) -> str:
        """Return a step in words: its kind, and the name of what it computes."""
        kind = step.kind
        if step.fused:
            kind = f"{kind} fused into {self.graph.nodes[step.node].operator}"
        return f"{kind} ({self.short(step)})"

    def constant_shapes(self, step: FlowStep) -> list[tuple[int, ...]]:
        """Return shapes of its weights: constants of two dimensions and more."""
        shapes = (self.graph.tensors[at].shape for at in step.constants.values())
        return [shape for shape in shapes if len(shape) > 1]


def flow(file: TFLiteFile, number: int = 0) -> Flow:
    """Return the steps of one of a file's graphs; loops and branches are one step each."""
    graph = file.graphs[number]
    roots = {index: index for index in graph.inputs}
    # Constants that DEQUANTIZE and the like only prepare, by the tensor that holds the result.
    contents: dict[int, int] = {}
    steps: list[FlowStep] = []
    for number, node in enumerate(graph.nodes):
        read = [i for i in node.inputs if i in roots]
        if not read:
            if node.operator in (*SKIPPED, "DENSIFY") and node.outputs and node.inputs:
                contents[node.outputs[0]] = contents.get(node.inputs[0], node.inputs[0])
            continue
        if node.operator in SKIPPED and len(node.outputs) == 1:
            roots[node.outputs[0]] = roots[read[0]]
            continue
        roots.update({i: i for i in node.outputs if i >= 0})
        steps += _steps(graph, number, node, tuple(roots[i] for i in read), contents)
    readers: dict[int, tuple[int, ...]] = {}
    for number, step in enumerate(steps):
        for value in dict.fromkeys(step.inputs):
            readers[value] = (*readers.get(value, ()), number)
    return Flow(graph, tuple(steps), roots, readers)


def _steps(
    graph: Graph, number: int, node: Node, inputs: tuple[int, ...], contents: Mapping[int, int]
) -> list[FlowStep]:
    constants = {}
    for position, index in enumerate(node.inputs):
        source = contents.get(index, index)
        if source >= 0 and graph.tensors[source].bytes:
            constants[position] = source
    fused = node.options.get("fused_activation_function", 0)
    kind = ACTIVATIONS.get(fused) if isinstance(fused, int) else None
    outputs = tuple(i for i in node.outputs if i >= 0)
    if kind is None or node.operator not in FUSING or len(outputs) != 1:
        return [FlowStep(node.operator, number, inputs, constants, outputs)]
    before = hidden(outputs[0])
    return [
        FlowStep(node.operator, number, inputs, constants, (before,)),
        FlowStep(kind, number, (before,), {}, outputs, fused=True),
    ]
