"""Two ``.tflite`` files side by side on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.converters.inspection import Difference
from edgekit.converters.inspection.difference import LayerChange
from edgekit.report import words
from edgekit.report.grid import Row, grid, single_lines
from edgekit.report.inspection import Line, cut, macs
from edgekit.types import Measurement

NAME = 40
HEADINGS = (("layer", ""), ("bytes", ""), ("after", ""), ("what changed", ""))
# What is left out where a terminal is too narrow for all.
DROP = ("bytes",)


def summary_table(difference: Difference) -> object:
    """Build the table of size, constants, tensors, MACs and memory of both files."""
    before, after = difference.before, difference.after
    files = (before.bytes, after.bytes)
    sizes = [sum(row.bytes for row in side.weights) for side in (before, after)]
    zips = [sum(row.zip_bytes for row in side.weights) for side in (before, after)]
    rows = [
        ("size", *map(words.size, files), _times(*files)),
        ("constants", *map(words.size, sizes), _times(*sizes)),
        ("  zipped", *map(words.size, zips), _times(*zips)),
        ("operators", str(len(before.layers)), str(len(after.layers)), ""),
        ("tensors", *map(str, difference.tensors), ""),
        ("runtime", *(side.runtime.release or words.NONE for side in (before, after)), ""),
        ("MACs", *map(macs, difference.macs), _measured(difference.macs)),
        ("activations", *map(_bytes, difference.memory), _measured(difference.memory)),
    ]
    titles = [("", ""), ("before", ""), ("after", ""), ("", "")]
    return grid(titles, (single_lines(*row) for row in rows))


def _bytes(measured: Measurement) -> str:
    return words.NONE if measured.value is None else words.size(measured.value)


def _measured(pair: tuple[Measurement, Measurement]) -> str:
    return _times(pair[0].value or 0, pair[1].value or 0)


def _times(before: float, after: float) -> str:
    return "" if before == after or not before or not after else f"x{after / before:.2f}"


def change_lines(difference: Difference) -> Iterator[Line]:
    """Yield the operators, inputs, outputs, metadata and findings that changed."""
    for operator in difference.operators:
        (a, b), (old, new) = operator.counts, operator.versions
        if not a or not b:
            word = "added" if not a else "removed"
            yield f"operator {operator.name} v{new or old} x{b or a} {word}", ""
            continue
        count = f" x{a} to x{b}" if a != b else f" x{a}"
        version = f" v{old} to v{new}" if old != new else f" v{new}"
        yield f"operator {operator.name}{version}{count}", ""
    for line in difference.edges:
        yield line, ""
    for line in difference.metadata:
        yield f"metadata {line}"[:160], "dim"
    for line in difference.findings:
        yield line, "dim"


def layer_table(difference: Difference, most: int | None) -> object:
    """Return the layers that changed, by how many bytes they changed, or all in execution order."""
    rows = list(difference.layers)
    if most is not None:
        rows = sorted(rows, key=lambda change: -abs(_moved(change)))[:most]
    return grid(HEADINGS, (_row(change) for change in rows), DROP)


def _moved(change: LayerChange) -> int:
    before = change.before.bytes if change.before else 0
    return (change.after.bytes if change.after else 0) - before


def _row(change: LayerChange) -> Row:
    sides = [
        words.size(side.bytes) if side else words.NONE for side in (change.before, change.after)
    ]
    first, *rest = change.changes
    return Row(
        (
            (cut(change.name, NAME), change.operator),
            (sides[0], ""),
            (sides[1], ""),
            (first, "; ".join(rest)),
        )
    )
