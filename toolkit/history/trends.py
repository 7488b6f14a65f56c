"""A figure over the runs: its points, and where it stepped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edgekit.history.entry import HistoryEntry
from edgekit.statistics import Step, steps
from edgekit.types import Measurement

# Times and memory depend on the machine; bytes are counted, without noise.
OF_A_MACHINE = ("latency_p50", "latency_p95", "peak_memory")
COUNTED = ("size", "compressed_size", "arena")
# More runs than these are not looked at for steps.
MOST_RUNS = 1000


@dataclass(frozen=True)
class Point:
    """A figure in one run."""

    run: str
    date: str
    commit: str
    candidate: str
    figure: Measurement


@dataclass(frozen=True)
class Trend:
    """One figure of what one target ships, or of one candidate, from the oldest run on.

    ``machine`` is empty where the figure depends on none. ``steps`` count the points from 0; None
    where the library that finds them is not installed.
    """

    model: str
    subject: str
    name: str
    machine: str
    points: tuple[Point, ...]
    steps: tuple[Step, ...] | None
    worse_when_lower: bool
    share: bool

    @property
    def unit(self) -> str:
        return self.points[-1].figure.unit

    def worse(self, before: float, after: float) -> bool:
        """Tell whether a change is for the worse."""
        return after < before if self.worse_when_lower else after > before


def trends(history: Iterable[HistoryEntry], candidate: str | None = None) -> tuple[Trend, ...]:
    """Return the trend of every figure of what each target ships; or of one candidate.

    A candidate that no target ships counts by itself where its model has no target in any run.
    """
    history = tuple(history)
    with_target = {entry.model for entry in history if entry.target}
    rows: dict[tuple[str, str, str, str, str], list[tuple[HistoryEntry, Point]]] = {}
    for entry in history:
        if candidate is not None:
            if entry.candidate != candidate:
                continue
            subject = entry.candidate
        elif entry.target or entry.model not in with_target:
            subject = entry.target or entry.candidate
        else:
            continue
        for name, figure in entry.figures.items():
            machine = entry.machine if name in OF_A_MACHINE else ""
            key = entry.model, subject, name, machine, figure.unit
            point = Point(entry.run, entry.date, entry.commit, entry.candidate, figure)
            of_figure = rows.setdefault(key, [])
            # A file that several targets ship has one line for each.
            if not of_figure or of_figure[-1][1].run != entry.run:
                of_figure.append((entry, point))
    return tuple(_trend(key[:4], of_figure[-MOST_RUNS:]) for key, of_figure in rows.items())


def _trend(key: tuple[str, str, str, str], rows: list[tuple[HistoryEntry, Point]]) -> Trend:
    model, subject, name, machine = key
    last = rows[-1][0]
    values = np.array([point.figure.value for _, point in rows], dtype=np.float64)
    try:
        changes: tuple[Step, ...] | None = steps(values, exact=name in COUNTED)
    except ImportError:
        changes = None
    return Trend(
        model=model,
        subject=subject,
        name=name,
        machine=machine,
        points=tuple(point for _, point in rows),
        steps=changes,
        worse_when_lower=name in last.worse_when_lower or name == "sqnr",
        share=name in last.shares,
    )
