"""The time of every operator, where the runtime tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgekit.errors import DeviceError, RunnerError
from edgekit.targets.devices import Device
from edgekit.types import Measurement, ModelResult, OperatorTime, Profile, Request

RUNTIME = "litert"
RUNS = 50
TOOL = "LiteRT profiler, whole microseconds, interquartile mean"


def profile(device: Device, request: Request) -> Profile:
    """Profile the one model of a bench request. What cannot be profiled says why."""
    if device.runtime != RUNTIME:
        return _absent(f"{device.runtime} reports no times of single operators")
    if request.reset_state:
        return _absent("LiteRT's profiler runs a model in CompiledModel, which resets no state")
    try:
        answer = device.run(replace(request, mode="profile", runs=RUNS))
    except (RunnerError, DeviceError) as error:
        why = error.hint.splitlines()[0] if error.hint else error.message
        return _absent(f"the profiler failed: {why}")
    return read(answer["models"][request.models[0].id])


def read(result: ModelResult) -> Profile:
    """Read the result of the runner's mode ``profile`` for a model.

    A time is the interquartile mean of the runs: not the mean, into which every interruption goes,
    and not the median, which a clock of whole microseconds makes coarse.
    """
    times = [_measured(event["us"]) for event in result["events"]]
    total = sum(time.value or 0.0 for time in times)
    if not times:
        return _absent("the profiler saw no operator")
    if not total:
        return _absent("every operator takes less than the profiler's resolution, a microsecond")
    operators = tuple(
        OperatorTime(
            name=str(event["name"]),
            node=int(event["node"]),
            delegate=bool(event["delegate"]),
            time=time,
            share=(time.value or 0.0) / total,
        )
        for event, time in zip(result["events"], times, strict=True)
    )
    return Profile(_measured(result["invoke_us"]), operators)


def _measured(microseconds: Sequence[int]) -> Measurement:
    runs = np.sort(np.asarray(microseconds, dtype=np.float64))
    cut = len(runs) // 4
    middle = float(runs[cut : len(runs) - cut].mean())
    return Measurement(1000 * middle, "ns", n=len(runs), tool=TOOL)


def _absent(reason: str) -> Profile:
    return Profile(Measurement.unavailable("ns", reason))
