"""A ``.tflite`` file explained on the terminal: blocks of lines and tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from edgekit.converters.inspection import Finding, Inspection
from edgekit.converters.inspection.difference import describe_edge
from edgekit.converters.inspection.memory import MemoryPlan
from edgekit.converters.inspection.shapes import short
from edgekit.converters.inspection.summary import EntryPoint, IOTensor, LayerSummary
from edgekit.converters.inspection.weights import WeightSummary
from edgekit.converters.runtime_version import MinimumRuntime
from edgekit.inspection import TargetFit
from edgekit.report import words
from edgekit.report.grid import Row, drawn
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
OPERATOR_HEADINGS = (("operator", ""), ("version", ""), ("count", ""), ("precision", ""))
NAME = 44
# How many places of a finding are named on the terminal.
PLACES = 3
LABEL = 17


Line = tuple[str, str]
TRIED = (
    "measured: loaded and run once on zeros by that runtime on such a machine; estimated: run on"
    " this machine in place of the target's, compiled for its NPU, or judged by tables"
)
NOT_TRIED = "judged by tables, nothing was run: edgekit targets fit FILE tries it"


def macs(found: Measurement) -> str:
    """Format multiply-accumulates with a unit prefix."""
    value = found.value
    if value is None:
        return words.NONE
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.2f} {unit}"
    return f"{value:.0f}"


def cut(text: str, width: int) -> str:
    """Shorten a text to its end, where layers' names differ."""
    return text if len(text) <= width else f"..{text[2 - width :]}"


def head_lines(found: Inspection) -> Iterator[Line]:
    """Yield the file, and its signatures."""
    yield f"{words.path(found.path)}  {words.size(found.bytes)}", "bold"
    if found.description.strip():
        yield _labelled("description", short(found.description)), ""
    for entry in found.entries:
        yield from _entry_lines(entry)


def _entry_lines(entry: EntryPoint) -> Iterator[Line]:
    yield _labelled("signature", entry.key or "none: inputs and outputs by position"), ""
    for what, edges in (("input", entry.inputs), ("output", entry.outputs)):
        width = max((len(edge.name) for edge in edges), default=0)
        for edge in edges:
            yield _labelled(f"  {what}", _edge(edge, width)), ""
    yield _labelled("  operators", f"{entry.nodes:,}"), ""
    count = entry.macs
    told = f"{macs(count)} per item" if count.value is not None else _unavailable(count)
    yield from _wrapped_label("  MACs", told)
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
        told = f"{words.size(plan.unpacked)} of weights are unpacked by DEQUANTIZE, besides"
        yield _labelled("  unpacked", told), ""


def _unavailable(found: Measurement) -> str:
    return f"unavailable, because {found.reason}"


def _edge(edge: IOTensor, width: int) -> str:
    return f"{edge.name:<{width}}  {describe_edge(edge)}"


def _labelled(label: str, text: str) -> str:
    return f"{label:<{LABEL}}{text}"


def weight_lines(found: Inspection) -> Iterator[Line]:
    """Yield what the file's bytes consist of."""
    held = sum(row.bytes for row in found.weights)
    zipped = sum(row.zip_bytes for row in found.weights)
    dtypes: dict[str, int] = {}
    for row in found.weights:
        dtypes[row.dtype.lower()] = dtypes.get(row.dtype.lower(), 0) + row.bytes
    each = ", ".join(
        f"{name} {words.size(count)}" for name, count in sorted(dtypes.items(), key=lambda o: -o[1])
    )
    yield (
        _labelled(
            "constants", f"{words.size(held)} ({each or 'none'}); zipped {words.size(zipped)}"
        ),
        "",
    )
    rest = {name: words.size(held) for name, held in found.remainder.items()}
    yield (
        _labelled(
            "besides",
            f"structure {rest['structure']}, metadata {rest['metadata']}, unused buffers"
            f" {rest['unused']}",
        ),
        "",
    )
    for one in found.metadata:
        text = f' "{one.text}"' if one.text else ""
        yield _labelled("metadata", f"{one.name} ({words.size(one.bytes)}){text[:70]}"), ""


def operator_table(found: Inspection) -> object:
    """Build the table of operators: version, count and the precisions that they compute in."""
    rows: dict[tuple[str, int], dict[str, int]] = {}
    for layer in found.layers:
        labels = rows.setdefault((layer.operator, layer.version), {})
        labels[layer.precision.label] = labels.get(layer.precision.label, 0) + 1
    return drawn(
        list(OPERATOR_HEADINGS),
        (
            _plain(name, str(version), str(sum(labels.values())), _shared(labels))
            for (name, version), labels in sorted(rows.items())
        ),
    )


def _plain(*cells: str) -> Row:
    return Row(tuple((cell, "") for cell in cells))


def _shared(labels: dict[str, int]) -> str:
    if len(labels) == 1:
        return next(iter(labels))
    return ", ".join(f"{label} x{n}" for label, n in labels.items())


