"""The distribution of latencies: a step curve per model and launch, so that two speeds are seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgekit.report import words
from edgekit.report.charts import proven
from edgekit.report.charts.axis import Absent, Axis, Reading, time_axis, time_reading
from edgekit.report.charts.frame import Chart
from edgekit.report.charts.run import Model, Run
from edgekit.types import Measurement
from edgekit.types.details import LaunchSamples

TITLE = "Latency distribution"
# Of each launch this share of runs is shown, and some room: one run that was interrupted would
# squeeze all others into a corner.
SHOWN, ROOM = 0.97, 1.3
# More than so many times between the fastest and the slowest ask for a logarithmic axis.
WIDE = 20


@dataclass(frozen=True)
class LaunchCurve:
    """One launch: ``shares[i]`` of its ``count`` runs took ``times[i]`` nanoseconds or less.

    It is ``bimodal`` where its runs have two speeds.
    """

    count: int
    times: tuple[float, ...]
    shares: tuple[float, ...]
    bimodal: bool = False


@dataclass(frozen=True)
class ModelCurves:
    """A model's launches, the median over all of them, and to which time they are worth showing."""

    model: str
    launches: tuple[LaunchCurve, ...]
    median: Reading | None
    shown_to: float = 0.0
    is_reference: bool = False


@dataclass(frozen=True)
class LatencyCurves(Chart):
    """The distribution of latencies."""

    x: Axis
    y: Axis
    models: tuple[ModelCurves, ...]
    missing: tuple[str, ...] = ()
    kind: str = "latency"


def latency(run: Run) -> LatencyCurves | Absent:
    """Draw every model whose single times are kept; ``missing`` are the others that were timed."""
    curves = []
    missing = []
    for model in run.models:
        launches = run.details_of(model).launches
        if launches:
            curves.append(_curves(model, launches))
        elif model.latency is not None:
            missing.append(model.id)
    if not curves:
        return Absent(TITLE, _why(run, missing))
    times = [time for m in curves for launch in m.launches for time in launch.times]
    axis = time_axis("latency", [sorted(times)[len(times) // 2]])
    wide = max(model.shown_to for model in curves) > WIDE * min(times)
    return LatencyCurves(
        TITLE,
        _text(curves, run),
        Axis(axis.label, axis.unit, axis.factor, wide),
        Axis("share of runs (%)", "%", 100.0),
        tuple(curves),
        tuple(missing),
    )


def _why(run: Run, missing: Sequence[str]) -> str:
    """Say why there is no curve of any model."""
    if missing:
        model = next(model for model in run.models if model.id == missing[0])
        return run.why_absent(model, "launches", "the run kept no single times")
    known = [m.latency.p50.reason for m in run.models if m.latency and m.latency.p50.reason]
    return known[0] if known else "no latency was measured"


def _curves(model: Model, launches: Sequence[LaunchSamples]) -> ModelCurves:
    median = model.latency.p50 if model.latency is not None else None
    curves = tuple(map(curve, launches))
    slowest = max(one.times[-1] for one in curves)
    usual = ROOM * max(reached(one, SHOWN) for one in curves)
    return ModelCurves(
        model.id, curves, time_reading(median), min(slowest, usual), model.is_reference
    )


def reached(launch: LaunchCurve, share: float) -> float:
    """Return the time in which this share of a launch's runs is done."""
    pairs = zip(launch.times, launch.shares, strict=True)
    return next((time for time, so_far in pairs if so_far >= share - 1e-12), launch.times[-1])


def curve(launch: LaunchSamples) -> LaunchCurve:
    """Return a launch as a step curve: of every time, the share of runs that took no longer."""
    import numpy as np

    from edgekit.statistics import bimodal

    samples = sorted(launch.samples)
    times = tuple(float(time) for time in dict.fromkeys(samples))
    ranks = {time: rank for rank, time in enumerate(samples, 1)}
    shares = tuple(ranks[time] / len(samples) for time in dict.fromkeys(samples))
    two = bool(samples) and samples[0] > 0 and bimodal(np.asarray(samples, dtype=np.float64))
    return LaunchCurve(launch.count, times, shares, two)


def _text(models: Sequence[ModelCurves], run: Run) -> str:
    """State which is the fastest where that is proven, and whose launches have two speeds."""
    sentences = list(_first(models, run))
    two = [m for m in models if any(launch.bimodal for launch in m.launches)]
    sentences += [_two(m) for m in two[:2]] or ["no launch has two speeds"]
    more = f" and {len(two) - 2} more" if len(two) > 2 else ""
    slowest = max(launch.times[-1] for m in models for launch in m.launches)
    if slowest > 2 * max(m.shown_to for m in models):
        beyond = words.duration(Measurement(slowest, "ns"))
        more += f"; the slowest run, beyond what is drawn, took {beyond}"
    return f"{'; '.join(sentences)}{more}."


def _first(models: Sequence[ModelCurves], run: Run) -> Iterator[str]:
    """Tell the least median; it is the fastest where every other is proven slower."""
    medians = {m.model: m.median for m in models if m.median is not None}
    timed = [model for model in run.models if model.id in medians]
    if not timed:
        return
    least = min(timed, key=lambda model: (medians[model.id].value, model.id))
    median = f"median {medians[least.id].text} {medians[least.id].bounds}".rstrip()
    equal = [one.id for one in timed if one is not least and not proven.faster(least, one)]
    if len(timed) == 1 or equal:
        yield f"{least.id}: {median}"
    else:
        yield f"{least.id} is the fastest: {median}"
    if equal:
        more = f" and {len(equal) - 2} more" if len(equal) > 2 else ""
        listed = f"{', '.join(equal[:2])}{more}" if more else " and ".join(equal)
        yield f"{listed} {'is' if len(equal) == 1 else 'are'} not proven slower"


def _two(model: ModelCurves) -> str:
    """Say how many launches have two speeds, and which."""
    hit = [launch for launch in model.launches if launch.bimodal]
    shown = [words.duration(Measurement(value, "ns")) for value in _modes(hit[0])]
    count = f"{len(hit)} of {len(model.launches)} launches"
    return f"{count} of {model.model} have two speeds, near {shown[0]} and {shown[1]}"


def _modes(launch: LaunchCurve) -> tuple[float, float]:
    """Return both speeds, the fast one first: medians on both sides of the widest gap."""
    times, shares = launch.times, launch.shares
    inner = [i for i in range(1, len(times)) if 0.1 <= shares[i - 1] <= 0.9]
    at = max(inner, key=lambda i: times[i] / times[i - 1], default=len(times) // 2)
    split = shares[at - 1] if at else 0.0
    return reached(launch, split / 2), reached(launch, (1 + split) / 2)
