"""A ``.tflite`` file explained on the terminal: blocks of lines and tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import repeat

from edgekit import wrapping
from edgekit.converters.inspection import Finding, Inspection
from edgekit.converters.inspection.difference import describe_edge
from edgekit.converters.inspection.memory import MemoryPlan
from edgekit.converters.inspection.shapes import short
from edgekit.converters.inspection.summary import EntryPoint, IOTensor, LayerSummary
from edgekit.converters.inspection.weights import WeightSummary
from edgekit.converters.runtime_version import MinimumRuntime
from edgekit.report import words
from edgekit.report.grid import Row, grid, single_lines
from edgekit.types import Measurement

STYLES = {"error": "red", "warning": "yellow", "info": "dim"}
HEADINGS = (
    ("layer", "operator, precision"),
    ("MACs", ""),
    ("bytes", "share"),
    ("zeros", "unique"),
    ("zip", ""),
    ("output", ""),
)
# What is left out where a terminal is too narrow for all, first to last.
DROP = ("zip", "zeros", "output")
OPERATOR_HEADINGS = (("operator", ""), ("version", ""), ("count", ""), ("precision", ""))
NAME = 44
# How many places of a finding are named on the terminal.
PLACES = 3
LABEL = 17


Line = tuple[str, str]


def macs(measured: Measurement) -> str:
    """Format multiply-accumulates with a unit prefix."""
    value = measured.value
    if value is None:
        return words.NONE
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.2f} {unit}"
    return f"{value:.0f}"


def cut(text: str, width: int) -> str:
    """Shorten a text to its end, where layers' names differ."""
    return text if len(text) <= width else f"..{text[2 - width :]}"


def head_lines(inspected: Inspection) -> Iterator[Line]:
    """Yield the file, and its signatures."""
    yield f"{words.path(inspected.path)}  {words.size(inspected.bytes)}", "bold"
    if inspected.description.strip():
        yield _labelled("description", short(inspected.description)), ""
    for entry in inspected.entries:
        yield from _entry_lines(entry)


def _entry_lines(entry: EntryPoint) -> Iterator[Line]:
    yield _labelled("signature", entry.key or "none: inputs and outputs by position"), ""
    for kind, edges in (("input", entry.inputs), ("output", entry.outputs)):
        width = max((len(edge.name) for edge in edges), default=0)
        for edge in edges:
            yield _labelled(f"  {kind}", _edge(edge, width)), ""
    yield _labelled("  operators", f"{entry.nodes:,}"), ""
    count = entry.macs
    per_item = f"{macs(count)} per item" if count.value is not None else _unavailable(count)
    yield from _wrapped_label("  MACs", per_item)
    yield from _memory_lines(entry.memory)


def _memory_lines(plan: MemoryPlan) -> Iterator[Line]:
    peak = plan.peak
    if peak.value is None:
        yield from _wrapped_label("  activations", _unavailable(peak))
        return
    where = f" at {plan.operator}" if plan.operator else ""
    yield from _wrapped_label("  activations", f"at least {words.size(peak.value)} at once{where}")
    if plan.state:
        yield _labelled("  state", f"{words.size(plan.state)} of variables, in that figure"), ""
    if plan.unpacked:
        extra = f"{words.size(plan.unpacked)} more, for weights that DEQUANTIZE unpacks"
        yield _labelled("  unpacked", extra), ""


def _unavailable(measured: Measurement) -> str:
    return f"unavailable, because {measured.reason}"


def _edge(edge: IOTensor, width: int) -> str:
    return f"{edge.name:<{width}}  {describe_edge(edge)}"


def _labelled(label: str, text: str) -> str:
    return f"{label:<{LABEL}}{text}"


def weight_lines(inspected: Inspection) -> Iterator[Line]:
    """Yield what the file's bytes consist of."""
    total = sum(row.bytes for row in inspected.weights)
    zipped = sum(row.zip_bytes for row in inspected.weights)
    dtypes = Counter[str]()
    for row in inspected.weights:
        dtypes[row.dtype.lower()] += row.bytes
    each = ", ".join(f"{name} {words.size(count)}" for name, count in dtypes.most_common())
    constants = f"{words.size(total)} ({each or 'none'}); zipped {words.size(zipped)}"
    yield _labelled("constants", constants), ""
    rest = {name: words.size(count) for name, count in inspected.remainder.items()}
    parts = f"structure {rest['structure']}, metadata {rest['metadata']}"
    yield _labelled("other bytes", f"{parts}, unused buffers {rest['unused']}"), ""
    for entry in inspected.metadata:
        text = f' "{entry.text}"' if entry.text else ""
        yield _labelled("metadata", f"{entry.name} ({words.size(entry.bytes)}){text[:70]}"), ""


