"""A finding about a file, and the facts that findings are drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgekit.converters.flatbuffer import Graph, Node, TFLiteFile
from edgekit.converters.inspection.computed_precision import Island, NodePrecision
from edgekit.converters.inspection.weights import WeightSummary
from edgekit.converters.runtime_version import MinimumRuntime

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """A finding about a file: its stable code, where it is, why it matters, and the fix.

    ``places`` are tensors or operators, all of them; ``message`` says how many there are.
    """

    code: str
    severity: Severity
    message: str
    places: tuple[str, ...]
    why: str
    fix: str


def findings(
    code: str, severity: Severity, message: str, places: Sequence[str], why: str, fix: str
) -> Iterator[Finding]:
    """Yield a finding about places of a file; nothing where there is none."""
    if places:
        yield Finding(code, severity, message, tuple(places), why, fix)


@dataclass(frozen=True)
class Facts:
    """A file and what was computed of it; ``precisions`` by graph, in execution order."""

    file: TFLiteFile
    precisions: tuple[tuple[NodePrecision, ...], ...]
    islands: tuple[Island, ...]
    weights: tuple[WeightSummary, ...]
    remainder: Mapping[str, int]
    runtime: MinimumRuntime

    def nodes(self) -> Iterator[tuple[Graph, Node, NodePrecision]]:
        """Yield every node of every graph, with its precision."""
        for graph, precisions in zip(self.file.graphs, self.precisions, strict=True):
            for node, precision in zip(graph.nodes, precisions, strict=True):
                yield graph, node, precision


def counted(places: Sequence[object], one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 tensor``, ``3 tensors``."""
    return f"{len(places):,} {one if len(places) == 1 else many or one + 's'}"
