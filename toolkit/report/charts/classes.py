"""What is taken for what, and how far confidence can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.report import words
from edgekit.report.charts.axis import Absent, Axis
from edgekit.report.charts.frame import ModelChart
from edgekit.report.charts.run import Model, Run
from edgekit.types.details import Confusion, Reliability, ReliabilityBin


@dataclass(frozen=True)
class ConfusionMatrix(ModelChart):
    """How often each label was answered as which: ``counts`` and their ``shares`` of the label."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    shares: tuple[tuple[float, ...], ...]
    x: Axis
    y: Axis
    kind: str = "confusion"


@dataclass(frozen=True)
class ReliabilityBar:
    """The items of one range of confidence: the mean of it, and the share that is right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float
    text: str


@dataclass(frozen=True)
class ReliabilityDiagram(ModelChart):
    """Confidence against accuracy: on the diagonal, confidence is what it says."""

    calibration_error: float | None
    bars: tuple[ReliabilityBar, ...]
    x: Axis
    y: Axis
    kind: str = "reliability"


def confusion(run: Run, model: Model) -> ConfusionMatrix | Absent:
    """Draw the confusion matrix of a model, where labels are classes."""
    title = f"Confusion: {model.id}"
    found = run.details_of(model).confusion
    if found is None:
        return Absent(title, run.why_absent(model, "confusion", "its labels are no classes"))
    return ConfusionMatrix(
        title,
        _confused(model, found),
        model.id,
        found.labels,
        found.matrix,
        tuple(tuple(n / max(1, sum(row)) for n in row) for row in found.matrix),
        Axis("answer"),
        Axis("label"),
    )


def _confused(model: Model, found: Confusion) -> str:
    """State which class is most often taken for another."""
    wrong = [
        (count, label, answer)
        for label, row in enumerate(found.matrix)
        for answer, count in enumerate(row)
        if label != answer and count
    ]
    items = sum(map(sum, found.matrix))
    if not wrong:
        return f"{model.id} confuses no classes: all {items:,} items are right."
    count, label, answer = max(wrong, key=lambda pair: (pair[0], -pair[1], -pair[2]))
    row = sum(found.matrix[label])
    pair = f"{found.labels[label]} is taken for {found.labels[answer]} most often"
    all_wrong = sum(count for count, _, _ in wrong)
    share = words.share(count / row)
    return f"{pair}: {count:,} of {row:,} ({share}); {all_wrong:,} of {items:,} items are wrong."


def reliability(run: Run, model: Model) -> ReliabilityDiagram | Absent:
    """Draw how often answers are right against how confident they are."""
    title = f"Reliability: {model.id}"
    found = run.details_of(model).reliability
    if found is None:
        why = "its outputs are no probabilities of classes"
        return Absent(title, run.why_absent(model, "reliability", why))
    bars = tuple(bar for each in found.bins if (bar := _bar(each)) is not None)
    return ReliabilityDiagram(
        title,
        _calibrated(model, found, bars),
        model.id,
        found.calibration_error.value,
        bars,
        Axis("confidence (%)", "%", 100.0),
        Axis("items that are right (%)", "%", 100.0),
    )


def _bar(found: ReliabilityBin) -> ReliabilityBar | None:
    if not found.count or found.confidence is None or found.accuracy is None:
        return None
    said, right = words.share(found.confidence), words.share(found.accuracy)
    text = f"{found.count:,} items at {said} confidence, {right} right"
    return ReliabilityBar(
        found.low, found.high, found.count, found.confidence, found.accuracy, text
    )


def _calibrated(model: Model, found: Reliability, bars: Sequence[ReliabilityBar]) -> str:
    """State whether confidence is too high or too low, and by how much."""
    error = found.calibration_error.value
    items = sum(bar.count for bar in bars)
    if error is None or not items:
        return f"How far {model.id}'s confidence can be believed is not known."
    surplus = sum(bar.count * (bar.confidence - bar.accuracy) for bar in bars) / items
    size = f"{100 * abs(surplus):.1f} points"
    if abs(surplus) < 0.0005:
        word = "neither too sure nor too unsure on average"
    else:
        word = f"{'too sure' if surplus > 0 else 'too unsure'} by {size} on average"
    return f"{model.id} is {word}; the expected calibration error is {100 * error:.1f} %."
