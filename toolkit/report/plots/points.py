"""Points: size against metric, confidence against accuracy."""

from __future__ import annotations

from typing import Any

from edgekit.report.charts import Overlay, Pareto, ParetoPoint, ReliabilityDiagram
from edgekit.report.plots import style


def pareto(chart: Pareto) -> Any:
    """Draw size against metric: dominated models grey, those that ship filled and named."""
    drawn = style.figure(chart.title)
    panel = drawn.subplots()
    style.bare(panel, "left", "bottom")
    style.label(panel, chart.x, chart.y)
    low, high = style.span([point.metric for point in chart.points], chart.y.factor)
    panel.set_ylim(low, high)
    panel.set_xlim(0, 1.12 * max(p.size.value for p in chart.points) * chart.x.factor)
    front = [p for name in chart.front for p in chart.points if p.model == name]
    panel.plot(*_places(chart, front), color=style.BLUE, lw=1, alpha=0.35, zorder=1)
    for point in chart.points:
        _point(panel, chart, point, low, high)
    labels = style.Labels(panel)
    for point in chart.points:
        labels.keep_clear(*_place(chart, point))
    for point in sorted(chart.points, key=lambda p: (not p.ships, bool(p.dominated_by))):
        weight = "bold" if point.ships else "normal"
        labels.add([_place(chart, point)], _words(point), color=_color(point), weight=weight)
    return drawn


def _words(point: ParetoPoint) -> str:
    """Return a model's name, with its figures where nothing dominates it, and who ships it."""
    lines = [style.cut(point.model, 32)]
    if not point.dominated_by:
        lines.append(f"{point.size.text}, {point.metric.text}")
    if point.ships:
        lines.append(f"ships to {style.cut(', '.join(point.ships), 30)}")
    return "\n".join(lines)


def _color(point: ParetoPoint) -> str:
    if point.is_reference:
        return style.INK
    return style.FAINT if point.dominated_by else style.BLUE


def _point(panel: Any, chart: Pareto, point: ParetoPoint, low: float, high: float) -> None:
    x, y = _place(chart, point)
    color = _color(point)
    interval = style.ends(point.metric, chart.y, low, high)
    if interval is not None:
        panel.plot([x, x], interval, color=color, lw=1.4, alpha=0.45, zorder=2)
    marker = "D" if point.is_reference else "o"
    fill = color if point.ships else "#ffffff"
    panel.plot([x], [y], marker, ms=7, mec=color, mfc=fill, mew=1.6, zorder=3)


def _place(chart: Pareto | Overlay, point: ParetoPoint) -> tuple[float, float]:
    return point.size.value * chart.x.factor, point.metric.value * chart.y.factor


def _places(chart: Pareto, points: list[ParetoPoint]) -> tuple[list[float], list[float]]:
    places = [_place(chart, point) for point in points]
    return [x for x, _ in places], [y for _, y in places]


def overlay(chart: Overlay) -> Any:
    """Draw both runs' size against metric: an arrow from before, grey, to now, blue."""
    drawn = style.figure(chart.title)
    panel = drawn.subplots()
    style.bare(panel, "left", "bottom")
    style.label(panel, chart.x, chart.y)
    sides = [(p.before, p.now) for p in chart.points]
    every = [point for pair in sides for point in pair if point is not None]
    low, high = style.span([point.metric for point in every], chart.y.factor)
    panel.set_ylim(low, high)
    panel.set_xlim(0, 1.15 * max(p.size.value for p in every) * chart.x.factor)
    for before, now in sides:
        for point, color in ((before, style.FAINT), (now, style.BLUE)):
            if point is not None:
                _spot(panel, chart, point, color, (low, high))
        if before is not None and now is not None and _place(chart, before) != _place(chart, now):
            arrow = {"arrowstyle": "->", "color": style.INK, "shrinkA": 5, "shrinkB": 5, "lw": 0.9}
            places = _place(chart, now), _place(chart, before)
            panel.annotate("", *places, arrowprops=arrow)
    labels = style.Labels(panel)
    for point in every:
        labels.keep_clear(*_place(chart, point))
    for before, now in sides:
        at = now or before
        if at is not None:
            gone = f"{at.model}\nnot there now" if now is None else f"{at.model}\nnew"
            text = at.model if before is not None and now is not None else gone
            weight = "bold" if at.ships else "normal"
            color = style.FAINT if now is None else style.BLUE
            labels.add([_place(chart, at)], text, color=color, weight=weight)
    return drawn


def _spot(
    panel: Any, chart: Overlay, point: ParetoPoint, color: str, frame: tuple[float, float]
) -> None:
    x, y = _place(chart, point)
    if (interval := style.ends(point.metric, chart.y, *frame)) is not None:
        panel.plot([x, x], interval, color=color, lw=1.2, alpha=0.35, zorder=1)
    fill = color if color == style.BLUE else "#ffffff"
    panel.plot([x], [y], "o", ms=6, mec=color, mfc=fill, mew=1.5, zorder=3)


def reliability(chart: ReliabilityDiagram) -> Any:
    """Draw the share that is right against confidence, with the number of items below."""
    drawn = style.figure(chart.title, height=4.4)
    panel, counts = drawn.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    style.bare(panel, "left", "bottom")
    style.bare(counts, "bottom")
    factor = chart.x.factor
    panel.plot([0, factor], [0, factor], color=style.FAINT, lw=1, ls=(0, (4, 3)))
    for x, y, text in ((0.22, 0.62, "too unsure"), (0.72, 0.3, "too sure")):
        panel.text(x * factor, y * factor, text, color=style.FAINT, ha="center")
    for bar in chart.bars:
        x, y = bar.confidence * factor, bar.accuracy * factor
        panel.plot([x, x], [x, y], color=style.VERMILLION, lw=2.2, alpha=0.5)
        panel.plot([x], [y], "o", ms=6, color=style.BLUE)
        width = (bar.high - bar.low) * factor * 0.9
        counts.bar((bar.low + bar.high) / 2 * factor, bar.count, width, color=style.SKY)
    if chart.calibration_error is not None:
        text = f"expected calibration error {100 * chart.calibration_error:.1f} %"
        panel.text(0, 0.97 * factor, text, size=style.SMALL, va="top")
    style.label(panel, None, chart.y)
    style.label(counts, chart.x, None)
    counts.set_ylabel("items", size=style.SMALL)
    top = max((bar.count for bar in chart.bars), default=1)
    counts.set_yticks([top], [f"{top:,}"])
    panel.set_xlim(-2, 1.02 * factor)
    panel.set_ylim(-2, 1.04 * factor)
    return drawn
