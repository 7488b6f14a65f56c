"""The activation that each output of a ``.tflite`` file ends in."""

from __future__ import annotations

from collections.abc import Mapping

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
# What Keras 3 writes in place of L2_NORMALIZATION, whose place the converter does not see.
NORMS = frozenset({"RSQRT", "SQRT", "MAXIMUM", "MINIMUM", "SUM"})


def last_operators(file: TFLiteFile, signature: str | None = None) -> Mapping[str, str]:
    """Find the activation that each output ends in, by name; empty where there is none."""
    main, names = entry(file, signature)
    writers = {index: node for node in main.nodes for index in node.outputs}
    activations = {}
    for name, index in names[1].items():
        node = writers.get(index)
        while node is not None and node.operator in PASSING:
            node = writers.get(node.inputs[0])
        activations[name] = _activation(writers, node) if node else ""
    return activations


def _activation(writers: Mapping[int, Node], node: Node) -> str:
    factors = {"MUL": node.inputs, "DIV": node.inputs[1:]}.get(node.operator, ())
    if any(_is_root_of_sum(writers, factor) for factor in factors):
        return "unit norm"
    return ACTIVATIONS.get(node.operator, "")


def _is_root_of_sum(writers: Mapping[int, Node], index: int) -> bool:
    """Tell whether a factor is (one over) a root of a sum, as that of a vector's squares."""
    seen = set()
    while (node := writers.get(index)) is not None and node.operator in {*NORMS, *PASSING}:
        seen.add(node.operator)
        index = node.inputs[0]
    return bool(seen & {"RSQRT", "SQRT"}) and "SUM" in seen
