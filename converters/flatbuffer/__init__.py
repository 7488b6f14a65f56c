"""What a ```.tflite``` file really holds, read from its bytes.

Source: the TensorFlow Lite schema, version 3 (``schema.fbs``).
"""

from __future__ import annotations

import collections
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import ModelError
from edgekit.types import Operator

IDENTIFIER = b"TFL3"
FLOATS = frozenset({"FLOAT32", "FLOAT16", "FLOAT64", "BFLOAT16"})
# Weights of no interest for a file's precision: shapes, axes, paddings.
SMALL = 32


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file: its name, dtype (schema name), shape, and quantization step.

    ``scale`` is 0 where the tensor is not quantized, or per channel.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float = 0.0


@dataclass(frozen=True)
class TFLiteFile:
    """A file as read back.

    ``signature_outputs`` are the outputs by signature name, where the file has a signature.
    ``weights`` counts the bytes of constant tensors by dtype; ``float_operators`` lists operators
    that compute in float, as ``NAME (output tensor)``; ``stateful`` means variables between runs.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    signature_outputs: Mapping[str, Tensor]
    operators: tuple[Operator, ...]
    float_operators: tuple[str, ...]
    weights: Mapping[str, int]
    stateful: bool


def read(path: Path) -> TFLiteFile:
    """Read a file. Raises :class:`ModelError` where it is damaged or no TFLite file."""
    content = path.read_bytes()
    if len(content) < 16 or content[4:8] != IDENTIFIER:
        raise ModelError("EK-MODEL-003", f"{path} is no TFLite file, or a damaged one")
    from ai_edge_litert import schema_py_generated as schema

    try:
        return _read(schema, schema.Model.GetRootAs(content, 0))
    except (struct.error, LookupError, TypeError, ValueError, AttributeError) as error:
        hint = f"it is truncated or damaged: {error}"
        raise ModelError("EK-MODEL-003", f"{path} cannot be read as .tflite", hint) from error


def _read(schema: Any, model: Any) -> TFLiteFile:
    dtypes = {v: k for k, v in vars(schema.TensorType).items() if k.isupper()}
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if k.isupper()}
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    kinds = [(_operator_name(code, names), code.Version()) for code in codes]
    if not model.SubgraphsLength():
        raise ValueError("it holds no graph")
    # The bodies of loops and branches are graphs of their own.
    graphs = [_graph(model, i, kinds, dtypes) for i in range(model.SubgraphsLength())]
    counts = sum((graph.operators for graph in graphs), collections.Counter())
    weights = sum((graph.weights for graph in graphs), collections.Counter())
    main = graphs[0]
    return TFLiteFile(
        inputs=tuple(main.tensors[i] for i in main.inputs),
        outputs=tuple(main.tensors[i] for i in main.outputs),
        signature_outputs=_signature_outputs(model, main.tensors),
        operators=tuple(Operator(n, v, c) for (n, v), c in sorted(counts.items())),
        float_operators=tuple(one for graph in graphs for one in graph.float_operators),
        weights=dict(weights),
        stateful=any(graph.stateful for graph in graphs),
    )


@dataclass(frozen=True)
class _Graph:
    """One subgraph: its tensors, which of them go in and out, and what computes on them."""

    tensors: list[Tensor]
    inputs: list[int]
    outputs: list[int]
    operators: collections.Counter[tuple[str, int]]
    float_operators: list[str]
    weights: collections.Counter[str]
    stateful: bool


def _graph(
    model: Any, number: int, kinds: list[tuple[str, int]], dtypes: Mapping[int, str]
) -> _Graph:
    graph = model.Subgraphs(number)
    rows = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    tensors = [_tensor(row, dtypes) for row in rows]
    inputs = [graph.Inputs(i) for i in range(graph.InputsLength())]
    counts: collections.Counter[tuple[str, int]] = collections.Counter()
    floats: list[str] = []
    produced = set(inputs)
    for operator in (graph.Operators(i) for i in range(graph.OperatorsLength())):
        kind = kinds[operator.OpcodeIndex()]
        counts[kind] += 1
        made = [operator.Outputs(i) for i in range(operator.OutputsLength())]
        produced.update(made)
        if any(tensors[i].dtype in FLOATS for i in made):
            floats.append(f"{kind[0]} ({tensors[made[0]].name})")
    weights: collections.Counter[str] = collections.Counter()
    for at, (row, tensor) in enumerate(zip(rows, tensors, strict=True)):
        size = model.Buffers(row.Buffer()).DataLength()
        if at not in produced and size >= SMALL and tensor.dtype not in ("INT32", "INT64"):
            weights[tensor.dtype] += size
    return _Graph(
        tensors,
        inputs,
        [graph.Outputs(i) for i in range(graph.OutputsLength())],
        counts,
        floats,
        weights,
        any(row.IsVariable() for row in rows),
    )


def _tensor(tensor: Any, dtypes: Mapping[int, str]) -> Tensor:
    shape = tuple(int(tensor.Shape(i)) for i in range(tensor.ShapeLength()))
    quantization = tensor.Quantization()
    single = quantization is not None and quantization.ScaleLength() == 1
    scale = float(quantization.Scale(0)) if single else 0.0
    name = (tensor.Name() or b"").decode(errors="replace")
    return Tensor(name, dtypes[tensor.Type()], shape, scale)


def _signature_outputs(model: Any, tensors: list[Tensor]) -> Mapping[str, Tensor]:
    if model.SignatureDefsLength() == 0:
        return {}
    signature = model.SignatureDefs(0)
    rows = [signature.Outputs(i) for i in range(signature.OutputsLength())]
    return {row.Name().decode(errors="replace"): tensors[row.TensorIndex()] for row in rows}


def _operator_name(code: Any, names: Mapping[int, str]) -> str:
    if code.CustomCode():
        return str(code.CustomCode().decode(errors="replace"))
    # Files before schema 3a keep the operator in the deprecated byte.
    return names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
