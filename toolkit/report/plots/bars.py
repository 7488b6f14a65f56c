"""Bars: budgets against their limits, models side by side, error by layer."""

from __future__ import annotations

from typing import Any

from edgekit.report.charts import (
    Axis,
    BudgetBar,
    Budgets,
    CandidateRow,
    Candidates,
    LayerBar,
    Layers,
    Reading,
)
from edgekit.report.plots import style

OUTCOMES = {
    "passed": (style.BLUE, "passed"),
    "red": (style.VERMILLION, "FAILED"),
    "undecided": (style.ORANGE, "inconclusive"),
    "unavailable": (style.FAINT, "unavailable"),
    "waived": (style.PURPLE, "waived"),
    "skipped": (style.FAINT, "not judged"),
}
# Inches of a row, and of what is above and below all of them.
ROW, AROUND = 0.62, 0.75
LAYERS_NAMED = 3


def budgets(chart: Budgets) -> Any:
    """Draw each budget on its own scale: a bar to the figure, and a line where the limit is."""
    count = len(chart.bars)
    drawn = style.figure(chart.title, height=AROUND + ROW * count)
    panel = drawn.subplots()
    style.bare(panel)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_xlim(0, 1)
    panel.set_ylim(count - 0.35, -0.65)
    for row, bar in enumerate(chart.bars):
        _budget(panel, row, bar)
    return drawn


def _budget(panel: Any, row: int, bar: BudgetBar) -> None:
    color, word = OUTCOMES[bar.outcome]
    where = " · ".join(part for part in (bar.model, bar.target) if part)
    panel.text(0, row - 0.3, bar.check, weight="bold", va="bottom")
    panel.text(1, row - 0.3, word, color=color, weight="bold", va="bottom", ha="right")
    named = style.cut(where, 44)
    panel.text(0.33, row - 0.3, named, color=style.FAINT, va="bottom", size=style.SMALL)
    if bar.figure is None or bar.limit is None:
        text = style.cut(f"{bar.limit_text}: {bar.message}" if bar.limit_text else bar.message, 76)
        panel.text(0, row, text, va="center", size=style.SMALL, color=style.FAINT)
        return

    def at(value: float) -> float:
        return min(1.0, max(0.0, (value - bar.start) / (bar.end - bar.start)))

    value, limit = at(bar.figure.value), at(bar.limit.value)
    panel.plot([0, 1], [row, row], color=style.PALE, lw=9, solid_capstyle="butt", zorder=0)
    if bar.start == 0:
        panel.plot([0, value], [row, row], color=color, lw=9, solid_capstyle="butt", zorder=1)
    if bar.figure.bounds:
        low = 0.0 if bar.figure.low is None else at(bar.figure.low)
        high = 1.0 if bar.figure.high is None else at(bar.figure.high)
        ink = style.INK if bar.start == 0 else color
        panel.plot([low, high], [row, row], color=ink, lw=1.6, zorder=2)
    if bar.start:
        panel.plot([value], [row], "o", color=color, ms=7, zorder=3)
    panel.plot([limit, limit], [row - 0.14, row + 0.11], color=style.INK, lw=2, zorder=4)
    far = f", {bar.margin}" if bar.margin else ""
    text = style.cut(f"{bar.figure.text}{far}", 52)
    panel.text(0, row + 0.16, text, va="top", size=style.SMALL)
    side = "at least" if bar.at_least else "at most"
    panel.text(1, row + 0.16, f"{side} {bar.limit.text}", va="top", ha="right", size=style.SMALL)


def candidates(chart: Candidates) -> Any:
    """Draw a panel per figure, in which every model has a row."""
    rows = list(reversed(chart.rows))
    panels = [
        (axis, name)
        for axis, name in (
            (chart.size, "size"),
            (chart.latency, "latency"),
            (chart.metric, "metric"),
        )
        if axis is not None
    ]
    height = 1.0 + 0.42 * len(rows)
    drawn = style.figure(chart.title, width=1.7 + 1.4 * len(panels), height=height)
    axes = drawn.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for panel, (axis, name) in zip(axes, panels, strict=True):
        style.bare(panel)
        panel.set_xticks([])
        panel.set_title(axis.label, loc="left", size=style.SMALL, color=style.FAINT)
        readings = [getattr(row, name) for row in rows]
        (_dots if name == "metric" else _lengths)(panel, axis, rows, readings)
    axes[0].set_yticks(range(len(rows)), [style.cut(row.model, 20) for row in rows])
    for tick, row in zip(axes[0].get_yticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if row.ships else "normal")
    axes[0].set_ylim(-0.6, len(rows) - 0.4)
    return drawn


