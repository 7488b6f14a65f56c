"""A metric by class: the classes with the lowest figures, as a table and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgekit.report import words
from edgekit.types import Json, Measurement, Part, Report

WORST = 5
# Which figure of a class is what its metric is the mean of; the first that is there.
LEADING = ("iou", "f1")
CALLED = {"iou": "IoU", "f1": "F1", "average_precision": "average precision"}


def leading(figures: Mapping[str, Measurement]) -> str:
    """Return the name of the figure that classes are ordered by."""
    return next((name for name in LEADING if name in figures), next(iter(figures), ""))


def worst(parts: Sequence[Part], count: int = WORST) -> list[Part]:
    """Return the classes with the lowest figures, lowest first."""

    def value(part: Part) -> float:
        figure = part.figures[leading(part.figures)].value
        return 2.0 if figure is None else figure

    return sorted((part for part in parts if value(part) <= 1), key=value)[:count]


def of_json(details: Mapping[str, Json]) -> tuple[Part, ...]:
    """Read the parts from an evaluation's details."""
    return tuple(
        Part(
            part["number"],
            part["name"],
            part["count"],
            {name: Measurement(**figure) for name, figure in part["figures"].items()},
        )
        for part in details.get("parts", ())
    )


def rows(parts: Sequence[Part]) -> Iterator[tuple[tuple[str, str], ...]]:
    """Yield the cells of each class: how many items have it, and its figures with intervals."""
    for part in parts:
        figures = [(words.value(f, True), words.interval(f, True)) for f in part.figures.values()]
        yield ((part.name, ""), (f"{part.count:,}", ""), *figures, ("", ""))


def titles(parts: Sequence[Part]) -> list[tuple[str, str]]:
    """Return the column titles of :func:`rows`."""
    names = [CALLED.get(name, name) for name in parts[0].figures]
    noun = "labels" if "average_precision" in parts[0].figures else "classes"
    return [
        (f"worst {noun}", ""),
        ("items", ""),
        *((name, "95 % interval") for name in names),
        ("", ""),
    ]


def lines(report: Report) -> Iterator[str]:
    """Yield each candidate's lowest classes, and their change against the reference."""
    before = {part.number: part for part in report.reference_evaluation.parts}
    for candidate in report.candidates:
        lowest = worst(candidate.evaluation.parts, 3)
        if candidate.path is None or len(candidate.evaluation.parts) < 2 or not lowest:
            continue
        name = leading(lowest[0].figures)
        # Classes of single answers are told by what is confused.
        if "precision" in lowest[0].figures:
            continue
        listed = ", ".join(_shown(part, before.get(part.number), name) for part in lowest)
        yield f"{candidate.id}: lowest {CALLED.get(name, name)}: {listed}"


def _shown(part: Part, before: Part | None, name: str) -> str:
    figure, base = part.figures[name], before.figures.get(name) if before else None
    shown = f"{part.name} {words.value(figure, True)}"
    if base is None or base.value is None or figure.value is None:
        return shown
    lost = 100 * (base.value - figure.value)
    return f"{shown} ({-lost:+.2f})" if abs(lost) >= 0.005 else shown