def operator_table(inspected: Inspection) -> object:
    """Build the table of operators: version, count and the precisions that they compute in."""
    counts: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for layer in inspected.layers:
        counts[layer.operator, layer.version][layer.precision.label] += 1
    rows = (
        single_lines(name, str(version), str(labels.total()), _shared(labels))
        for (name, version), labels in sorted(counts.items())
    )
    return grid(OPERATOR_HEADINGS, rows)


def _shared(labels: dict[str, int]) -> str:
    if len(labels) == 1:
        return next(iter(labels))
    return ", ".join(f"{label} x{n}" for label, n in labels.items())


def layer_table(inspected: Inspection, most: int | None) -> object:
    """Build the table of layers: the largest by constants first, or all in execution order."""
    rows: dict[tuple[int, str, str], list[WeightSummary]] = {}
    for row in inspected.weights:
        rows.setdefault((row.graph, row.layer, row.operator), []).append(row)
    layers = list(inspected.layers)
    if most is not None:
        by_size = sorted(layers, key=lambda layer: -layer.bytes)
        layers = [layer for layer in by_size if layer.bytes][:most]
    of_layer = [rows.get((each.graph, each.name, each.operator), []) for each in layers]
    return grid(HEADINGS, map(_layer_row, layers, of_layer, repeat(inspected.bytes)), DROP)


def _layer_row(layer: LayerSummary, weights: Sequence[WeightSummary], whole: int) -> Row:
    """Build a layer's row; zeros and unique values are those of its largest constant."""
    constants = weights if layer.bytes else ()
    main = max(constants, key=lambda row: row.bytes, default=None)
    zeros = main.sparsity if main else None
    unique = main.unique if main else None
    return Row(
        (
            (cut(layer.name, NAME), f"{layer.operator} v{layer.version}, {layer.precision.label}"),
            (macs(layer.macs), ""),
            (words.size(layer.bytes), words.share(layer.bytes / whole)) if constants else ("", ""),
            (words.share(zeros) if zeros is not None else "", f"{unique:,}" if unique else ""),
            (words.size(sum(row.zip_bytes for row in constants)) if constants else "", ""),
            (layer.output, ""),
        )
    )


def runtime_lines(runtime: MinimumRuntime) -> Iterator[Line]:
    """Yield the minimum runtime: what requires it, where it comes with, what the file claims."""
    if runtime.reason:
        yield _labelled("minimum runtime", f"unavailable, because {runtime.reason}"), ""
    else:
        yield _labelled("minimum runtime", runtime.title), ""
        yield from _wrapped_label("  required by", words.listed(runtime.forced_by, PLACES))
        yield from _wrapped_label("  first in", "; ".join(map(str, runtime.packages)))
        if runtime.avoid:
            yield from _wrapped_label("  avoided by", runtime.avoid)
    yield _labelled("  file claims", short(runtime.claimed) if runtime.claimed else "nothing"), ""


def _wrapped_label(label: str, text: str) -> Iterator[Line]:
    room = words.columns() - LABEL
    for at, line in enumerate(wrapping.wrapped(text, room)):
        yield _labelled("" if at else label, line), ""


def precision_lines(inspected: Inspection) -> Iterator[Line]:
    """Yield how many operators compute in each precision, and their share of the MACs."""
    by_label = Counter[str]()
    for layer in inspected.layers:
        by_label[layer.precision.label] += int(layer.macs.value or 0)
    for label, count in inspected.precisions.items():
        part = by_label[label]
        share = f", {words.share(part / by_label.total())} of the MACs" if part else ""
        noun = "operator" if count == 1 else "operators"
        yield _labelled("precision", f"{label}: {count:,} {noun}{share}"), ""


def finding_lines(findings: Sequence[Finding], verbose: bool) -> Iterator[Line]:
    """Yield each finding: what, where, why and what to do."""
    for finding in findings:
        title = f"{finding.severity} {finding.code}: {finding.message}"
        yield from wrapped(title, "", STYLES[finding.severity])
        if places := finding.places:
            named = words.listed(places, len(places) if verbose else PLACES)
            yield from wrapped(f"at: {named}", "  ", "dim")
        yield from wrapped(f"why: {finding.why}", "  ", "dim")
        if finding.fix:
            yield from wrapped(f"fix: {finding.fix}", "  ", "dim")


def wrapped(text: str, indent: str, style: str) -> Iterator[Line]:
    """Wrap a text to the terminal's width without breaking names."""
    for line in wrapping.wrapped(text, words.columns(), indent, f"{indent}  "):
        yield line, style
