"""Sections that show one model at a time: which there are, and which is shown first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.report import charts
from edgekit.report.html.shell import Section
from edgekit.types import Report


@dataclass(frozen=True)
class Picked:
    """Charts of one kind by model; ``first`` is the model shown first, ``why`` says why others
    have none.
    """

    kind: str
    first: str
    drawn: tuple[tuple[str, charts.Chart], ...]
    why: tuple[str, ...] = ()

    @property
    def shown(self) -> charts.Chart:
        """The chart that is shown first."""
        return dict(self.drawn)[self.first]


def leading(report: Report) -> str:
    """Return the model that a reader looks for first: the first that ships, else the smallest."""
    for target in report.targets:
        if target.candidate:
            return target.candidate
    sized = [one for one in report.candidates if one.bytes]
    return min(sized, key=lambda one: one.bytes).id if sized else report.reference.title


def picked(report: Report, available: charts.Charts, kind: str) -> Picked | str:
    """Return the charts of a kind by model, or why there is none."""
    names = [report.reference.title, *(one.id for one in report.candidates)]
    return chosen(names, leading(report), available, kind)


def chosen(names: Sequence[str], first: str, available: charts.Charts, kind: str) -> Picked | str:
    """Return the charts of a kind of some models, or why there is none."""
    drawn, reasons = [], dict[str, list[str]]()
    for name in names:
        chart = available.get(f"{kind} of {name}")
        if isinstance(chart, charts.Absent):
            reasons.setdefault(chart.reason, []).append(name)
        elif chart is not None:
            drawn.append((name, chart))
    if not drawn:
        return next(iter(reasons), "")
    first = first if first in dict(drawn) else drawn[0][0]
    why = [f"{', '.join(those)}: {reason}." for reason, those in reasons.items()]
    return Picked(kind, first, tuple(drawn), tuple(why))


def section(
    report: Report, available: charts.Charts, kind: str, anchor: str, title: str, remedy: str
) -> Section:
    """Return the section of a kind of chart; ``remedy`` says what would fill it."""
    return shown(picked(report, available, kind), anchor, title, remedy)


def shown(view: Picked | str, anchor: str, title: str, remedy: str) -> Section:
    """Return the section of what was picked, or of why there is none."""
    if isinstance(view, str):
        return Section(anchor, title, absent=missing(view, remedy))
    return Section(anchor, title, "models.html.j2", view)


def missing(reason: str, remedy: str = "") -> str:
    """Return the sentence that stands where there is nothing to show."""
    because = f", because {reason}" if reason else ""
    return f"Not measured in this run{because}.{f' {remedy}' if remedy else ''}"
