"""Everything that ``edgekit inspect`` knows about one file, in one frozen object."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.converters.flatbuffer import Quantization, Tensor, TFLiteFile, semantic_hash
from edgekit.converters.inspection import computed_precision, memory, structure
from edgekit.converters.inspection.computed_precision import Island, NodePrecision
from edgekit.converters.inspection.facts import Facts, Finding
from edgekit.converters.inspection.findings import findings
from edgekit.converters.inspection.macs import Macs
from edgekit.converters.inspection.memory import MemoryPlan
from edgekit.converters.inspection.shapes import node_name, shape_text, short
from edgekit.converters.inspection.weights import WeightSummary, remainder, weights
from edgekit.converters.runtime_version import MinimumRuntime, minimum_runtime
from edgekit.types import Measurement, Operator


@dataclass(frozen=True)
class IOTensor:
    """An input or output: its name in the signature (else its tensor's), dtype and shape.

    ``shape`` is text, with ``?`` for a free dimension.
    """

    name: str
    tensor: str
    dtype: str
    shape: str
    quantization: Quantization | None


@dataclass(frozen=True)
class EntryPoint:
    """A graph that a user calls: by a signature's key, or as the main graph (``""``)."""

    key: str
    graph: int
    inputs: tuple[IOTensor, ...]
    outputs: tuple[IOTensor, ...]
    nodes: int
    macs: Measurement
    memory: MemoryPlan


@dataclass(frozen=True)
class LayerSummary:
    """One operator in execution order, with the bytes of the constants that it reads."""

    graph: int
    position: int
    operator: str
    version: int
    name: str
    precision: NodePrecision
    macs: Measurement
    bytes: int
    output: str
    quantization: Quantization | None


@dataclass(frozen=True)
class Metadata:
    """An entry of the file's metadata; ``text`` where it is printable."""

    name: str
    bytes: int
    text: str


@dataclass(frozen=True)
class Inspection:
    """A ``.tflite`` file, explained. Sizes in bytes; ``remainder`` is what are not weights.

    ``semantic_hash`` is of what it computes, whatever its tensors are called.
    """

    path: Path
    bytes: int
    sha256: str
    semantic_hash: str
    schema: int
    description: str
    entries: tuple[EntryPoint, ...]
    operators: tuple[Operator, ...]
    layers: tuple[LayerSummary, ...]
    islands: tuple[Island, ...]
    weights: tuple[WeightSummary, ...]
    remainder: Mapping[str, int]
    runtime: MinimumRuntime
    metadata: tuple[Metadata, ...]
    findings: tuple[Finding, ...]
    file: TFLiteFile

    @property
    def precisions(self) -> Mapping[str, int]:
        """How many operators compute in each precision, most first."""
        counts: dict[str, int] = {}
        for layer in self.layers:
            counts[layer.precision.label] = counts.get(layer.precision.label, 0) + 1
        return dict(sorted(counts.items(), key=lambda one: -one[1]))


def explain(path: Path, file: TFLiteFile, digest: str) -> Inspection:
    """Inspect a file that was read; ``digest`` is its SHA-256."""
    precisions = tuple(computed_precision.precisions(file, graph) for graph in file.graphs)
    islands = tuple(
        island
        for number, graph in enumerate(file.graphs)
        for island in computed_precision.islands(number, graph, precisions[number])
    )
    rows = weights(file)
    facts = Facts(file, precisions, islands, rows, remainder(file, rows), minimum_runtime(file))
    macs = Macs(file)
    return Inspection(
        path=path,
        bytes=file.size,
        sha256=digest,
        semantic_hash=semantic_hash(file),
        schema=file.version,
        description=file.description,
        entries=_entries(file, macs),
        operators=file.operators,
        layers=_layers(facts, macs),
        islands=islands,
        weights=rows,
        remainder=facts.remainder,
        runtime=facts.runtime,
        metadata=tuple(_metadata(name, value) for name, value in file.metadata.items()),
        findings=findings(facts),
        file=file,
    )


def _entries(file: TFLiteFile, macs: Macs) -> tuple[EntryPoint, ...]:
    by_graph: dict[int, list[tuple[str, Mapping[str, int], Mapping[str, int]]]] = {}
    for signature in file.signatures:
        by_graph.setdefault(signature.graph, []).append(
            (signature.key, signature.inputs, signature.outputs)
        )
    entries = []
    for number in structure.entry_graphs(file):
        graph, plan = file.graphs[number], memory.plan(file, number)
        total = macs.of_graph(number)
        for key, inputs, outputs in by_graph.get(number, [("", {}, {})]):
            ins = _edges(graph.tensors, inputs, graph.inputs)
            outs = _edges(graph.tensors, outputs, graph.outputs)
            entries.append(EntryPoint(key, number, ins, outs, len(graph.nodes), total, plan))
    return tuple(entries)


def _edges(
    tensors: tuple[Tensor, ...], named: Mapping[str, int], order: tuple[int, ...]
) -> tuple[IOTensor, ...]:
    """List inputs or outputs in the graph's order, named by the signature or by their tensors."""
    names = {index: name for name, index in named.items()}
    indices = dict.fromkeys([*(i for i in order if i >= 0), *names])
    return tuple(
        IOTensor(
            short(names.get(i, tensors[i].name)),
            short(tensors[i].name),
            tensors[i].dtype,
            shape_text(tensors[i]),
            tensors[i].quantization,
        )
        for i in indices
    )


def _layers(facts: Facts, macs: Macs) -> tuple[LayerSummary, ...]:
    sizes: dict[tuple[int, str, str], int] = {}
    for row in facts.weights:
        key = (row.graph, row.layer, row.operator)
        sizes[key] = sizes.get(key, 0) + row.bytes
    layers = []
    for number, graph in enumerate(facts.file.graphs):
        for at, node in enumerate(graph.nodes):
            name = node_name(graph, node)
            first = next((i for i in node.outputs if i >= 0), None)
            output = graph.tensors[first] if first is not None else None
            layers.append(
                LayerSummary(
                    number,
                    at,
                    short(node.operator),
                    node.version,
                    name,
                    facts.precisions[number][at],
                    macs.of_node(number, node),
                    # Of operators with one name, the first has the bytes.
                    sizes.pop((number, name, node.operator), 0),
                    shape_text(output) if output else "",
                    output.quantization if output else None,
                )
            )
    return tuple(layers)


def _metadata(name: str, value: bytes) -> Metadata:
    text = value.rstrip(b"\0").decode("ascii", errors="replace")
    return Metadata(short(name), len(value), text[:200] if text.isprintable() else "")


def to_json(inspection: Inspection) -> dict[str, Any]:
    """Return an inspection as JSON types; what is NaN or infinite as text."""
    fields = {f.name: getattr(inspection, f.name) for f in dataclasses.fields(inspection)}
    del fields["file"]
    fields["precisions"] = inspection.precisions
    return {name: jsonable(value) for name, value in fields.items()}


def jsonable(value: Any) -> Any:
    """Convert dataclasses, mappings and paths to JSON types."""
    if dataclasses.is_dataclass(value):
        rows = dataclasses.fields(value)
        return {
            f.name: jsonable(getattr(value, f.name)) for f in rows if not f.name.startswith("_")
        }
    if isinstance(value, Mapping):
        return {str(key): jsonable(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [jsonable(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return str(value) if isinstance(value, Path) else value
