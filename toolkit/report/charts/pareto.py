"""Bytes against the metric: which models nothing smaller is as good as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
)
from edgekit.report.charts.frame import Chart, ModelMark
from edgekit.report.charts.run import Model, Run
from edgekit.types import Status


@dataclass(frozen=True, kw_only=True)
class ParetoPoint(ModelMark):
    """A model by its size and its metric.

    ``dominated_by`` is one that is no larger and no worse, and better in one of the two; empty
    where there is none.
    """

    size: Reading
    metric: Reading
    dominated_by: str = ""


@dataclass(frozen=True)
class Pareto(Chart):
    """Bytes against the metric; ``front`` are the models that nothing dominates, smallest first."""

    x: Axis
    y: Axis
    points: tuple[ParetoPoint, ...]
    front: tuple[str, ...]
    higher_is_better: bool = True
    kind: str = "pareto"


def pareto(run: Run) -> Pareto | Absent:
    """Draw every file that has a metric; the reference, which ships nowhere, dominates nothing."""
    title = f"Size against {run.metric}" if run.metric else "Size against accuracy"
    readings = {m.id: metric_reading(m.metric, run.bounded) for m in run.models if m.bytes}
    rivals = [m for m in run.models if readings.get(m.id) and not m.is_reference]
    if not rivals:
        return Absent(title, _why(run))
    points = [
        _point(model, reading, rivals, run)
        for model in run.models
        if (reading := readings.get(model.id)) is not None
    ]
    front = [p for p in points if not p.dominated_by and not p.is_reference]
    front.sort(key=lambda point: (point.size.value, point.model))
    return Pareto(
        title,
        _text(run, rivals),
        size_axis("file size", (point.size.value for point in points)),
        metric_axis(run.metric, run.bounded),
        tuple(points),
        tuple(point.model for point in front),
        run.higher_is_better,
    )


def _why(run: Run) -> str:
    """Say why no file has a metric."""
    known = [m.metric.reason for m in run.candidates if m.metric is not None and m.metric.reason]
    return known[0] if known else "no metric was measured"


def _value(model: Model) -> float | None:
    return model.metric.value if model.metric is not None else None


def _point(model: Model, metric: Reading, rivals: Sequence[Model], run: Run) -> ParetoPoint:
    better = [other for other in rivals if _dominates(other, model, run.higher_is_better)]
    best = min(better, key=lambda other: (other.bytes, other.id), default=None)
    return ParetoPoint(
        model=model.id,
        status=model.status,
        ships=model.ships,
        is_reference=model.is_reference,
        size=size_reading(model.bytes),
        metric=metric,
        dominated_by=best.id if best is not None and not model.is_reference else "",
    )


def _dominates(model: Model, other: Model, higher_is_better: bool) -> bool:
    """Tell whether one is no larger and no worse than the other, and better in one of the two."""
    mine, its = _value(model), _value(other)
    if model.id == other.id or mine is None or its is None:
        return False
    gain = mine - its if higher_is_better else its - mine
    return model.bytes <= other.bytes and gain >= 0 and (model.bytes < other.bytes or gain > 0)


def _text(run: Run, rivals: Sequence[Model]) -> str:
    """State which is the smallest of which no loss was seen, or what the smallest loses.

    One file alone is the smallest of nothing.
    """
    alone = len(rivals) == 1
    sound = [model for model in rivals if model.status is not Status.INCOMPATIBLE] or list(rivals)
    drops = {m.id: m.drop.value for m in sound if m.drop is not None and m.drop.value is not None}
    known = [model for model in sound if model.id in drops]
    small = min(known or sound, key=lambda model: (model.bytes, model.id))
    if not known:
        return f"{small.id}{'' if alone else ' is the smallest'}: {_figures(small, run)}."
    if kept := [model for model in known if drops[model.id] <= 0]:
        small = min(kept, key=lambda model: (model.bytes, model.id))
        figures = f"{_figures(small, run)}{_at_most(small, run)}"
        if alone:
            return f"No loss of {small.id} was seen: {figures}."
        return f"{small.id} is the smallest of which no loss was seen: {figures}."
    if alone:
        return f"{_measured(small, run)}."
    return f"{'; '.join(_losses(small, known, run))}."


def _losses(small: Model, known: Sequence[Model], run: Run) -> Iterator[str]:
    """Tell what the smallest file loses, and which loses least, where that is proven."""
    proven_all = all(proven.above(model.drop, 0.0) for model in known)
    every = "Every file loses" if proven_all else "A loss was measured of every file"
    yield f"{every}: {small.id}, the smallest, {_lost(small, run)}"
    if (least := proven.loses_least(known)) is not None:
        if least is not small:
            yield f"{least.id} least, {_lost(least, run)}"
    else:
        yield "which loses least is not proven"


def _measured(model: Model, run: Run) -> str:
    """Say what a model loses, or that a loss was measured, where its interval holds 0 too."""
    if proven.above(model.drop, 0.0):
        return f"{model.id} loses {_lost(model, run)}"
    return f"A loss of {model.id} was measured that is not proven, {_lost(model, run)}"


def _figures(model: Model, run: Run) -> str:
    return f"{words.size(model.bytes)}, {words.value(model.metric, run.bounded)}"


def _lost(model: Model, run: Run) -> str:
    unit = " points" if run.bounded else ""
    lost = f"{words.points(model.drop, run.bounded)}{unit}{_at_most(model, run)}"
    return f"{lost} at {words.size(model.bytes)}"


def _at_most(model: Model, run: Run) -> str:
    """Say what the loss is at most, by its interval."""
    drop = model.drop
    if drop is None or drop.high is None or drop.level is None or drop.high <= 0:
        return ""
    high = f"{100 * drop.high:.2f} points" if run.bounded else words.number(drop.high, 3)
    return f" (at most {high} with {100 * drop.level:g} % confidence)"
