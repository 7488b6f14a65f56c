"""Trends of past runs: a table with sparklines, lines on steps, JSON, and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import HistoryError
from edgekit.history import Commit, Trend
from edgekit.report import words
from edgekit.report.document import plain
from edgekit.report.grid import Row, grid
from edgekit.statistics import Step
from edgekit.types import Json, Measurement

SCHEMA_VERSION = 1
LEVELS = "▁▂▃▄▅▆▇█"
SPARKS = 24
HEADINGS = (
    ("figure", "of"),
    ("trend", "oldest to newest"),
    ("last", "95 % interval"),
    ("change", "to the run before"),
    ("change", "to the first run"),
    ("runs", "steps"),
)
# What is left out where a terminal is too narrow for all: the trend, then the change since ever.
DROP = ("trend", 4)
# Titles of figures on the picture; a metric has its own name.
TITLES = {"latency": "latency, times the SavedModel's", "sqnr": "SQNR (dB)"}
MISSING = "steps: unavailable, because ruptures is not installed: pip install 'edgekit[history]'"

Line = tuple[str, str]
Between = Mapping[tuple[str, str], Sequence[Commit]]


def to_json(trends: Sequence[Trend], between: Between) -> dict[str, Json]:
    """Return every trend with its points and steps, and the commits that a step may come from."""
    documents = []
    for trend in trends:
        document = plain(trend)
        for step, of_step in zip(document["steps"] or (), trend.steps or (), strict=True):
            step["run"] = trend.points[of_step.at].run
            step["commits"] = plain(tuple(between.get(_ends(trend, of_step), ())))
        documents.append(document)
    return {"schema_version": SCHEMA_VERSION, "trends": documents}


def table(trends: Sequence[Trend]) -> object:
    """Build the table: a row per figure."""
    return grid(HEADINGS, map(_row, trends), DROP)


def _row(trend: Trend) -> Row:
    last = trend.points[-1].figure
    values = [point.figure.value or 0.0 for point in trend.points]
    previous = change(trend, values[-2], values[-1]) if len(values) > 1 else words.NONE
    first = change(trend, values[0], values[-1]) if len(values) > 1 else words.NONE
    of = f"{trend.model} {trend.subject}"
    steps = "" if trend.steps is None else str(len(trend.steps))
    return Row(
        (
            (trend.name, of),
            (sparkline(values), ""),
            (shown(trend, values[-1]), _interval(trend, last)),
            (previous, ""),
            (first, ""),
            (str(len(values)), steps),
        )
    )


def sparkline(values: Sequence[float]) -> str:
    """Draw the newest values as blocks, the smallest as the lowest; equal ones in the middle."""
    kept = values[-SPARKS:]
    low, high = min(kept), max(kept)
    if low == high:
        return LEVELS[3] * len(kept)
    top = len(LEVELS) - 1
    return "".join(LEVELS[round((value - low) / (high - low) * top)] for value in kept)


def shown(trend: Trend, value: float) -> str:
    """Format a value of a trend in its unit."""
    if trend.name == "latency":
        return f"x{value:.3g}"
    if trend.unit == "ns":
        return words.duration(Measurement(value, "ns"))
    if trend.unit == "byte":
        return words.exact(value) if trend.name != "peak_memory" else words.size(value)
    return f"{value * 100:.2f} %" if trend.share else words.number(value, 4)


def change(trend: Trend, before: float, after: float) -> str:
    """Format a change: in points where the figure is a share, else in per cent."""
    if before == after:
        return "="
    if trend.share:
        return f"{(after - before) * 100:+.2f} points"
    if before == 0 or before * after < 0:
        return f"{after - before:+.4g}"
    share = after / before - 1
    return f"{share:+.1%}".replace("%", " %") if abs(share) >= 0.0005 else f"{share * 100:+.2g} %"


def _interval(trend: Trend, figure: Measurement) -> str:
    if figure.low is None or figure.high is None:
        return ""
    scale = {"ns": 1e-6 if (figure.value or 0) >= 1e6 else 1e-3}.get(trend.unit, 1.0)
    scale = 100.0 if trend.share else scale
    return f"[{figure.low * scale:.4g}, {figure.high * scale:.4g}]"


def lines(series: Sequence[Trend], between: Between) -> Iterator[Line]:
    """Yield each step with its run and its commits, then what to know of the machines."""
    for trend in series:
        for step in trend.steps or ():
            yield _step(trend, step, between.get(_ends(trend, step), ()))
    if any(trend.steps is None for trend in series):
        yield MISSING, "yellow"
    machines = dict.fromkeys(trend.machine for trend in series if trend.machine)
    if len(machines) > 1:
        yield f"times and memory by machine: {'; '.join(machines)}", "dim"


def _ends(trend: Trend, step: Step) -> tuple[str, str]:
    """Return the commits of the run before a step, and of its own."""
    return trend.points[step.at - 1].commit, trend.points[step.at].commit


def _step(trend: Trend, step: Step, commits: Sequence[Commit]) -> Line:
    point, before = trend.points[step.at], trend.points[step.at - 1]
    went = f"{shown(trend, step.before)} to {shown(trend, step.after)}"
    text = f"{trend.model} {trend.subject} {trend.name}: {went}"
    text += f" ({change(trend, step.before, step.after)}) in run {point.run}"
    if before.candidate != point.candidate:
        text += f", which ships {point.candidate} instead of {before.candidate}"
    if commits:
        newest = commits[0]
        text += f", commit {newest.hash} {newest.subject[:60]!r}"
        if len(commits) > 1:
            text += f" or one of the {len(commits) - 1} before it"
    elif point.commit:
        text += f", commit {point.commit[:9]}"
    return text, "red" if trend.worse(step.before, step.after) else "green"


def draw(series: Sequence[Trend], path: Path) -> None:
    """Draw every trend into a picture, PNG or SVG by its name: a panel each, steps marked.

    Raises :class:`HistoryError` without matplotlib, and where the name is of another kind.
    """
    if path.suffix.lower() not in (".png", ".svg"):
        message = f"{path} is neither .png nor .svg"
        raise HistoryError("EK-HISTORY-005", message, "name the picture trend.png or trend.svg")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        hint = "install it: pip install 'edgekit[history]'"
        message = "the picture needs matplotlib, which is not installed"
        raise HistoryError("EK-HISTORY-004", message, hint) from error
    from edgekit.store import writing

    columns = 2 if len(series) > 1 else 1
    height = -(-len(series) // columns)
    figure = Figure(figsize=(6.4 * columns, 2.5 * height), layout="constrained")
    panels = figure.subplots(height, columns, squeeze=False).flat
    for trend, panel in zip(series, panels, strict=False):
        _panel(trend, panel)
    for panel in list(panels):
        panel.axis("off")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)


INK, FAINT, WORSE, BETTER = "#24507a", "#9db7cf", "#b3261e", "#2e7d32"


def _panel(trend: Trend, panel: Any) -> None:
    """Draw one trend: the line, the intervals, and each step with its change."""
    scale, unit = _axis(trend)
    values = [(point.figure.value or 0.0) * scale for point in trend.points]
    places = range(len(values))
    bounds = [(point.figure.low, point.figure.high) for point in trend.points]
    for at, (low, high) in zip(places, bounds, strict=True):
        if low is not None and high is not None:
            panel.plot([at, at], [low * scale, high * scale], color=FAINT, linewidth=2, zorder=1)
    panel.plot(places, values, color=INK, marker="o", markersize=3.5, linewidth=1.2, zorder=2)
    panel.margins(y=0.12)
    low, high = panel.get_ylim()
    # Room for the notes above the line.
    panel.set_ylim(low, high + 0.25 * (high - low))
    above = panel.get_xaxis_transform()
    for step in trend.steps or ():
        color = WORSE if trend.worse(step.before, step.after) else BETTER
        panel.axvline(step.at - 0.5, color=color, linewidth=1, linestyle="--", zorder=0)
        commit = trend.points[step.at].commit[:7]
        note = f" {change(trend, step.before, step.after)}\n {commit}"
        panel.text(step.at - 0.5, 1.0, note, color=color, fontsize=8, va="top", transform=above)
    title = f"{trend.model} {trend.subject}: {TITLES.get(trend.name, trend.name)}"
    panel.set_title(title, fontsize=9, loc="left")
    panel.set_ylabel(unit, fontsize=8)
    ticks = sorted({0, len(values) // 2, len(values) - 1})
    panel.set_xticks(ticks, [trend.points[at].date[:10] or str(at) for at in ticks])
    panel.tick_params(labelsize=8)
    panel.ticklabel_format(axis="y", useOffset=False, style="plain")
    panel.spines[["top", "right"]].set_visible(False)


def _axis(trend: Trend) -> tuple[float, str]:
    """Return the factor and the unit of a trend's axis."""
    largest = max(abs(point.figure.value or 0.0) for point in trend.points)
    if trend.unit == "ns":
        return (1e-6, "ms") if largest >= 1e6 else (1e-3, "µs")
    if trend.unit == "byte":
        return (1e-6, "MB") if largest >= 1e6 else (1e-3, "kB")
    if trend.share:
        return 100.0, "points" if trend.name.endswith(" drop") else "%"
    return 1.0, "" if trend.unit == "1" else trend.unit
