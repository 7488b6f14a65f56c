"""What a model file may name: operators and functions that only compute, reviewed one by one.

The lists are data beside this file. They are allow-lists: what TensorFlow adds is refused until
somebody has looked at it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
RAW = "raw_ops."
# Allowed in a SavedModel if the file that they read is the model's own: see models.graph.
VOCABULARY = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})


@cache
def operators() -> frozenset[str]:
    """Return the TensorFlow operators that a graph may hold."""
    return _lines("operators.txt")


@cache
def calls() -> frozenset[str]:
    """Return the functions that a TFOpLambda layer may call, by all their exported names."""
    return _lines("calls.txt")


def is_operator(name: object) -> bool:
    """Tell whether an operator may be called with any arguments from a file."""
    return name in operators() - VOCABULARY


def is_call(symbol: str) -> bool:
    """Tell whether a layer may call what TensorFlow exports as ``symbol``."""
    plain = symbol.removeprefix("compat.v1.")
    if plain.startswith(RAW):
        return is_operator(plain.removeprefix(RAW))
    return symbol in calls()


def _lines(name: str) -> frozenset[str]:
    lines = (HERE / name).read_text().splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
