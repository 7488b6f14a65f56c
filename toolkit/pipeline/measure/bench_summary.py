"""What timed launches come to: phases, the steady state, memory, and what disturbed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit.converters import flatbuffer
from edgekit.converters.inspection import memory as inspection
from edgekit.errors import DeviceError, RunnerError
from edgekit.evaluation.latency import summarized as latency_of
from edgekit.evaluation.protocol import Launch, Taken
from edgekit.pipeline.measure.bench_inputs import Feed
from edgekit.pipeline.measure.loaded_model import LoadedModel
from edgekit.pipeline.measure.model_on_device import problem
from edgekit.targets.devices.arena import arena
from edgekit.targets.devices.warnings import spoilers
from edgekit.types import Benched, BenchMemory, Measurement, Phases, Request

UNIT = "byte"
RUNTIME = "litert"


def summarized(row: Benched, taken: Taken, path: Path) -> Benched:
    """Return the row with what its launches took; every run's nanoseconds go to ``path``, an
    ``.npy``.
    """
    launches = taken.launches
    conditions = taken.watch.conditions([launch.runs for launch in launches])
    phases = _phases(launches)
    notes = (*spoilers(row.facts), *conditions.notes)
    if not phases.settled:
        notes = (*notes, "latency still drifted when the warm-up ended")
    return replace(
        row,
        version=launches[0].version or row.version,
        phases=phases,
        latency=latency_of(launches, taken.stopped, path=path),
        memory=_held_by(launches, row.batch),
        conditions=replace(conditions, notes=notes),
        facts={**row.facts, **taken.watch.temperatures()},
    )


def _phases(launches: Sequence[Launch]) -> Phases:
    def middle(values: Sequence[float]) -> Measurement:
        return Measurement(
            float(np.median(values)), "ns", n=len(launches), tool="median of launches"
        )

    return Phases(
        load=middle([launch.load for launch in launches]),
        first=middle([launch.first for launch in launches]),
        warmup=middle([float(launch.warmup.mean()) for launch in launches]),
        warmup_runs=sum(len(launch.warmup) for launch in launches),
        settled=all(launch.settled for launch in launches),
    )


def _held_by(launches: Sequence[Launch], batch: int) -> BenchMemory:
    """Return what the launches tell: the most that one held over the baseline of its runtime."""
    absent = Measurement.unavailable(UNIT, "it was not measured")
    return BenchMemory(_peak(launches, batch), absent, absent, absent)


def _peak(launches: Sequence[Launch], batch: int) -> Measurement:
    if batch > 1:
        reason = "at a larger batch the runner opens the model twice"
        return Measurement.unavailable(UNIT, reason)
    if not all(launch.peak for launch in launches):
        return Measurement.unavailable(UNIT, "the runner does not report its peak memory")
    most = max(launch.peak - launch.baseline for launch in launches)
    return Measurement(
        float(most), UNIT, n=len(launches), tool="VmHWM, the largest of the launches"
    )


def memory_of(subject: LoadedModel, feed: Feed, request: Request, peak: Measurement) -> BenchMemory:
    """Return the memory of a subject, whose runner held ``peak`` on a request to time it."""
    planned, activations = _planned(subject), _activations(subject, request)
    if subject.device.runtime != "tflm":
        reason = f"{subject.device.runtime} has no tensor arena of a size to choose: --device tflm"
        return BenchMemory(peak, planned, activations, Measurement.unavailable(UNIT, reason))
    try:
        search = arena(
            subject.device,
            subject.path,
            feed.inputs,
            feed.index,
            feed.preprocess,
            subject.model.signature,
            subject.model.carried(feed.inputs),
        )
    except (RunnerError, DeviceError) as error:
        absent = Measurement.unavailable(UNIT, problem(error))
        return BenchMemory(peak, planned, activations, absent)
    return BenchMemory(
        peak,
        planned,
        activations,
        search.smallest,
        search.recorded,
        search.margin,
        search.estimated_32bit,
    )


def _planned(subject: LoadedModel) -> Measurement:
    if not subject.model.is_tflite:
        return Measurement.unavailable(UNIT, "a SavedModel has no plan of its memory")
    file, key = flatbuffer.read(subject.path), subject.model.signature
    graph = next((one.graph for one in file.signatures if one.key == key), 0)
    return inspection.plan(file, graph).peak


def _activations(subject: LoadedModel, request: Request) -> Measurement:
    """Return what LiteRT's own kernels allocate, in a process of their own."""
    if subject.device.runtime != RUNTIME:
        reason = f"{subject.device.runtime} reports activations and packed weights in one figure"
        return Measurement.unavailable(UNIT, reason)
    try:
        answer = subject.device.run(replace(request, mode="memory"))
    except (RunnerError, DeviceError) as error:
        reason = f"the model does not run without a delegate: {problem(error)}"
        return Measurement.unavailable(UNIT, reason)
    held = answer["models"][request.models[0].id]["activation_bytes"]
    tool = "RssAnon from loading to the end of the first inference, without a delegate"
    return Measurement(float(held), UNIT, n=1, tool=tool)
