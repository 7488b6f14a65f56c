"""The activation that a traced function ends in, for each output. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Operators that move values, and change none.
PASSING = frozenset(
    {"Identity", "IdentityN", "Reshape", "Cast", "Squeeze", "ExpandDims", "StopGradient"}
)
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
ACTIVATIONS = {
    "Softmax": "softmax",
    "LogSoftmax": "log softmax",
    "Sigmoid": "sigmoid",
    "ArgMax": "argmax",
    "Tanh": "tanh",
    "Relu": "relu",
}
SCALED = frozenset({"Mul", "RealDiv"})
NORMS = frozenset({"Rsqrt", "Sqrt", "Maximum", "Minimum", "Sum"})
DEEPEST = 64


def output_activations(function: Any) -> dict[str, str]:
    """Return the activation that each output of a concrete function ends in; empty for none.

    ``unit norm`` is what :func:`tf.math.l2_normalize` computes.
    """
    graph = function.graph.as_graph_def()
    functions = {one.signature.name: one for one in graph.library.function}
    nodes = {node.name: node for node in graph.node}
    return {
        name: _last(nodes, functions, tensor.op.name, tensor.value_index)
        for name, tensor in function.structured_outputs.items()
    }


def _last(nodes: Mapping[str, Any], functions: Mapping[str, Any], name: str, index: int) -> str:
    for _ in range(DEEPEST):
        node = nodes.get(name)
        if node is None:
            return ""
        if node.op in CALLS:
            called = functions[node.attr["f"].func.name]
            output = called.signature.output_arg[index].name
            nodes = {one.name: one for one in called.node_def}
            name, index = _tensor(called.ret[output])
        elif node.op in PASSING and node.input:
            name, index = _tensor(node.input[index if node.op == "IdentityN" else 0])
        elif node.op in SCALED and _is_norm(nodes, node):
            return "unit norm"
        else:
            return ACTIVATIONS.get(node.op, "")
    return ""


def _is_norm(nodes: Mapping[str, Any], node: Any) -> bool:
    """Tell whether a factor of a product is one over a root of a sum of squares."""
    factors = node.input[1:] if node.op == "RealDiv" else node.input
    return any(_is_root_of_sum(nodes, _tensor(factor)[0]) for factor in factors)


def _is_root_of_sum(nodes: Mapping[str, Any], name: str) -> bool:
    seen = set()
    while (node := nodes.get(name)) is not None and node.op in NORMS and node.input:
        seen.add(node.op)
        name = _tensor(node.input[0])[0]
    return bool(seen & {"Rsqrt", "Sqrt"}) and "Sum" in seen


def _tensor(reference: str) -> tuple[str, int]:
    """Split a tensor reference, ``node:1`` or ``node:output:1``, into node and output number."""
    name, *rest = reference.lstrip("^").split(":")
    return name, int(rest[-1]) if rest and rest[-1].isdecimal() else 0
