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
    matrix = run.details_of(model).confusion
    if matrix is None:
        return Absent(title, run.why_absent(model, "confusion", "its labels are not classes"))
    return ConfusionMatrix(
        title,
        _confused(model, matrix),
        model.id,
        matrix.labels,
        matrix.matrix,
        tuple(tuple(n / max(1, sum(row)) for n in row) for row in matrix.matrix),
        Axis("answer"),
        Axis("label"),
    )


def _confused(model: Model, matrix: Confusion) -> str:
    """State which class is most often taken for another."""
    wrong = [
        (count, label, answer)
        for label, row in enumerate(matrix.matrix)
        for answer, count in enumerate(row)
        if label != answer and count
    ]
    items = sum(map(sum, matrix.matrix))
    if not wrong:
        return f"{model.id} confuses no classes: all {items:,} items are right."
    count, label, answer = max(wrong, key=lambda pair: (pair[0], -pair[1], -pair[2]))
    row = sum(matrix.matrix[label])
    pair = f"{matrix.labels[label]} is taken for {matrix.labels[answer]} most often"
    all_wrong = sum(count for count, _, _ in wrong)
    share = words.share(count / row)
    return f"{pair}: {count:,} of {row:,} ({share}); {all_wrong:,} of {items:,} items are wrong."


def reliability(run: Run, model: Model) -> ReliabilityDiagram | Absent:
    """Draw how often answers are right against how confident they are."""
    title = f"Reliability: {model.id}"
    bins = run.details_of(model).reliability
    if bins is None:
        why = "its outputs are not probabilities of classes"
        return Absent(title, run.why_absent(model, "reliability", why))
    bars = tuple(bar for each in bins.bins if (bar := _bar(each)) is not None)
    return ReliabilityDiagram(
        title,
        _calibrated(model, bins, bars),
        model.id,
        bins.calibration_error.value,
        bars,
        Axis("confidence (%)", "%", 100.0),
        Axis("items that are right (%)", "%", 100.0),
    )


def _bar(reliability_bin: ReliabilityBin) -> ReliabilityBar | None:
    if (
        not reliability_bin.count
        or reliability_bin.confidence is None
        or reliability_bin.accuracy is None
    ):
        return None
    said, right = words.share(reliability_bin.confidence), words.share(reliability_bin.accuracy)
    text = f"{reliability_bin.count:,} items at {said} confidence, {right} right"
    return ReliabilityBar(
        reliability_bin.low,
        reliability_bin.high,
        reliability_bin.count,
        reliability_bin.confidence,
        reliability_bin.accuracy,
        text,
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
