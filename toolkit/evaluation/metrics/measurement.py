"""A metric of one model, or of two on the same items, with its interval."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit import statistics
from edgekit.errors import DataError
from edgekit.evaluation.parity import refuse_non_finite
from edgekit.types import Measurement, PairedCounts

from . import classes, detection, masks, reconstruction, regression, texts, vectors
from . import labels as several
from .metric import Array, Floats, Index, Metric, Reads, Statistic, Undefined

# A sum of a thousand float32 products is off by the square root of their number in roundings.
ULPS = 32
# Sums of averages are off by so much at most.
ROUNDING = 1e-9
ALIKE = "Clopper-Pearson, of items that differ"
UNDEFINED = "it is not a number on these items"


def _as_they_are(name: str, y_true: Array, outputs: tuple[Array, ...]) -> tuple[Array, list[Array]]:
    del name
    return y_true, [np.asarray(one) for one in outputs]


READERS: dict[Reads, Callable[[str, Array, tuple[Array, ...]], tuple[Any, list[Any]]]] = {
    "classes": classes.read,
    "labels": several.read,
    "masks": masks.read,
    "vectors": vectors.read,
    "numbers": regression.read,
    "errors": reconstruction.read,
    "boxes": detection.read,
    "words": texts.words,
    "characters": texts.characters,
    "anything": _as_they_are,
}


def read(metric: Metric, y_true: Array | None, *outputs: Array) -> tuple[Any, list[Any]]:
    """Return labels and outputs as the metric reads them, decided on all of them at once.

    Of two outputs the first is the reference's. Raises :class:`RunnerError` where an output is NaN
    or infinite, :class:`DataError` where labels and outputs do not fit the metric or each other.
    """
    whose = ("the model's",) if len(outputs) == 1 else ("the reference's", "the candidate's")
    for one, name in zip(outputs, whose, strict=True):
        if one.dtype.kind != "U":
            refuse_non_finite(one, name)
    n = len(outputs[0])
    if not metric.takes_labels:
        y_true = np.zeros(n, np.int64)
    if y_true is None:
        raise DataError("EK-DATA-005", f"there are no labels, and {metric.name} needs them")
    counts = [len(y_true), *map(len, outputs)]
    if n == 0 or len(set(counts)) > 1:
        message = f"{metric.name}: {counts[0]} labels for {' and '.join(map(str, counts[1:]))}"
        raise DataError("EK-DATA-007", f"{message} outputs", "there is one label per output")
    if y_true.dtype.kind == "f" and not np.isfinite(y_true).all():
        finite = np.isfinite(y_true).reshape(n, -1).all(axis=1)
        raise DataError("EK-DATA-008", f"the label of item {int(np.argmin(finite))} is not finite")
    return READERS[metric.reads](metric.name, y_true, outputs)


def value(metric: Metric, y_true: Array | None, y_pred: Array) -> float | None:
    """Return the metric alone, without an interval; nothing where these items do not define it."""
    labels, (scores,) = read(metric, y_true, y_pred)
    per_item = _per_item(metric, labels, scores)
    if per_item is not None:
        return float(per_item.mean())
    try:
        result = _statistic(metric, labels, scores)(np.arange(len(y_pred)))
    except Undefined:
        return None
    return result if np.isfinite(result) else None


def measure(metric: Metric, y_true: Array | None, y_pred: Array) -> Measurement:
    """Return the metric of one model, with its 95 % interval.

    Shares of items: Wilson's; other per-item scores: BCa; metrics that do not decompose: bootstrap
    over items. Raises :class:`RunnerError` where an output is NaN or infinite, and
    :class:`DataError` where labels do not fit.
    """
    labels, (scores,) = read(metric, y_true, y_pred)
    return measure_read(metric, labels, scores)


def measure_read(metric: Metric, labels: Any, scores: Any) -> Measurement:
    """Return :func:`measure` of what :func:`read` gave, or of some items of it."""
    return _possible(metric, _measured(metric, labels, scores))


def _possible(metric: Metric, measured: Measurement) -> Measurement:
    """Return a measurement whose interval ends where the metric does, where nothing else bounds it:
    no error is below 0, no score of how well numbers agree is above 1.
    """
    if measured.value is None or metric.bounded or metric.reads == "anything":
        return measured
    if metric.direction == "lower" and measured.low is None:
        return dataclasses.replace(measured, low=0.0)
    if metric.direction == "higher" and measured.high is None:
        return dataclasses.replace(measured, high=1.0)
    return measured


def _measured(metric: Metric, labels: Any, scores: Any) -> Measurement:
    per_item = _per_item(metric, labels, scores)
    if per_item is None:
        value = _bootstrapped(metric, lambda: _statistic(metric, labels, scores), labels, (scores,))
        return _unbiased(value, metric.by_chance(labels, scores)) if metric.by_chance else value
    if _counted(metric, per_item):
        wilson = statistics.wilson(int(per_item.sum()), len(per_item))
        return wilson.measurement(metric.unit, "Wilson")
    return _mean(metric, per_item, "BCa bootstrap", lowest=0.0)


def right(metric: Metric, y_true: Array | None, y_pred: Array) -> Array | None:
    """Tell for each item whether it counts as right; None where items are not right or wrong.

    Raises as :func:`measure` does.
    """
    labels, (scores,) = read(metric, y_true, y_pred)
    per_item = _per_item(metric, labels, scores)
    return per_item == 1 if per_item is not None and _counted(metric, per_item) else None


def drop(
    metric: Metric, y_true: Array | None, reference: Array, candidate: Array
) -> tuple[Measurement, PairedCounts | None]:
    """Measure how much worse the candidate is on the same items: positive is worse, 95 % interval.

    Shares of items: Tango's paired score interval; other per-item scores: BCa on the differences;
    otherwise the bootstrap over items, paired. Equal outputs are no drop, whatever the items.
    Raises as :func:`measure` does.
    """
    labels, (left, right) = read(metric, y_true, reference, candidate)
    if np.array_equal(reference, candidate):
        return _no_drop(metric, labels, left)
    ours, theirs = _per_item(metric, labels, left), _per_item(metric, labels, right)
    if ours is None or theirs is None:

        def difference() -> Statistic:
            of_left, of_right = (_statistic(metric, labels, one) for one in (left, right))
            return lambda items: metric.sign * (of_left(items) - of_right(items))

        return _bootstrapped(metric, difference, labels, (left, right)), None
    lost = metric.sign * (ours - theirs)
    if _counted(metric, ours, theirs):
        counts = PairedCounts(len(lost), int(np.sum(lost > 0)), int(np.sum(lost < 0)))
        tango = statistics.tango(counts.lost, counts.gained, counts.n)
        return tango.measurement(metric.unit, "Tango paired score"), counts
    return _mean(metric, lost, "paired BCa", lowest=-1.0), None


def _mean(metric: Metric, scores: Floats, tool: str, lowest: float) -> Measurement:
    """Return the mean of scores per item; of a metric in 0..1 they lie within ``lowest`` to 1."""
    value, n = float(scores[0]), len(scores)
    if metric.bounded and np.ptp(scores) == 0 and lowest <= value <= 1:
        interval = statistics.constant_mean(value, n, low=lowest, high=1.0)
        return interval.measurement(metric.unit, ALIKE)
    return statistics.bca_mean(scores).measurement(metric.unit, tool)


def _no_drop(metric: Metric, labels: Any, scores: Any) -> tuple[Measurement, PairedCounts | None]:
    """Return the drop from outputs to the same outputs: none, where the metric is defined on
    them.
    """
    per_item, n = _per_item(metric, labels, scores), len(labels)
    if per_item is None:
        try:
            defined = bool(np.isfinite(_statistic(metric, labels, scores)(np.arange(n))))
        except Undefined as reason:
            return Measurement.unavailable(metric.unit, str(reason)), None
        if not defined:
            return Measurement.unavailable(metric.unit, UNDEFINED), None
    counts = None
    if per_item is not None and _counted(metric, per_item):
        counts = PairedCounts(n, 0, 0)
    same = Measurement(
        0.0, metric.unit, n=n, low=0.0, high=0.0, level=0.95, tool="the outputs are equal"
    )
    return same, counts


def floor(metric: Metric, y_true: Array | None, reference: Array, scale: float) -> float:
    """Return the smallest difference of an unbounded metric that float32 arithmetic can tell, in
    its unit.

    By how much the metric changes where every output is off by ``ULPS`` roundings of float32 at
    ``scale``, the largest absolute output. Near zero a share of the metric is less than that.
    """
    if metric.bounded or not np.isfinite(scale):
        return 0.0
    off = ULPS * float(np.finfo(np.float32).eps) * scale
    if metric.reads == "errors":
        return off**2
    base = value(metric, y_true, reference)
    if base is None:
        return 0.0
    raised = np.asarray(reference, np.float64) + off
    moved = [raised, raised - 2 * off]
    if np.min(reference) >= 0:
        moved = [np.maximum(one, 0) for one in moved]
    found = [value(metric, y_true, one) for one in moved]
    return max((abs(one - base) for one in found if one is not None), default=0.0)


def _per_item(metric: Metric, labels: Any, scores: Any) -> Floats | None:
    return metric.per_item(labels, scores) if metric.per_item else None


def _statistic(metric: Metric, labels: Any, scores: Any) -> Statistic:
    if metric.statistic is None:
        raise Undefined(f"{metric.name} has neither scores per item nor a statistic of all")
    return metric.statistic(labels, scores)


def _counted(metric: Metric, *scores: Floats) -> bool:
    """Tell whether the scores say right or wrong: a metric in 0..1, and every score at an end."""
    return metric.bounded and all(bool(((one == 0) | (one == 1)).all()) for one in scores)


def _bootstrapped(
    metric: Metric, make: Callable[[], Statistic], labels: Any, scores: tuple[Any, ...]
) -> Measurement:
    """Return the bootstrap's interval of a statistic of one model's scores, or of two models'
    drop.
    """
    try:
        statistic = make()
    except Undefined as reason:
        return Measurement.unavailable(metric.unit, str(reason))
    n = len(labels)
    if not np.isfinite(statistic(np.arange(n))):
        return Measurement.unavailable(metric.unit, UNDEFINED)
    drawn: list[float] = []

    def recorded(items: Index) -> float:
        drawn.append(statistic(items))
        return drawn[-1]

    interval = statistics.bootstrap_statistic(recorded, n)
    paired, tool = len(scores) == 2, "bootstrap over items"
    ends = (0.0,) if paired else (0.0, 1.0)
    if (
        metric.worst_case is not None
        and _alike(drawn)
        and (end := _end(interval.value, ends)) is not None
    ):
        kept = min(metric.worst_case(labels, one) for one in scores)
        lowest = -1.0 if paired else 0.0
        interval = statistics.constant_mean(end, n, low=lowest, high=1.0, others=1 - kept)
        return interval.measurement(metric.unit, ALIKE)
    return interval.measurement(metric.unit, f"paired {tool}" if paired else tool)


def _alike(drawn: list[float]) -> bool:
    """Tell whether no resample differs from another."""
    finite = np.asarray(drawn)[np.isfinite(drawn)]
    return bool(np.ptp(finite) < ROUNDING)


def _end(value: float, ends: tuple[float, ...]) -> float | None:
    return next((end for end in ends if abs(value - end) < ROUNDING), None)


def _unbiased(measured: Measurement, by_chance: Floats) -> Measurement:
    """Return the basic bootstrap interval of a metric that resampling enlarges, from its
    percentiles.

    What resampling adds to the metric of the items, the items have added to that of all there are:
    the percentiles are mirrored at the value. The interval is widened to hold the value, and to 0
    where the value is no larger than chance makes it. Source: Davison & Hinkley (1997), "Bootstrap
    Methods and their Application", section 5.2.
    """
    if measured.value is None or measured.low is None or measured.high is None:
        return measured
    low, high = 2 * measured.value - measured.high, 2 * measured.value - measured.low
    chance = measured.value <= np.quantile(by_chance, (1 + (measured.level or 0.0)) / 2)
    low = 0.0 if chance else max(0.0, min(low, measured.value))
    tool = f"basic {measured.tool}"
    return dataclasses.replace(measured, low=low, high=max(high, measured.value), tool=tool)
