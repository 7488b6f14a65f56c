"""Each figure of a candidate beside the same figure of another run, as the gate compares them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from edgekit.gate.decision import decide, widened
from edgekit.gate.lock import LockedLatency, LockedMetric, LockEntry, Tolerances, compare_entries
from edgekit.gate.lock.latency import SAME, compare_latency, is_same
from edgekit.gate.lock.metric import compared
from edgekit.report import words
from edgekit.types import Measurement, Status

# Better and worse are facts or proven; what the items or the times do not decide is not proven.
Outcome = Literal["better", "worse", "same", "not proven", "not known"]


@dataclass(frozen=True)
class FigureChange:
    """A figure before and now in words, and what the change is worth, with ``how`` that is known.

    ``arrow`` is the way that the figure itself went, whether or not that is better; ≈ where that
    is not proven.
    """

    figure: str
    texts: tuple[str, str]
    change: str
    outcome: Outcome
    interval: str = ""
    how: str = ""
    arrow: str = ""


def figure_changes(before: LockEntry, now: LockEntry) -> tuple[FigureChange, ...]:
    """Return what became of each figure that either run has."""
    return tuple(_changes(before, now))


def _changes(before: LockEntry, now: LockEntry) -> Iterator[FigureChange]:
    yield _bytes("size", before.bytes, now.bytes)
    names = dict.fromkeys((*before.metrics, *now.metrics))
    same = bool(before.semantic_hash) and before.semantic_hash == now.semantic_hash
    for name in names:
        yield _metric(name, before.metrics.get(name), now.metrics.get(name), same)
    if before.latency or now.latency:
        yield _latency(before, now)
    if before.arena is not None or now.arena is not None:
        yield _arena(before.arena, now.arena)
    yield _runtime(before, now)


def _bytes(name: str, before: int, now: int) -> FigureChange:
    difference = now - before
    share = f" ({100 * difference / before:+.1f} %)" if before and difference else ""
    change = f"{difference:+,} B{share}" if difference else "="
    outcome: Outcome = "same" if not difference else "worse" if difference > 0 else "better"
    shown = words.exact(before), words.exact(now)
    return FigureChange(name, shown, change, outcome, arrow=_arrow(difference))


def _pair(texts: Iterable[str]) -> tuple[str, str]:
    before, now = texts
    return before, now


def _arrow(difference: float) -> str:
    return "=" if not difference else "↑" if difference > 0 else "↓"


def _metric(
    name: str, before: LockedMetric | None, now: LockedMetric | None, same: bool
) -> FigureChange:
    known = before or now
    bounded = known is not None and known.bounded
    texts = _pair(words.value(one.measured if one else None, bounded) for one in (before, now))
    if before is None or now is None:
        side = "the earlier run" if before is None else "this run"
        return FigureChange(name, texts, words.NONE, "not known", how=f"{side} has none")
    comparison = compared(before, now, same)
    drop = comparison.drop
    if drop.value is None:
        return FigureChange(name, texts, words.NONE, "not known", how=drop.reason)
    # A drop is worse; the figure itself falls by it where higher is better.
    sign = -1 if now.higher_is_better else 1
    gain = Measurement(
        sign * drop.value,
        drop.unit,
        low=_turned(drop, sign)[0],
        high=_turned(drop, sign)[1],
        level=drop.level,
    )
    unit = " points" if bounded else ""
    change = f"{100 * gain.value if bounded else gain.value:+.4g}{unit}" if gain.value else "="
    return FigureChange(
        name,
        texts,
        change,
        _proven(drop),
        words.interval(gain, bounded),
        comparison.how,
        "≈" if _proven(drop) == "not proven" else _arrow(gain.value or 0.0),
    )


def _turned(drop: Measurement, sign: int) -> tuple[float | None, float | None]:
    if sign > 0:
        return drop.low, drop.high
    return (
        None if drop.high is None else 0.0 - drop.high,
        None if drop.low is None else 0.0 - drop.low,
    )


def _proven(drop: Measurement) -> Outcome:
    """Tell whether a drop is proven, or a gain."""
    if drop.value == drop.low == drop.high == 0:
        return "same"
    if decide(drop, 0.0) is Status.FAILED:
        return "worse"
    return "better" if drop.high is not None and drop.high < 0 else "not proven"


def _latency(before: LockEntry, now: LockEntry) -> FigureChange:
    name = f"latency on {(now.latency or before.latency).device}"  # type: ignore[union-attr]
    texts = _pair(map(_time, (before.latency, now.latency)))
    if before.latency is None or now.latency is None:
        side = "the earlier run" if before.latency is None else "this run"
        return FigureChange(name, texts, words.NONE, "not known", how=f"{side} timed none")
    change = compare_latency(before, now)
    ratio, how = widened(change.measured, change.noise), change.how
    if ratio.value is None:
        return FigureChange(name, texts, words.NONE, "not known", how=ratio.reason)
    status = decide(change.measured, 1.0, change.noise)
    if is_same(before, now):
        status, how = Status.INCONCLUSIVE, SAME
    outcome: Outcome = "not proven"
    if status is Status.FAILED:
        outcome = "worse"
    elif status is Status.PASSED and ratio.value < 1:
        outcome = "better"
    interval = words.interval(ratio, False)
    # Where nothing is proven, an arrow would say that there is.
    arrow = "≈" if outcome == "not proven" else _arrow(ratio.value - 1)
    return FigureChange(name, texts, f"x{ratio.value:.3g}", outcome, interval, how, arrow)


def _time(latency: LockedLatency | None) -> str:
    """Return a median, and how many times the reference's it is where that was timed beside it."""
    if latency is None:
        return words.NONE
    median = words.duration(latency.p50)
    if latency.ratio is None or latency.ratio.value is None:
        return median
    return f"{median} (x{latency.ratio.value:.3g})"


def _arena(before: int | None, now: int | None) -> FigureChange:
    if before is None or now is None:
        texts = _pair(words.NONE if one is None else words.exact(one) for one in (before, now))
        side = "the earlier run" if before is None else "this run"
        return FigureChange("arena", texts, words.NONE, "not known", how=f"{side} measured none")
    return _bytes("arena", before, now)


def _runtime(before: LockEntry, now: LockEntry) -> FigureChange:
    """Set the minimum runtimes side by side; whether one is later, the gate says."""
    checks = {check.name: check for check in compare_entries(before, now, Tolerances(), "run")}
    texts = _pair(one.runtime or one.litert or words.NONE for one in (before, now))
    outcome: Outcome = "same"
    if checks["run minimum runtime"].status is Status.FAILED:
        outcome = "worse"
    elif (before.runtime, before.litert) != (now.runtime, now.litert):
        outcome = "better"
    arrow = {"worse": "↑", "better": "↓"}.get(outcome, "=")
    return FigureChange("minimum runtime", texts, "" if arrow != "=" else "=", outcome, arrow=arrow)
