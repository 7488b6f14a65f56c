"""What a file of mixed precision must hold: operators that compute in int8, and others in float."""

from __future__ import annotations

from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.quantization.editing import CASTS


def float_operators(file: TFLiteFile) -> tuple[str, ...]:
    """List the operators that compute in float, as ``NAME (output tensor)``, without casts."""
    return tuple(one for one in file.float_operators if one.split(" ")[0] not in CASTS)


def count_computing(file: TFLiteFile) -> int:
    """Count the operators that compute, in whatever precision."""
    return sum(one.count for one in file.operators if one.name not in CASTS)


def problem(file: TFLiteFile) -> str:
    """Say what is wrong with a file that claims mixed precision; empty if nothing is."""
    in_float = len(float_operators(file))
    if not in_float:
        return "no operator computes in float"
    if in_float == count_computing(file) or "INT8" not in file.weights:
        return "no operator computes in int8"
    return ""
