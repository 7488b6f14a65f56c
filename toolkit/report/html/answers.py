"""What the model answers: confusion, confidence, figures by class, and the items it is worst at."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgekit.report import charts, parts
from edgekit.report.html import figures, models
from edgekit.report.html.figures import Figure
from edgekit.report.html.models import Picked
from edgekit.report.html.shell import Section
from edgekit.types import Part, Report
from edgekit.types.details import CandidateDetails, Details, PoorItem

MOST_CLASSES = 20
REMEDY = "They are drawn where labels are classes and the run evaluates items: --data FILE."


@dataclass(frozen=True)
class ClassRow:
    """A class: how many items have it, and its figures in the order of the headings."""

    name: str
    count: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Classes:
    """The classes of a model, lowest first; ``total`` where these are not all."""

    model: str
    headings: tuple[str, ...]
    rows: tuple[ClassRow, ...]
    total: int


@dataclass(frozen=True)
class Answers:
    """The section on answers."""

    confusion: Picked | None
    reliability: Picked | None
    classes: tuple[Classes, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True)
class WorstItems:
    """The items that a model is worst at, worst first.

    ``sizes`` are the width and height of their pictures by key, where they have boxes.
    """

    model: str
    score: str
    items: tuple[PoorItem, ...]
    sizes: Mapping[str, tuple[int, int]]


def section(report: Report, found: charts.Charts) -> Section:
    """Return the section on answers."""
    views = {kind: models.picked(report, found, kind) for kind in ("confusion", "reliability")}
    drawn = {kind: view for kind, view in views.items() if isinstance(view, Picked)}
    classes = tuple(_classes(report))
    absent = tuple(f"No {kind}: {view}." for kind, view in views.items() if isinstance(view, str))
    title = "Answers by class"
    if not drawn and not classes:
        reason = next(view for view in views.values() if isinstance(view, str))
        return Section("answers", title, absent=models.missing(reason, REMEDY))
    view = Answers(drawn.get("confusion"), drawn.get("reliability"), classes, absent)
    return Section("answers", title, "answers.html.j2", view)


def _classes(report: Report) -> Iterator[Classes]:
    """Yield the lowest classes of each model, of the one that a reader looks for first."""
    first = models.leading(report)
    sides = [
        (one.id, one.evaluation.parts, f"/candidates/{at}")
        for at, one in enumerate(report.candidates)
    ]
    sides.sort(key=lambda side: side[0] != first)
    sides.append((report.reference.title, report.reference_evaluation.parts, "/reference"))
    for name, those, at in sides:
        lowest = parts.worst(those, MOST_CLASSES)
        if len(those) > 1 and lowest:
            yield _of_model(name, those, lowest, at)


def _of_model(name: str, those: Sequence[Part], lowest: Sequence[Part], at: str) -> Classes:
    places = {part.number: place for place, part in enumerate(those)}
    names = tuple(lowest[0].figures)
    rows = []
    for part in lowest:
        place = f"{at}/parts/{places[part.number]}/figures"
        cells = [
            figures.score(part.figures.get(one), True, place + figures.pointer(one))
            for one in names
        ]
        rows.append(ClassRow(part.name, f"{part.count:,}", tuple(cells)))
    headings = tuple(parts.CALLED.get(one, one) for one in names)
    return Classes(name, headings, tuple(rows), len(those))


def worst_section(report: Report, details: Details | None) -> Section:
    """Return the section on the worst items."""
    return worst_of(models.leading(report), report.reference.title, details)


def worst_of(first: str, reference: str, details: Details | None) -> Section:
    """Return the section on the worst items, of one model first."""
    title = "Worst items"
    if details is None:
        return Section("worst", title, absent=models.missing("the run left no details.json"))
    sides = [(name, one) for name, one in details.candidates.items() if one.worst_items]
    sides.sort(key=lambda side: side[0] != first)
    if details.reference.worst_items:
        sides.append((reference, details.reference))
    if not sides:
        known = [details.candidates.get(first, CandidateDetails()), details.reference]
        reasons = [one.absent.get("worst_items", "") for one in known]
        reason = next(filter(None, [*reasons, details.absent.get("worst_items", "")]), "")
        return Section("worst", title, absent=models.missing(reason))
    view = tuple(
        WorstItems(
            name,
            side.worst_items[0].score_name,
            side.worst_items,
            {
                item.picture: _size(details.pictures[item.picture])
                for item in side.worst_items
                if item.boxes and item.picture
            },
        )
        for name, side in sides
    )
    return Section("worst", title, "worst.html.j2", view)


def _size(picture: str) -> tuple[int, int]:
    """Read the width and height of a PNG in base64, which stand in its first 24 bytes."""
    head = base64.b64decode(picture[:32])
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
