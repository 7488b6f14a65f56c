"""The operator resolver of a model for TensorFlow Lite for Microcontrollers (TFLM).

``operators.toml`` has TFLM's operators, with its source and date.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import Graph, Node, Tensor, TFLiteFile
from edgekit.converters.micro.names import guard, identifier
from edgekit.converters.micro.operations import describe_node, is_float, nodes
from edgekit.errors import ConversionError, NoTflmKernels

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLE = Path(__file__).resolve().with_name("operators.toml")
# Their kernels take float weights for float activations, and integer ones for integers.
WEIGHTED = frozenset(
    (
        "BATCH_MATMUL CONV_2D DEPTHWISE_CONV_2D EMBEDDING_LOOKUP FULLY_CONNECTED SVDF "
        "TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM"
    ).split()
)

HEADER = """\
// The operators of {name}, and no others.
// Methods as of {source}, {date}.
#ifndef {guard}
#define {guard}

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

constexpr int {prefix}_operators = {count};

inline TfLiteStatus {prefix}_add_operators(
    tflite::MicroMutableOpResolver<{prefix}_operators>& resolver) {{
{lines}
  return kTfLiteOk;
}}

#endif  // {guard}
"""


@dataclass(frozen=True)
class ResolverTable:
    """TFLM's methods by operator: builtin ones by schema name, custom ones by theirs."""

    builtin: Mapping[str, str]
    custom: Mapping[str, str]
    source: str
    date: str


@functools.cache
def table() -> ResolverTable:
    """Read the operators that TFLM has."""
    read: Any = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return ResolverTable(read["builtin"], read["custom"], read["source"], str(read["date"]))


def methods(file: TFLiteFile) -> tuple[str, ...]:
    """Return the resolver's methods for the operators of a file, each once, sorted.

    Raises :class:`ConversionError` for an operator that TFLM does not have, with its tensor.
    """
    names: set[str] = set()
    unsupported: dict[str, list[str]] = {}
    for graph, node in nodes(file):
        known = table().custom if node.custom else table().builtin
        method = known.get(node.operator)
        if method is None:
            unsupported.setdefault(node.operator, []).append(describe_node(graph, node))
        else:
            names.add(method)
    if unsupported:
        hint = (
            "rebuild those layers with other operators, or write the kernel and add it with"
            f" AddCustom (operators as of {table().source}, {table().date})"
        )
        named = (f"{rows[0]}{_more(len(rows) - 1)}" for rows in unsupported.values())
        message = f"TFLM does not have {', '.join(named)}"
        raise ConversionError("EK-CONVERT-104", message, hint)
    return tuple(sorted(names))


def _more(count: int) -> str:
    return f" and {count:,} more" if count else ""


def check(file: TFLiteFile) -> None:
    """Raise :class:`ConversionError` where TFLM cannot run a file, as far as its bytes tell.

    Source: "Hybrid models are not supported on TFLite Micro", and the dtypes that DEQUANTIZE
    takes, in the kernels of tensorflow/tflite-micro.
    """
    methods(file)
    hybrid = [describe_node(graph, node) for graph, node in nodes(file) if _is_hybrid(graph, node)]
    if hybrid:
        message = f"TFLM has no kernels for integer weights with float activations: {hybrid[0]}"
        raise NoTflmKernels("EK-CONVERT-108", message, "use int8 or float32")
    channels = [
        graph.tensors[node.inputs[0]].name
        for graph, node in nodes(file)
        if node.operator == "DEQUANTIZE" and _is_per_channel(graph.tensors[node.inputs[0]])
    ]
    if channels:
        # TFLM runs it without an error, with wrong results.
        message = f"TFLM's DEQUANTIZE takes the first channel's scale for all: {channels[0]}"
        raise NoTflmKernels("EK-CONVERT-108", message, "use int8 or float32")
    half = [
        graph.tensors[i].name
        for graph, node in nodes(file)
        for i in node.inputs
        if i >= 0 and graph.tensors[i].dtype == "FLOAT16"
    ]
    if half:
        message = f"TFLM has no kernels for float16 tensors: {half[0]}"
        raise NoTflmKernels("EK-CONVERT-108", message, "use int8 or float32")


def write(model: Path, name: str, folder: Path) -> Path:
    """Write ``<name>_resolver.h`` into ``folder``: it adds exactly the operators of the model.

    Raises :class:`ConversionError` for an operator that TFLM does not have.
    """
    added = methods(flatbuffer.read(model))
    prefix = identifier(name)
    path = folder / f"{prefix}_resolver.h"
    known = table()
    text = HEADER.format(
        name=f"{prefix}_model",
        source=known.source,
        date=known.date,
        guard=guard(path.name),
        prefix=prefix,
        count=len(added),
        lines="\n".join(f"  TF_LITE_ENSURE_STATUS(resolver.{method}());" for method in added),
    )
    path.write_text(text, encoding="utf-8")
    return path


def _is_per_channel(tensor: Tensor) -> bool:
    return tensor.quantization is not None and tensor.quantization.per_channel


def _is_hybrid(graph: Graph, node: Node) -> bool:
    if node.operator not in WEIGHTED:
        return False
    weights = {graph.tensors[i].dtype for i in node.inputs if i >= 0 and graph.tensors[i].bytes}
    return is_float(graph, node) and bool(weights & {"INT8", "INT4", "UINT8", "INT16"})
