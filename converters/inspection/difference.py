"""What changed from one ``.tflite`` file to another."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgekit.converters.flatbuffer import Quantization
from edgekit.converters.inspection.summary import Inspection, IOTensor, LayerSummary, jsonable
from edgekit.types import Json, Measurement

# Aligning takes the product of both lengths in time; longer lists are matched kind by kind.
MOST_ALIGNED = 500


@dataclass(frozen=True)
class OperatorChange:
    """One kind of operator: count and highest version before and after, 0 where absent."""

    name: str
    counts: tuple[int, int]
    versions: tuple[int, int]


@dataclass(frozen=True)
class LayerChange:
    """One operator before and after: absent on the side that does not have it.

    ``scale_ratio`` is the output's scale after, divided by before, where both have one;
    ``is_moved`` says that the weights' content differs. ``changes`` say in words what differs.
    """

    name: str
    operator: str
    before: LayerSummary | None
    after: LayerSummary | None
    scale_ratio: float | None
    is_moved: bool
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """Two files, and what changed between them.

    ``equal`` is whether they compute the same, and differ in names, order or metadata at most;
    ``edges`` are lines about inputs and outputs; ``tensors`` how many there are before and after;
    ``layers`` those that changed, in execution order; ``same`` counts the others.
    """

    before: Inspection
    after: Inspection
    identical: bool
    equal: bool
    operators: tuple[OperatorChange, ...]
    edges: tuple[str, ...]
    tensors: tuple[int, int]
    layers: tuple[LayerChange, ...]
    same: int
    macs: tuple[Measurement, Measurement]
    memory: tuple[Measurement, Measurement]
    metadata: tuple[str, ...]
    findings: tuple[str, ...]


def compare(before: Inspection, after: Inspection) -> Difference:
    """Compare two files: operators are matched by name first, then by position."""
    pairs = _matched(before.layers, after.layers)
    digests = _digests(before), _digests(after)
    changes = [_layer(a, b, digests) for a, b in pairs]
    changed = tuple(one for one in changes if one.changes)
    return Difference(
        before=before,
        after=after,
        identical=before.sha256 == after.sha256,
        equal=before.semantic_hash == after.semantic_hash,
        operators=_operators(before, after),
        edges=tuple(_edges(before, after)),
        tensors=(_tensors(before), _tensors(after)),
        layers=changed,
        same=len(changes) - len(changed),
        macs=(before.entries[0].macs, after.entries[0].macs),
        memory=(before.entries[0].memory.peak, after.entries[0].memory.peak),
        metadata=tuple(_metadata(before, after)),
        findings=tuple(_findings(before, after)),
    )


def _tensors(inspection: Inspection) -> int:
    return sum(len(graph.tensors) for graph in inspection.file.graphs)


def _operators(before: Inspection, after: Inspection) -> tuple[OperatorChange, ...]:
    rows: dict[str, list[int]] = {}
    for side, inspection in enumerate((before, after)):
        for operator in inspection.operators:
            row = rows.setdefault(operator.name, [0, 0, 0, 0])
            row[side] += operator.count
            row[2 + side] = max(row[2 + side], operator.version)
    return tuple(
        OperatorChange(name, (row[0], row[1]), (row[2], row[3]))
        for name, row in sorted(rows.items())
        if row[0] != row[1] or row[2] != row[3]
    )


def _matched(
    before: tuple[LayerSummary, ...], after: tuple[LayerSummary, ...]
) -> list[tuple[LayerSummary | None, LayerSummary | None]]:
    """Pair the layers, in the order of the second file, where it has them."""
    names: dict[tuple[str, str], deque[LayerSummary]] = {}
    for layer in before:
        names.setdefault((layer.name, layer.operator), deque()).append(layer)
    pairs: dict[int, LayerSummary] = {}
    for at, layer in enumerate(after):
        candidates = names.get((layer.name, layer.operator))
        if candidates:
            pairs[at] = candidates.popleft()
    taken = {id(one) for one in pairs.values()}
    left = [one for one in before if id(one) not in taken]
    right = [at for at in range(len(after)) if at not in pairs]
    kinds = [one.operator for one in left], [after[at].operator for at in right]
    pairs.update({right[j]: left[i] for i, j in aligned(*kinds)})
    taken = {id(one) for one in pairs.values()}
    gone: list[tuple[LayerSummary | None, LayerSummary | None]] = [
        (one, None) for one in before if id(one) not in taken
    ]
    return [*((pairs.get(at), one) for at, one in enumerate(after)), *gone]


def aligned(left: list[str], right: list[str]) -> Iterator[tuple[int, int]]:
    """Find the positions of the same operators in two lists."""
    if len(left) + len(right) <= MOST_ALIGNED:
        matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
        for i, j, size in matcher.get_matching_blocks():
            yield from ((i + k, j + k) for k in range(size))
        return
    places: dict[str, deque[int]] = {}
    for i, kind in enumerate(left):
        places.setdefault(kind, deque()).append(i)
    for j, kind in enumerate(right):
        if places.get(kind):
            yield places[kind].popleft(), j


Digests = Mapping[tuple[int, str, str], tuple[str, ...]]


def _digests(inspection: Inspection) -> Digests:
    """Return the digests of the weights of each layer."""
    by_layer: dict[tuple[int, str, str], list[str]] = {}
    for row in inspection.weights:
        by_layer.setdefault((row.graph, row.layer, row.operator), []).append(row.digest)
    return {key: tuple(sorted(rows)) for key, rows in by_layer.items()}


def _layer(
    before: LayerSummary | None, after: LayerSummary | None, digests: tuple[Digests, Digests]
) -> LayerChange:
    if before is None or after is None:
        (shown,) = (one for one in (before, after) if one is not None)
        word = "added" if before is None else "removed"
        return LayerChange(shown.name, shown.operator, before, after, None, False, (word,))
    rows = [
        digests_by_layer.get((layer.graph, layer.name, layer.operator), ())
        for layer, digests_by_layer in zip((before, after), digests, strict=True)
    ]
    is_moved = rows[0] != rows[1]
    ratio = _ratio(before.quantization, after.quantization)
    return LayerChange(
        after.name,
        after.operator,
        before,
        after,
        ratio,
        is_moved,
        tuple(_words(before, after, ratio, is_moved)),
    )


def _words(
    before: LayerSummary, after: LayerSummary, ratio: float | None, is_moved: bool
) -> list[str]:
    words = []
    if before.precision.label != after.precision.label:
        words.append(f"{before.precision.label} to {after.precision.label}")
    if before.version != after.version:
        words.append(f"version {before.version} to {after.version}")
    if before.output != after.output:
        words.append(f"output {before.output} to {after.output}")
    if ratio is not None and abs(ratio - 1) > 1e-6:
        words.append(f"output scale x{ratio:.4g}")
    zeros = [one.quantization.zero_points if one.quantization else () for one in (before, after)]
    if ratio is not None and zeros[0] != zeros[1]:
        words.append(f"zero point {_first(zeros[0])} to {_first(zeros[1])}")
    if is_moved and before.bytes == after.bytes:
        words.append("other weights")
    elif before.bytes != after.bytes:
        words.append(f"{'smaller' if after.bytes < before.bytes else 'larger'} constants")
    return words


def _first(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values[:3])) + (" ..." if len(values) > 3 else "")


def _ratio(before: Quantization | None, after: Quantization | None) -> float | None:
    """Divide scales per tensor, after by before; of several, the one that changed most."""
    if before is None or after is None or len(before.scales) != len(after.scales):
        return None
    ratios = [b / a for a, b in zip(before.scales, after.scales, strict=True) if a]
    return max(ratios, key=lambda one: abs(one - 1), default=None)


def _edges(before: Inspection, after: Inspection) -> list[str]:
    lines = []
    keys = [one.key for one in after.entries]
    old = {one.key: one for one in before.entries}
    lines += [f"signature {key!r} removed" for key in old if key not in keys]
    for entry in after.entries:
        if entry.key not in old:
            lines.append(f"signature {entry.key!r} added")
            continue
        earlier = old[entry.key]
        for side, a, b in (
            ("input", earlier.inputs, entry.inputs),
            ("output", earlier.outputs, entry.outputs),
        ):
            lines += _edge_lines(side, a, b)
    return lines


def _edge_lines(side: str, before: tuple[IOTensor, ...], after: tuple[IOTensor, ...]) -> list[str]:
    old = {edge.name: edge for edge in before}
    new = {edge.name for edge in after}
    if len(before) == len(after) == 1:
        # A single input (or output) on each side is the same one, whatever its name.
        old, new = {after[0].name: before[0]}, {after[0].name}
    lines = [f"{side} {name} removed" for name in old if name not in new]
    for edge in after:
        a = old.get(edge.name)
        if a is None:
            lines.append(f"{side} {edge.name} added")
        elif describe_edge(a) != describe_edge(edge):
            lines.append(f"{side} {edge.name}: {describe_edge(a)} to {describe_edge(edge)}")
    names = [edge.name for edge in after if edge.name in old]
    if names != [edge.name for edge in before if edge.name in new] and len(after) > 1:
        lines.append(f"{side}s are in another order")
    return lines


def describe_edge(edge: IOTensor) -> str:
    """Describe an input or output: dtype, shape, scale and zero point."""
    text = f"{edge.dtype.lower()} {edge.shape}"
    quantization = edge.quantization
    if quantization is None or not quantization.scales:
        return text
    if quantization.per_channel:
        return f"{text} per channel"
    zero = _first(quantization.zero_points) or 0
    return f"{text} scale {quantization.scales[0]:.6g} zero point {zero}"


def _metadata(before: Inspection, after: Inspection) -> list[str]:
    old = {one.name: one for one in before.metadata}
    new = {one.name: one for one in after.metadata}
    lines = [f"{name} removed" for name in old if name not in new]
    lines += [f"{name} added ({one.bytes:,} B)" for name, one in new.items() if name not in old]
    for name in new.keys() & old.keys():
        if before.file.metadata.get(name) != after.file.metadata.get(name):
            texts = (old[name].text, new[name].text)
            change = f"{texts[0]} to {texts[1]}" if all(texts) else "other content"
            lines.append(f"{name}: {change}")
    return sorted(lines)


def _findings(before: Inspection, after: Inspection) -> list[str]:
    old = {one.code: one for one in before.findings}
    new = {one.code: one for one in after.findings}
    gone = [f"no more {code}: {one.message}" for code, one in old.items() if code not in new]
    return gone + [f"new {code}: {one.message}" for code, one in new.items() if code not in old]


def difference_json(difference: Difference) -> Json:
    """Return a difference as JSON types: of the files, path and size; of layers, what changed."""
    sides = [
        {"path": str(file.path), "bytes": file.bytes, "sha256": file.sha256}
        for file in (difference.before, difference.after)
    ]
    layers = [
        {
            "name": layer.name,
            "operator": layer.operator,
            "bytes": [side.bytes if side else None for side in (layer.before, layer.after)],
            "precision": [
                side.precision.label if side else None for side in (layer.before, layer.after)
            ],
            "scale_ratio": jsonable(layer.scale_ratio),
            "changes": list(layer.changes),
        }
        for layer in difference.layers
    ]
    plain = (
        "identical",
        "equal",
        "operators",
        "edges",
        "tensors",
        "same",
        "macs",
        "memory",
        "metadata",
        "findings",
    )
    rest = {name: jsonable(getattr(difference, name)) for name in plain}
    return {"before": sides[0], "after": sides[1], **rest, "layers": layers}
