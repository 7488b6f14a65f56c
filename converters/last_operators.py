"""The activation that each output of a ``.tflite`` file ends in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgekit.converters.flatbuffer import Node, TFLiteFile
from edgekit.converters.signature import entry

# Operators that move numbers, or write them in another dtype.
PASSING = frozenset({"DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST"})
ACTIVATIONS = {
    "SOFTMAX": "softmax",
    "LOG_SOFTMAX": "log softmax",
    "LOGISTIC": "sigmoid",
    "ARG_MAX": "argmax",
    "TANH": "tanh",
    "RELU": "relu",
    "L2_NORMALIZATION": "unit norm",
}
# The converter fuses tf.math.l2_normalize into L2_NORMALIZATION, and leaves what Keras 3 computes.
NORMS = frozenset({"RSQRT", "SQRT", "MAXIMUM", "MINIMUM", "SUM"})


def last_operators(file: TFLiteFile, signature: str | None = None) -> Mapping[str, str]:
    """Find the activation that each output ends in, by name; empty where there is none."""
    main, names = entry(file, signature)
    writers = {index: node for node in main.nodes for index in node.outputs}
    activations = {}
    for name, index in names[1].items():
        for passed in _back(writers, index, PASSING):
            index = passed.inputs[0]
        node = writers.get(index)
        activations[name] = _activation(writers, node) if node else ""
    return activations


def _activation(writers: Mapping[int, Node], node: Node) -> str:
    factors = {"MUL": node.inputs, "DIV": node.inputs[1:]}.get(node.operator, ())
    if any(_is_root_of_sum(writers, factor) for factor in factors):
        return "unit norm"
    return ACTIVATIONS.get(node.operator, "")


def _is_root_of_sum(writers: Mapping[int, Node], index: int) -> bool:
    """Tell whether a factor is (one over) a root of a sum, as that of a vector's squares."""
    seen = {node.operator for node in _back(writers, index, NORMS | PASSING)}
    return bool(seen & {"RSQRT", "SQRT"}) and "SUM" in seen


def _back(writers: Mapping[int, Node], index: int, operators: frozenset[str]) -> Iterator[Node]:
    """Yield what wrote a tensor, and so on by first inputs, as long as it is one of these.

    Each comes once, also where a damaged file goes in a circle.
    """
    passed: set[int] = set()
    while index not in passed and (node := writers.get(index)) is not None:
        if node.operator not in operators or not node.inputs:
            return
        yield node
        passed.add(index)
        index = node.inputs[0]
