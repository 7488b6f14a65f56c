"""Findings about constants, names, and bytes that nothing needs."""

from __future__ import annotations

import collections
from collections.abc import Iterator

from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.inspection.facts import Facts, Finding, counted
from edgekit.converters.inspection.shapes import short
from edgekit.converters.inspection.structure import entries
from edgekit.converters.inspection.weights import OVERLAP, UNUSED

FLOATS = frozenset({"FLOAT32", "FLOAT64"})
# Converters leave smaller weights in float on purpose.
FEWEST_ELEMENTS = 1024
DUPLICATE_BYTES = 1024
USELESS_SHARE = 0.1
USELESS_BYTES = 4096
# A file of which so much says what its integers mean: it may be larger than its dynamic twin.
SCALES_SHARE = 0.2
SCALES_BYTES = 8192


def is_mostly_scales(file: TFLiteFile) -> bool:
    """Tell whether scales and zero points matter for the file's size."""
    return file.scale_bytes >= max(SCALES_SHARE * file.size, SCALES_BYTES)


def float_weights(facts: Facts) -> Iterator[Finding]:
    """Return weights that stayed float in a file that computes in integers."""
    if not any(one.kind == "integer" for found in facts.precisions for one in found):
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


def bad_numbers(facts: Facts) -> Iterator[Finding]:
    places = tuple(row.tensor for row in facts.weights if row.finite is False)
    if places:
        yield Finding(
            "EK-INSPECT-031",
            "error",
            f"{counted(places, 'constant holds', 'constants hold')} NaN or infinite values",
            places,
            "what is computed with them is NaN too; some operators use -inf as a mask on purpose",
            "look at the training: the model diverged, or a division by zero was folded in",
        )


def unfilled(facts: Facts) -> Iterator[Finding]:
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
    if places:
        yield Finding(
            "EK-INSPECT-039",
            "error",
            f"{counted(places, 'constant lies', 'constants lie')} over others in the file",
            places,
            "constants add up to more than the file: it is damaged, or made to keep readers busy",
            "convert again, or fetch the file again",
        )


def duplicates(facts: Facts) -> Iterator[Finding]:
    """Return the same large content in several buffers."""
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
            f"{wasted:,} bytes of constants are there more than once",
            tuple(" = ".join(row.tensor for row in rows[:4]) for rows in again),
            "the file and the download are larger by that much",
            "TensorFlow's converter shares equal constants: convert again with a current one",
        )


def shared(facts: Facts) -> Iterator[Finding]:
    places = tuple(f"{row.tensor} = {row.shared_with}" for row in facts.weights if row.shared_with)
    if places:
        yield Finding(
            "EK-INSPECT-034",
            "info",
            f"{counted(places, 'tensor shares', 'tensors share')} the buffer of another",
            places,
            "its bytes are counted once; tools that quantize tensor by tensor must keep them equal",
            "",
        )


def unused(facts: Facts) -> Iterator[Finding]:
    """Return tensors that no operator reads or writes, and that are no input or output."""
    places = []
    for graph in facts.file.graphs:
        used = {*graph.inputs, *graph.outputs}
        for node in graph.nodes:
            used.update((*node.inputs, *node.outputs, *node.intermediates))
        used.update(t.quantization.block_scales for t in graph.tensors if t.quantization)
        places += [short(t.name) for t in graph.tensors if t.index not in used]
    held = sum(row.bytes for row in facts.weights if row.layer == UNUSED)
    if places:
        yield Finding(
            "EK-INSPECT-035",
            "info",
            f"{counted(places, 'tensor is', 'tensors are')} used by no operator"
            f" ({held:,} bytes of constants)",
            tuple(places),
            "they take room and do nothing",
            "convert again with a current converter",
        )


def twins(facts: Facts) -> Iterator[Finding]:
    """Return tensors of one graph that have the same name."""
    places = []
    for graph in facts.file.graphs:
        counts = collections.Counter(tensor.name for tensor in graph.tensors)
        places += [f"{short(name)} (x{n})" for name, n in counts.items() if n > 1]
    if places:
        yield Finding(
            "EK-INSPECT-036",
            "info",
            f"{counted(places, 'tensor name is', 'tensor names are')} used more than once",
            tuple(places),
            "tools that find tensors by name take the wrong one",
            "go by index, or name the layers apart and convert again",
        )


def same_edges(facts: Facts) -> Iterator[Finding]:
    """Return a graph's outputs that are its inputs, or constants: nothing computes them."""
    places = []
    for number in entries(facts.file):
        graph = facts.file.graphs[number]
        made = {i for node in graph.nodes for i in node.outputs}
        places += [short(graph.tensors[i].name) for i in graph.outputs if i >= 0 and i not in made]
    if places:
        yield Finding(
            "EK-INSPECT-037",
            "warning",
            f"{counted(places, 'output is', 'outputs are')} computed by no operator",
            tuple(places),
            "it hands an input or a constant on: some runtimes refuse such a graph",
            "leave that output out of the model",
        )


def useless(facts: Facts) -> Iterator[Finding]:
    """Return a large part of the file in metadata, or in buffers that no tensor names."""
    for what, held in facts.remainder.items():
        if what == "structure" or held < max(USELESS_BYTES, USELESS_SHARE * facts.file.size):
            continue
        names = tuple(f"{name} ({len(v):,} B)" for name, v in facts.file.metadata.items())
        subject = "metadata" if what == "metadata" else "buffers that no tensor uses"
        yield Finding(
            "EK-INSPECT-038",
            "info",
            f"{held:,} bytes ({held / facts.file.size:.0%} of the file) are {subject}",
            names if what == "metadata" else (),
            "they are downloaded and held in memory, and no inference needs them",
            "strip them for the device, and keep the file that has them",
        )


def scales(facts: Facts) -> Iterator[Finding]:
    """Much of a file is scales and zero points: wide layers of few inputs have one per output."""
    if not is_mostly_scales(facts.file):
        return
    held = facts.file.scale_bytes
    each = {
        f"{short(tensor.name)} {list(tensor.shape)}: {len(found.scales):,}": len(found.scales)
        for graph in facts.file.graphs
        for tensor in graph.tensors
        if (found := tensor.quantization) is not None and len(found.scales) > 1
    }
    yield Finding(
        "EK-INSPECT-045",
        "warning",
        f"{held:,} bytes ({held / facts.file.size:.0%} of the file) are scales and zero points",
        tuple(sorted(each, key=lambda place: -each[place])),
        "a layer of many outputs and few inputs has one of each for every output, of its weights"
        " and of its bias, 12 bytes each time: more than the integers that they are of",
        "compare with the dynamic file, which has none for biases and may be smaller; or make the"
        " layer narrower",
    )
