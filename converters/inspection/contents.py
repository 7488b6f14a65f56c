"""Findings about constants, names, and bytes that nothing needs."""

from __future__ import annotations

import collections
from collections.abc import Iterator

from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.inspection.facts import Facts, Finding, counted, findings
from edgekit.converters.inspection.shapes import short
from edgekit.converters.inspection.structure import entry_graphs
from edgekit.converters.inspection.weights import OVERLAP, UNUSED

FLOATS = frozenset({"FLOAT32", "FLOAT64"})
# Converters leave smaller weights in float on purpose.
FEWEST_ELEMENTS = 1024
DUPLICATE_BYTES = 1024
USELESS_SHARE = 0.1
USELESS_BYTES = 4096
# A file with so large a part in scales may be larger than its dynamic-range version.
SCALES_SHARE = 0.2
SCALES_BYTES = 8192


def is_mostly_scales(file: TFLiteFile) -> bool:
    """Tell whether scales and zero points are a large part of the file."""
    return file.scale_bytes >= max(SCALES_SHARE * file.size, SCALES_BYTES)


def float_weights(facts: Facts) -> Iterator[Finding]:
    """Find weights that stayed float in a file that computes in integers."""
    if not any(one.kind == "integer" for graph in facts.precisions for one in graph):
        return
    rows = [
        row for row in facts.weights if row.dtype in FLOATS and row.bytes >= 4 * FEWEST_ELEMENTS
    ]
    if rows:
        total = sum(row.bytes for row in rows)
        yield Finding(
            "EK-INSPECT-030",
            "warning",
            f"{total:,} bytes of weights stayed float in a file that otherwise computes in"
            " integers",
            tuple(f"{row.tensor} ({row.bytes:,} B)" for row in rows),
            "they are four times as large as in int8, and their operators run in float",
            "see the float islands: an operation that has an integer kernel takes integer weights",
        )


def non_finite(facts: Facts) -> Iterator[Finding]:
    places = tuple(row.tensor for row in facts.weights if row.finite is False)
    yield from findings(
        "EK-INSPECT-031",
        "error",
        f"{counted(places, 'constant holds', 'constants hold')} NaN or infinite values",
        places,
        "what is computed with them is NaN too; some operators use -inf as a mask on purpose",
        "check the training: the model diverged, or a division by zero was folded in",
    )


def size_mismatches(facts: Facts) -> Iterator[Finding]:
    rows = [row for row in facts.weights if "do not fill" in row.problem]
    if rows:
        yield Finding(
            "EK-INSPECT-032",
            "error",
            f"{counted(rows, 'constant does', 'constants do')} not fill the shape of its tensor",
            tuple(f"{row.tensor} {list(row.shape)} {row.dtype}: {row.bytes:,} B" for row in rows),
            "the file is damaged: a runtime refuses it, or reads past the end of the buffer",
            "convert again, or fetch the file again",
        )


def overlapping(facts: Facts) -> Iterator[Finding]:
    places = tuple(row.tensor for row in facts.weights if row.problem == OVERLAP)
    yield from findings(
        "EK-INSPECT-039",
        "error",
        f"{counted(places, 'constant overlaps', 'constants overlap')} with others in the file",
        places,
        "constants add up to more than the file: it is damaged, or made to exhaust its readers",
        "convert again, or fetch the file again",
    )


def duplicates(facts: Facts) -> Iterator[Finding]:
    """Find large content that several buffers hold."""
    groups = collections.defaultdict(list)
    for row in facts.weights:
        if row.bytes >= DUPLICATE_BYTES:
            groups[row.digest, row.dtype].append(row)
    again = [rows for rows in groups.values() if len(rows) > 1]
    if again:
        wasted = sum(row.bytes for rows in again for row in rows[1:])
        yield Finding(
            "EK-INSPECT-033",
            "warning",
            f"{wasted:,} bytes of constants are stored more than once",
            tuple(" = ".join(row.tensor for row in rows[:4]) for rows in again),
            "the file and the download are larger by that much",
            "TensorFlow's converter shares equal constants: convert again with a current one",
        )


