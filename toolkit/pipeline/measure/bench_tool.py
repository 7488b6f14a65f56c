"""A row that the platform's ``benchmark_model`` times: sums of launches, and no single times."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit import statistics
from edgekit.evaluation.conditions import Watch
from edgekit.evaluation.protocol import Protocol
from edgekit.targets.devices import Device
from edgekit.targets.devices.remote.benchmark_model import RUNTIME
from edgekit.targets.devices.warnings import spoilers
from edgekit.types import (
    Benched,
    BenchMemory,
    Json,
    Latency,
    Measurement,
    ModelResult,
    Phases,
    Request,
)

UNIT = "byte"
NO_TIMES = "benchmark_model prints no single times"
UNTESTED = "the bundle's self-test is unavailable, because benchmark_model answers no inputs"
OLD = "this benchmark_model prints only the mean, the least, the most and the deviation"


def timed(
    row: Benched,
    device: Device,
    request: Request,
    protocol: Protocol,
    path: Path,
    progress: Callable[[float, float, str], None],
) -> Benched:
    """Return the row, measured in as many fresh launches as the protocol's fewest.

    What the tool printed goes to ``path``. Raises :class:`DeviceError` or :class:`RunnerError`.
    """
    device_request, watch, launches = _asked(request, protocol), Watch(device.state, None), []
    for number in range(protocol.launches):
        progress(number, protocol.launches, f"launch {number + 1}: {row.id}")
        with watch.timed():
            launches.append(_launch(device, device_request))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(str(one["printed"]) for one in launches))
    steady = [one["steady"] for one in launches]
    conditions = watch.conditions([np.array([float(one["mean"])]) for one in steady])
    unknown = Measurement.unavailable("1", NO_TIMES)
    return replace(
        row,
        inputs="synthetic",
        phases=_phases(launches),
        latency=_latency(steady, path),
        memory=_memory(launches),
        conditions=replace(
            conditions, drift=unknown, notes=(*spoilers(row.facts), *conditions.notes)
        ),
        facts={**row.facts, **watch.temperatures()},
    )


def untested(row: Benched) -> Benched:
    """Return the row of a bundle, whose golden items the tool cannot take."""
    conditions = row.conditions
    return (
        row
        if conditions is None
        else replace(row, conditions=replace(conditions, notes=(*conditions.notes, UNTESTED)))
    )


def _asked(request: Request, protocol: Protocol) -> Request:
    """Return one launch's share of the protocol."""
    count = protocol.launches
    stop = {
        "runs": math.ceil(protocol.min_runs / count),
        "seconds": protocol.min_seconds / count,
        "most_seconds": max(protocol.max_seconds / count, protocol.max_warmup_seconds),
    }
    warmup = {"runs": protocol.warmup_runs, "seconds": protocol.warmup_seconds}
    return replace(request, stop=stop, warmup=warmup)


def _launch(device: Device, request: Request) -> ModelResult:
    return device.run(request)["models"][request.models[0].id]


def _phases(launches: Sequence[ModelResult]) -> Phases:
    def middle(values: Sequence[float | None]) -> Measurement:
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return Measurement.unavailable("ns", "this benchmark_model does not print it")
        return Measurement(
            float(np.median(known)), "ns", n=len(known), tool=f"{RUNTIME}, median of launches"
        )

    return Phases(
        load=middle([one["load_ns"] for one in launches]),
        first=middle([one.get("first_ns") for one in launches]),
        warmup=middle([one["warmup"]["mean"] for one in launches]),
        warmup_runs=sum(one["warmup"]["count"] for one in launches),
        settled=False,
    )


def _latency(sums: Sequence[Mapping[str, Json]], path: Path) -> Latency:
    counts = np.array([one["count"] for one in sums], dtype=np.float64)
    means, stds = (np.array([one[name] for one in sums]) for name in ("mean", "std"))
    runs, mean = int(counts.sum()), float(np.average(means, weights=counts))
    # Within and between the launches: the variance of all runs from the sums of each.
    variance = float(np.average(stds**2 + (means - mean) ** 2, weights=counts))

    def plain(value: float) -> Measurement:
        return Measurement(value, "ns", n=runs, tool=RUNTIME)

    absent = Measurement.unavailable("ns", NO_TIMES)
    return Latency(
        p50=_middle(sums, "median"),
        p90=absent,
        p95=_middle(sums, "p95"),
        p99=absent,
        mean=plain(mean),
        min=plain(min(one["min"] for one in sums)),
        max=plain(max(one["max"] for one in sums)),
        mad=absent,
        std=plain(math.sqrt(variance)),
        p5=_middle(sums, "p5"),
        launches=tuple(int(count) for count in counts),
        stopped="launches",
        power=Measurement.unavailable("1", NO_TIMES),
        path=path,
    )


def _middle(sums: Sequence[Mapping[str, Json]], name: str) -> Measurement:
    """Return the median over the launches of what each says; the interval resamples launches."""
    values = [one[name] for one in sums]
    if any(value is None for value in values):
        return Measurement.unavailable("ns", OLD)
    launches = [[np.array([float(value)])] for value in values]
    tool = f"{RUNTIME}, median over {len(values)} launches of the {name} of each"
    return statistics.percentile_interval(launches, 50).measurement("ns", tool)


def _memory(launches: Sequence[ModelResult]) -> BenchMemory:
    absent = Measurement.unavailable(UNIT, "it was not measured")
    told = [one["peak_bytes"] for one in launches]
    peaks = [peak for peak in told if peak is not None]
    if len(peaks) < len(told):
        peak = Measurement.unavailable(UNIT, "this benchmark_model prints no memory")
    else:
        tool = f"{RUNTIME}: ru_maxrss over its start, the largest of the launches"
        peak = Measurement(float(max(peaks)), UNIT, n=len(peaks), tool=tool)
    return BenchMemory(peak, absent, absent, absent)
