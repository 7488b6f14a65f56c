"""Size, latency and metric of every model side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgekit.report import words
from edgekit.report.charts import proven
from edgekit.report.charts.axis import (
    Absent,
    Axis,
    Reading,
    metric_axis,
    metric_reading,
    size_axis,
    size_reading,
    time_axis,
    time_reading,
)
from edgekit.report.charts.frame import Chart, ModelMark
from edgekit.report.charts.run import Model, Run

TITLE = "Size, latency and accuracy"


@dataclass(frozen=True, kw_only=True)
class CandidateRow(ModelMark):
    """A model's readings; what was not measured is absent."""

    size: Reading | None
    latency: Reading | None
    metric: Reading | None


@dataclass(frozen=True)
class Candidates(Chart):
    """A row per model, and an axis per figure; one that no model has is None."""

    rows: tuple[CandidateRow, ...]
    size: Axis | None
    latency: Axis | None
    metric: Axis | None
    kind: str = "candidates"


def candidates(run: Run) -> Candidates | Absent:
    """Draw every model of which there is a file, the reference first."""
    rows = tuple(_row(model, run) for model in run.models if model.bytes)
    if not rows:
        return Absent(TITLE, "there is no file")

    def axis(make: Callable[[list[float]], Axis], name: str) -> Axis | None:
        values = [reading.value for row in rows if (reading := getattr(row, name)) is not None]
        return make(values) if values else None

    metric = run.metric or "metric"
    named = f"Size, latency and {metric}" if run.metric else "Size and latency"
    return Candidates(
        named,
        _text(run),
        rows,
        axis(lambda values: size_axis("file size", values), "size"),
        axis(lambda values: time_axis("median latency", values), "latency"),
        axis(lambda _: metric_axis(metric, run.bounded), "metric"),
    )


def _row(model: Model, run: Run) -> CandidateRow:
    median = model.latency.p50 if model.latency is not None else None
    return CandidateRow(
        model=model.id,
        status=model.status,
        ships=model.ships,
        is_reference=model.is_reference,
        size=size_reading(model.bytes),
        latency=time_reading(median),
        metric=metric_reading(model.metric, run.bounded),
    )


def _text(run: Run) -> str:
    """Set the smallest model beside the largest: how much smaller, faster and worse it is."""
    ranked = sorted(run.candidates, key=lambda model: (model.bytes, model.id))
    if not ranked:
        return "Only the reference is there."
    small, large = ranked[0], ranked[-1]
    if small.bytes == large.bytes:
        return f"{small.id}: {_figures(small, run)}."
    text = f"{small.id} is {_smaller(small.bytes, large.bytes)} than {large.id}"
    if (speed := _speed(small, large)) is not None:
        text += f" and {speed}"
    if lost := _lost(small, run):
        text += f"; {lost}"
    return f"{text}."


def _lost(model: Model, run: Run) -> str:
    """Say what a model loses: that it does is said where the interval shows it."""
    if not run.metric or model.drop is None or model.drop.value is None:
        return ""
    points = f"{words.points(model.drop, run.bounded)}{' points' if run.bounded else ''}"
    if proven.above(model.drop, 0.0):
        return f"it loses {points} of {run.metric}"
    if model.drop.value > 0:
        return f"its {run.metric} is {points} worse, which is not proven"
    return f"no loss of {run.metric} was seen"


def _figures(model: Model, run: Run) -> str:
    parts = [words.size(model.bytes)]
    if model.latency is not None and model.latency.p50.value is not None:
        parts.append(f"median {words.duration(model.latency.p50)}")
    if model.metric is not None and model.metric.value is not None:
        parts.append(words.value(model.metric, run.bounded))
    return ", ".join(parts)


def _smaller(small: int, large: int) -> str:
    times = large / small
    return f"{times:.1f} times smaller" if times >= 2 else f"{words.share(1 - 1 / times)} smaller"


def _speed(small: Model, large: Model) -> str | None:
    """Say how much faster, where that is proven."""
    mine = small.latency.p50 if small.latency else None
    its = large.latency.p50 if large.latency else None
    if mine is None or its is None or not mine.value or not its.value:
        return None
    if mine.low is None or its.low is None:
        return None
    if proven.faster(small, large):
        return f"{its.value / mine.value:.1f} times faster"
    if proven.faster(large, small):
        return f"{mine.value / its.value:.1f} times slower"
    return "not proven faster or slower"