def shared(facts: Facts) -> Iterator[Finding]:
    places = tuple(f"{row.tensor} = {row.shared_with}" for row in facts.weights if row.shared_with)
    yield from findings(
        "EK-INSPECT-034",
        "info",
        f"{counted(places, 'tensor shares', 'tensors share')} the buffer of another",
        places,
        "its bytes are counted once; tools that quantize tensor by tensor must keep them equal",
        "",
    )


def unused(facts: Facts) -> Iterator[Finding]:
    """Find tensors that no operator reads or writes, and that are not input or output."""
    places = []
    for graph in facts.file.graphs:
        used = {*graph.inputs, *graph.outputs}
        for node in graph.nodes:
            used.update((*node.inputs, *node.outputs, *node.intermediates))
        used.update(t.quantization.block_scales for t in graph.tensors if t.quantization)
        places += [short(t.name) for t in graph.tensors if t.index not in used]
    size = sum(row.bytes for row in facts.weights if row.layer == UNUSED)
    yield from findings(
        "EK-INSPECT-035",
        "info",
        f"{counted(places, 'tensor is', 'tensors are')} used by no operator"
        f" ({size:,} bytes of constants)",
        places,
        "they take space and do nothing",
        "convert again with a current converter",
    )


def duplicate_names(facts: Facts) -> Iterator[Finding]:
    """Find tensors of one graph that have the same name."""
    places = []
    for graph in facts.file.graphs:
        counts = collections.Counter(tensor.name for tensor in graph.tensors)
        places += [f"{short(name)} (x{n})" for name, n in counts.items() if n > 1]
    yield from findings(
        "EK-INSPECT-036",
        "info",
        f"{counted(places, 'tensor name is', 'tensor names are')} used more than once",
        places,
        "tools that find tensors by name take the wrong one",
        "find tensors by index, or give the layers unique names and convert again",
    )


def uncomputed_outputs(facts: Facts) -> Iterator[Finding]:
    """Find outputs that are inputs or constants: no operator computes them."""
    places = []
    for number in entry_graphs(facts.file):
        graph = facts.file.graphs[number]
        made = {i for node in graph.nodes for i in node.outputs}
        places += [short(graph.tensors[i].name) for i in graph.outputs if i >= 0 and i not in made]
    yield from findings(
        "EK-INSPECT-037",
        "warning",
        f"{counted(places, 'output is', 'outputs are')} computed by no operator",
        places,
        "it passes an input or a constant through: some runtimes refuse such a graph",
        "leave that output out of the model",
    )


def unneeded_bytes(facts: Facts) -> Iterator[Finding]:
    """Find metadata, or buffers that no tensor names, that are a large part of the file."""
    for part, size in facts.remainder.items():
        if part == "structure" or size < max(USELESS_BYTES, USELESS_SHARE * facts.file.size):
            continue
        names = tuple(f"{name} ({len(v):,} B)" for name, v in facts.file.metadata.items())
        subject = "metadata" if part == "metadata" else "buffers that no tensor uses"
        yield Finding(
            "EK-INSPECT-038",
            "info",
            f"{size:,} bytes ({size / facts.file.size:.0%} of the file) are {subject}",
            names if part == "metadata" else (),
            "they are downloaded and loaded into memory, and no inference needs them",
            "strip them for the device, and keep the file that has them",
        )


def scales(facts: Facts) -> Iterator[Finding]:
    """Find files that scales and zero points fill: wide layers of few inputs have one per
    output.
    """
    if not is_mostly_scales(facts.file):
        return
    size = facts.file.scale_bytes
    each = {
        f"{short(tensor.name)} {list(tensor.shape)}: {len(quantization.scales):,}": len(
            quantization.scales
        )
        for graph in facts.file.graphs
        for tensor in graph.tensors
        if (quantization := tensor.quantization) is not None and len(quantization.scales) > 1
    }
    yield Finding(
        "EK-INSPECT-045",
        "warning",
        f"{size:,} bytes ({size / facts.file.size:.0%} of the file) are scales and zero points",
        tuple(sorted(each, key=lambda place: -each[place])),
        "a layer of many outputs and few inputs has one of each for every output, of its weights"
        " and of its bias, 12 bytes each time: more than the integers that they are of",
        "compare with the dynamic file, which has none for biases and may be smaller; or make the"
        " layer narrower",
    )
