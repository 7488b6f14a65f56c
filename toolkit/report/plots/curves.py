"""Step curves: the distribution of latencies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgekit.report.charts import LatencyCurves, ModelCurves, TrainingCurves
from edgekit.report.plots import style

# More than so many are named without their medians.
MOST_WITH_MEDIANS = 6


def latency(chart: LatencyCurves) -> Any:
    """Draw a step curve per launch, in its model's colour, and the models beside, fastest first."""
    drawn = style.figure(chart.title, width=style.WIDTH + 0.6)
    panel = drawn.subplots()
    style.bare(panel, "left", "bottom")
    style.label(panel, chart.x, chart.y)
    if chart.x.logarithmic:
        panel.set_xscale("log")
    for model, color in _colored(chart):
        for launch in model.launches:
            times = [time * chart.x.factor for time in (launch.times[0], *launch.times)]
            shares = [share * chart.y.factor for share in (0.0, *launch.shares)]
            panel.step(times, shares, where="post", color=color, lw=1.1, alpha=0.75)
    first = min(launch.times[0] for model in chart.models for launch in model.launches)
    room = 0.8 if chart.x.logarithmic else 0.98
    last = max(model.shown_to for model in chart.models)
    panel.set_xlim(room * first * chart.x.factor, last * chart.x.factor)
    panel.set_ylim(0, 1.02 * chart.y.factor)
    _ticks(panel, chart)
    _key(panel, chart)
    return drawn


def training(chart: TrainingCurves) -> Any:
    """Draw a panel per figure over the epochs, training and validation items in one."""
    height = 1.5 * len(chart.panels) + 1.2
    drawn = style.figure(chart.title, height=height)
    panels = drawn.subplots(len(chart.panels), sharex=True, squeeze=False)[:, 0]
    for panel, figures in zip(panels, chart.panels, strict=True):
        style.bare(panel, "left", "bottom")
        panel.set_ylabel(style.cut(figures.name, 20))
        sides = (("training", figures.train), ("validation", figures.validation))
        for (side, values), color in zip(sides, style.SERIES, strict=False):
            points = [(at, v) for at, v in enumerate(values, 1) if v is not None]
            if points:
                x, y = zip(*points, strict=True)
                panel.plot(x, y, color=color, lw=1.4, marker="o", ms=2.5, label=side)
        for number, epoch in enumerate(chart.stages[1:], 2):
            panel.axvline(epoch - 0.5, color=style.FAINT, lw=0.8, ls=":")
            place = panel.get_xaxis_transform()
            panel.text(epoch - 0.4, 1, f"stage {number}", transform=place, fontsize=style.SMALL)
    panels[0].legend(frameon=False, fontsize=style.SMALL)
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    style.label(panels[-1], chart.x, None)
    return drawn


def _colored(chart: LatencyCurves) -> Iterator[tuple[ModelCurves, str]]:
    """Yield the models with their colours, the reference grey."""
    number = 0
    for model in chart.models:
        if model.is_reference:
            yield model, style.FAINT
            continue
        yield model, style.SERIES[number % len(style.SERIES)]
        number += 1


def _key(panel: Any, chart: LatencyCurves) -> None:
    """Name the models beside the panel, in the order of their curves."""
    ranked = sorted(_colored(chart), key=lambda one: _middle(one[0]))
    height = min(0.17, 1 / max(1, len(ranked)))
    for row, (model, color) in enumerate(ranked):
        at = 1 - row * height
        name = style.cut(model.model, 24)
        place = {"transform": panel.transAxes, "va": "top", "color": color, "size": style.SMALL}
        panel.text(1.03, at, name, weight="bold", **place)
        if model.median is not None and len(ranked) <= MOST_WITH_MEDIANS:
            panel.text(1.03, at - 0.065, f"median {model.median.text}", **place)


def _middle(model: ModelCurves) -> float:
    if model.median is not None:
        return model.median.value
    times = model.launches[0].times
    return times[len(times) // 2]


def _ticks(panel: Any, chart: LatencyCurves) -> None:
    """Write times in full: 200, not 2 x 10^2."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    if chart.x.logarithmic:
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