def layer_table(found: Inspection, most: int | None) -> object:
    """Build the table of layers: the largest by constants first, or all in execution order."""
    rows: dict[tuple[int, str, str], list[WeightSummary]] = {}
    for row in found.weights:
        rows.setdefault((row.graph, row.layer, row.operator), []).append(row)
    layers = list(found.layers)
    if most is not None:
        layers = sorted((one for one in layers if one.bytes), key=lambda one: -one.bytes)[:most]
    return drawn(
        list(HEADINGS),
        (
            _layer_row(one, rows.get((one.graph, one.name, one.operator), []), found.bytes)
            for one in layers
        ),
    )


def _layer_row(layer: LayerSummary, weights: Sequence[WeightSummary], whole: int) -> Row:
    """Build a layer's row; zeros and unique values are those of its largest constant."""
    held = weights if layer.bytes else ()
    main = max(held, key=lambda row: row.bytes, default=None)
    zeros = main.sparsity if main else None
    unique = main.unique if main else None
    return Row(
        (
            (cut(layer.name, NAME), f"{layer.operator} v{layer.version}, {layer.precision.label}"),
            (macs(layer.macs), ""),
            (words.size(layer.bytes), words.share(layer.bytes / whole)) if held else ("", ""),
            (words.share(zeros) if zeros is not None else "", f"{unique:,}" if unique else ""),
            (words.size(sum(row.zip_bytes for row in held)) if held else "", ""),
            (layer.output, ""),
        )
    )


def runtime_lines(found: MinimumRuntime) -> Iterator[Line]:
    """Yield the minimum runtime: what requires it, where it comes with, what the file claims."""
    if found.reason:
        yield _labelled("minimum runtime", f"unavailable, because {found.reason}"), ""
    else:
        yield _labelled("minimum runtime", found.title), ""
        forced = ", ".join(map(str, found.forced_by[:PLACES]))
        more = f" and {len(found.forced_by) - PLACES} more" if len(found.forced_by) > PLACES else ""
        yield from _wrapped_label("  forced by", f"{forced}{more}")
        yield from _wrapped_label("  first in", "; ".join(map(str, found.packages)))
        if found.avoid:
            yield from _wrapped_label("  avoided by", found.avoid)
    yield _labelled("  file claims", short(found.claimed) if found.claimed else "nothing"), ""


def _wrapped_label(label: str, text: str) -> Iterator[Line]:
    room = words.columns() - LABEL
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    for at, line in enumerate(lines):
        yield _labelled("" if at else label, line), ""


def target_lines(rows: Sequence[TargetFit], is_tried: bool = False) -> Iterator[Line]:
    """Yield the targets that the file fits and how that is known; for others why, and the fix."""
    width = max((len(row.target) for row in rows), default=0)
    for row in rows:
        runtimes = ", ".join(f"{one.runtime} {one.version}" for one in row.runtimes if one.fits)
        style = {"fits": "green", "does not fit": "red"}.get(row.verdict, "yellow")
        on = f" on {runtimes}" if runtimes else ""
        known = "" if row.verdict == "not known" else f" ({row.how})"
        yield f"{row.target:<{width}}  {row.verdict}{on}{known}", style
    yield from wrapped(TRIED if is_tried else NOT_TRIED, "  ", "dim")
    told: dict[tuple[str, str], None] = {}
    for one in (one for row in rows for one in row.runtimes if not one.fits):
        told[one.reason, one.fix] = None
    for reason, fix in told:
        yield from wrapped(reason, "  ", "dim")
        if fix:
            yield from wrapped(f"nearest fix: {fix}", "  ", "dim")


def precision_lines(found: Inspection) -> Iterator[Line]:
    """Yield how many operators compute in each precision, and their share of the MACs."""
    total = sum(layer.macs.value or 0 for layer in found.layers)
    for label, count in found.precisions.items():
        same = [layer.macs.value or 0 for layer in found.layers if layer.precision.label == label]
        share = f", {sum(same) / total:.1%} of the MACs" if sum(same) else ""
        noun = "operator" if count == 1 else "operators"
        yield _labelled("precision", f"{label}: {count:,} {noun}{share}"), ""


def finding_lines(findings: Sequence[Finding], verbose: bool) -> Iterator[Line]:
    """Yield each finding: what, where, why and what to do."""
    for one in findings:
        yield from wrapped(f"{one.severity} {one.code}: {one.message}", "", STYLES[one.severity])
        shown = one.places if verbose else one.places[:PLACES]
        more = len(one.places) - len(shown)
        if shown:
            named = f"{', '.join(shown)}{f' and {more:,} more' if more else ''}"
            yield from wrapped(f"at: {named}", "  ", "dim")
        yield from wrapped(f"why: {one.why}", "  ", "dim")
        if one.fix:
            yield from wrapped(f"fix: {one.fix}", "  ", "dim")


def wrapped(text: str, indent: str, style: str) -> Iterator[Line]:
    """Wrap a text to the terminal's width without breaking names."""
    for line in textwrap.wrap(
        text,
        words.columns(),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    ):
        yield line, style
