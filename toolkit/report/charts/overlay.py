"""Bytes against the metric of two runs in one picture: where each candidate went."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.report.charts.axis import Absent, Axis, Reading, metric_axis, size_axis
from edgekit.report.charts.frame import Chart
from edgekit.report.charts.pareto import Pareto, ParetoPoint, pareto
from edgekit.report.charts.run import Run

TITLE = "Size against {}, before and now"


@dataclass(frozen=True)
class OverlayPoint:
    """A candidate by its size and metric in either run; absent where a run has none of it."""

    model: str
    before: ParetoPoint | None
    now: ParetoPoint | None


@dataclass(frozen=True)
class Overlay(Chart):
    """Bytes against the metric, before and now."""

    x: Axis
    y: Axis
    points: tuple[OverlayPoint, ...]
    kind: str = "overlay"


def overlay(before: Run, now: Run) -> Overlay | Absent:
    """Draw the candidates of both runs; the references are left out."""
    title = TITLE.format(now.metric or "accuracy")
    if before.metric != now.metric:
        why = f"the earlier run measured {before.metric or 'no metric'}, this one {now.metric}"
        return Absent(title, why)
    old, new = pareto(before), pareto(now)
    for chart in (old, new):
        if isinstance(chart, Absent):
            return Absent(title, chart.reason)
    was, current = _points(old), _points(new)
    points = tuple(
        OverlayPoint(name, was.get(name), current.get(name))
        for name in dict.fromkeys((*current, *was))
    )
    drawn = [*was.values(), *current.values()]
    return Overlay(
        title,
        _text(points),
        size_axis("file size", (point.size.value for point in drawn)),
        metric_axis(now.metric, now.bounded),
        points,
    )


def _points(chart: Pareto | Absent) -> dict[str, ParetoPoint]:
    points = () if isinstance(chart, Absent) else chart.points
    return {point.model: point for point in points if not point.is_reference}


def _text(points: tuple[OverlayPoint, ...]) -> str:
    """State where what ships went; without any, where the smallest file did."""
    both = [point for point in points if point.before is not None and point.now is not None]
    gone = [point.model for point in points if point.now is None]
    come = [point.model for point in points if point.before is None]
    shipped = [point for point in both if point.now is not None and point.now.ships]
    ranked = sorted(both, key=lambda point: point.now.size.value if point.now else 0.0)
    parts = [_moved(point) for point in (shipped or ranked[:1])[:2]]
    parts += [f"{', '.join(come)} came"] if come else []
    parts += [f"{', '.join(gone)} went"] if gone else []
    return f"{'; '.join(parts)}."


def _moved(point: OverlayPoint) -> str:
    before, now = point.before, point.now
    if before is None or now is None:
        return point.model
    places = [_place(before.size, before.metric), _place(now.size, now.metric)]
    if places[0] == places[1]:
        return f"{point.model} stays at {places[0]}"
    return f"{point.model} went from {places[0]} to {places[1]}"


def _place(size: Reading, metric: Reading) -> str:
    return f"{size.text}, {metric.text}"
