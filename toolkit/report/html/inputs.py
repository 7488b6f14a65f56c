"""The data of a run: what calibrates, what is judged and what was trained on, as pictures and as
ranges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgekit.report import words
from edgekit.report.document import plain
from edgekit.report.html import models
from edgekit.report.html.shell import Section
from edgekit.types import Json
from edgekit.types.details import DataDetails, Details, ValueRange

USES = {
    "representative": "calibrates int8",
    "evaluated": "is judged",
    "trained": "was trained on",
}
ITEMS = {"representative": "calibrate", "evaluated": "are judged", "trained": "were trained on"}
MOST_CLASSES = 30


@dataclass(frozen=True)
class RangeRow:
    """The values of an input in one of the two sets of items."""

    use: str
    items: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class InputView:
    """One input: its ranges, its charts by name, its pictures by what they are for."""

    name: str
    shape: str
    headings: tuple[str, ...]
    rows: tuple[RangeRow, ...]
    charts: tuple[tuple[str, str], ...]
    sheets: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class ClassCount:
    """How many items of a class there are for each use."""

    name: str
    counts: tuple[str, ...]


@dataclass(frozen=True)
class DataView:
    """The section on data."""

    inputs: tuple[InputView, ...]
    uses: tuple[str, ...]
    classes: tuple[ClassCount, ...]
    classes_in_all: int
    absent: tuple[str, ...]


def section(details: Details | None) -> Section:
    """Return the section on data."""
    title = "Data"
    if details is None:
        return Section("data", title, absent=models.missing("the run left no details.json"))
    sides = dict(_sides(details))
    names = list(dict.fromkeys(name for side in sides.values() for name in side.inputs))
    reasons = [f"No {name}: {details.absent[name]}." for name in USES if name in details.absent]
    if not names:
        return Section(
            "data", title, absent=" ".join(reasons) or models.missing("no data was named")
        )
    counted = [side.classes for side in sides.values()]
    classes = list(dict.fromkeys(name for side in counted for name in side))
    rows = [_class(name, sides) for name in classes[:MOST_CLASSES]]
    view = DataView(
        tuple(_input(name, sides) for name in names),
        tuple(sides),
        tuple(rows),
        len(classes),
        tuple(reasons),
    )
    return Section("data", title, "data.html.j2", view)


def drawings(details: Details | None) -> Mapping[str, Json]:
    """Return the histograms and curves of the inputs, as the script draws them."""
    drawn: dict[str, Json] = {}
    for use, side in _sides(details) if details else ():
        for name, distribution in side.inputs.items():
            text = f"Values of {name} over the {side.items:,} items that {ITEMS[use]}."
            if distribution.histogram is not None:
                chart = {"kind": "histogram", "title": f"Values of {name}, {use}", "text": text}
                drawn[f"values of {name}, {use}"] = {**chart, **plain(distribution.histogram)}
            if distribution.envelope is not None:
                text = f"{name} along its values: least and most of {side.items:,} items."
                chart = {"kind": "curves", "title": f"Course of {name}, {use}", "text": text}
                curves = {
                    "envelope": plain(distribution.envelope),
                    "examples": plain(distribution.examples),
                }
                drawn[f"course of {name}, {use}"] = {**chart, **curves}
    return drawn


def _sides(details: Details) -> Iterator[tuple[str, DataDetails]]:
    for use in USES:
        side = getattr(details, use)
        if side is not None:
            yield use, side


def _input(name: str, sides: Mapping[str, DataDetails]) -> InputView:
    by_use = {use: side.inputs[name] for use, side in sides.items() if name in side.inputs}
    first = next(iter(by_use.values()))
    percentiles = list(
        dict.fromkeys(
            each for one in by_use.values() if one.range for each in one.range.percentiles
        )
    )
    percentiles.sort(key=float)
    return InputView(
        name,
        f"{first.dtype} [{', '.join(map(str, first.shape))}]",
        ("items", "least", *(f"{each} %" for each in percentiles), "most", "mean", "deviation"),
        tuple(_range(use, one.range, percentiles) for use, one in by_use.items() if one.range),
        tuple(
            (f"{kind} of {name}, {use}", use)
            for use, distribution in by_use.items()
            for kind, part in (
                ("values", distribution.histogram),
                ("course", distribution.envelope),
            )
            if part is not None
        ),
        tuple((use, one.pictures) for use, one in by_use.items() if one.pictures),
    )


def _range(use: str, shown: ValueRange, percentiles: list[str]) -> RangeRow:
    values = [shown.min, *(shown.percentiles.get(each) for each in percentiles)]
    values += [shown.max, shown.mean, shown.std]
    cells = tuple(words.NONE if value is None else words.number(value, 4) for value in values)
    return RangeRow(f"{use}, {USES[use]}", f"{shown.items:,}", cells)


def _class(name: str, sides: Mapping[str, DataDetails]) -> ClassCount:
    counts = []
    for side in sides.values():
        counted = side.classes
        counts.append(f"{counted.get(name, 0):,}" if counted else words.NONE)
    return ClassCount(name, tuple(counts))