def _shade(row: CandidateRow) -> str:
    if row.is_reference:
        return style.FAINT
    return style.BLUE if row.ships else style.SKY


def _lengths(
    panel: Any, axis: Axis, rows: list[CandidateRow], readings: list[Reading | None]
) -> None:
    """Draw readings as bars from zero."""
    top = max(reading.value for reading in readings if reading is not None) * axis.factor
    for at, (row, reading) in enumerate(zip(rows, readings, strict=True)):
        if reading is None:
            panel.text(0, at, "not measured", va="center", size=style.SMALL, color=style.FAINT)
            continue
        value = reading.value * axis.factor
        panel.barh(at, value, 0.55, color=_shade(row))
        text = f"~{reading.text}" if reading.estimated else reading.text
        panel.text(value + 0.03 * top, at, text, va="center", size=style.SMALL)
    panel.set_xlim(0, 1.75 * top)


def _dots(panel: Any, axis: Axis, rows: list[CandidateRow], readings: list[Reading | None]) -> None:
    """Draw readings as points with their intervals."""
    low, high = style.span([r for r in readings if r is not None], axis.factor)
    for at, (row, reading) in enumerate(zip(rows, readings, strict=True)):
        if reading is None:
            panel.text(low, at, "not measured", va="center", size=style.SMALL, color=style.FAINT)
            continue
        color = _shade(row)
        if (interval := style.ends(reading, axis, low, high)) is not None:
            panel.plot(interval, [at, at], color=color, lw=2, alpha=0.6)
        panel.plot([reading.value * axis.factor], [at], "o", color=color, ms=6)
        panel.text(high, at, f"  {reading.text}", va="center", size=style.SMALL)
    panel.set_xlim(low, high + 0.62 * (high - low))


def layers(chart: Layers) -> Any:
    """Draw a bar per layer, in execution order; where error begins it is red and named."""
    named = _named(chart)
    drawn = style.figure(chart.title, height=style.HEIGHT + 0.18 * len(named))
    panel, key = drawn.subplots(2, 1, height_ratios=(2.6, 0.16 * len(named) + 0.01))
    style.bare(panel, "left", "bottom")
    style.label(panel, chart.x, chart.y)
    heights = [bar.sqnr or 0.0 for bar in chart.bars]
    for at, bar in enumerate(chart.bars):
        if bar.sqnr is not None:
            panel.bar(at, bar.sqnr, 0.8, color=style.VERMILLION if bar.falls else style.BLUE)
    top = max(1.0, *heights)
    panel.set_xlim(-0.7, len(chart.bars) - 0.3)
    panel.set_ylim(min(0.0, *heights), 1.1 * top)
    step = max(1, -(-len(chart.bars) // 10))
    panel.set_xticks(range(0, len(chart.bars), step), range(1, len(chart.bars) + 1, step))
    key.set_axis_off()
    key.set_ylim(len(named), 0)
    for row, (at, bar) in enumerate(named):
        letter, color = "abc"[row], style.VERMILLION if bar.falls else style.INK
        place = (at, max(heights[at], 0.0) + 0.02 * top)
        panel.text(*place, letter, ha="center", color=color, weight="bold", size=style.SMALL)
        text = style.cut(f"{letter}  {bar.operator} {bar.name}, {bar.text}{_said(bar)}", 62)
        line = key.text(0, row + 0.5, text, color=color, size=style.SMALL, va="center")
        line.set_in_layout(False)
    return drawn


def _said(bar: LayerBar) -> str:
    if bar.first:
        return ": falls here first"
    return f": adds {100 * bar.added:.2g} %" if bar.added else ""


def _named(chart: Layers) -> list[tuple[int, LayerBar]]:
    """Return the layers that are named: where error begins, then those that add most noise."""
    known = [(at, bar) for at, bar in enumerate(chart.bars) if bar.sqnr is not None]
    known.sort(key=lambda one: (not one[1].first, -(one[1].added or 0.0), one[0]))
    return known[:LAYERS_NAMED]
