"""``edgekit bench``: models on devices by the latency protocol, with memory and conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from edgekit.errors import DeviceError, RunnerCrashed, RunnerError, RunnerHung
from edgekit.evaluation import launches
from edgekit.evaluation.mlperf_tiny import perform
from edgekit.evaluation.profile import profile
from edgekit.evaluation.protocol import TimingJob
from edgekit.evaluation.sustained import sustain
from edgekit.pipeline import stage_results
from edgekit.pipeline.estimates import marked
from edgekit.pipeline.float_file import main_file
from edgekit.pipeline.measure import bench_summary, bench_tool, selftest
from edgekit.pipeline.measure.bench_inputs import Feed, Unpacked
from edgekit.pipeline.measure.bench_rows import BenchRow, Pair, about_source, bench_rows
from edgekit.pipeline.measure.evaluate import scored
from edgekit.pipeline.measure.kernels import noted
from edgekit.pipeline.measure.loaded_model import LoadedModel
from edgekit.pipeline.measure.measure_options import BenchOptions, MeasureOptions
from edgekit.pipeline.measure.model_on_device import ModelOnDevice, answered, problem
from edgekit.pipeline.measure.noise import calibrate_noise
from edgekit.pipeline.plan import Plan
from edgekit.pipeline.run import Run
from edgekit.types import (
    Benched,
    Json,
    Measured,
    Measurement,
    Profile,
    Request,
    Status,
)


@dataclass(frozen=True)
class MachineBench:
    """What was found on the devices of one machine.

    ``samples`` has the nanoseconds of every run of each row, where it was timed.
    """

    rows: tuple[Benched, ...]
    facts: Mapping[str, Json]
    calibration: Measurement
    samples: tuple[npt.NDArray[Any] | None, ...] = ()


def bench_place(
    run: Run,
    pairs: Sequence[Pair],
    unpacked: Mapping[str, Unpacked],
    options: BenchOptions,
    strict: bool,
) -> MachineBench:
    """Measure models on devices, source and name each, that share a machine: rows take turns.

    A device that fails is tried again as often as its user says. With ``strict``, one that is not
    there is an error; else, as all that cannot be measured, a row that says why.
    """
    most = {device: run.devices.book.attempts(device) for _, device in pairs}
    by_pair: dict[Pair, tuple[Benched, ...]] = {}
    bench = MachineBench((), {}, Measurement.unavailable("1", "calibration is off"))
    left, attempt = list(pairs), 0
    while left:
        attempt += 1
        last = strict and all(attempt >= most[device] for _, device in left)
        bench, rows = _attempt(run, left, unpacked, options, last, bench)
        for pair in left:
            earlier = tuple(
                text
                for row in by_pair.get(pair, ())
                for text in (*row.attempts, row.problem)
                if text
            )
            by_pair[pair] = tuple(
                replace(row, attempts=tuple(dict.fromkeys(earlier)))
                for row in rows
                if (row.source, row.device) == (pair[0], pair[1] or row.device)
            )
        left = [
            pair
            for pair in left
            if attempt < most[pair[1]] and any(_passing(row) for row in by_pair[pair])
        ]
        for name in {device for _, device in left if device is not None}:
            run.devices.forget(name)
    return replace(bench, rows=tuple(row for pair in pairs for row in by_pair[pair]))


def _attempt(
    run: Run,
    pairs: Sequence[Pair],
    unpacked: Mapping[str, Unpacked],
    options: BenchOptions,
    strict: bool,
    bench: MachineBench,
) -> tuple[MachineBench, tuple[Benched, ...]]:
    """Measure these models on these devices once: the rows, and what is known of their machine."""
    with run.stage("models"):
        entries = bench_rows(run, pairs, unpacked, options, strict)
        facts = bench.facts or _facts(entries)
    with run.stage("self-test"):
        entries = tuple(_tested(entry) for entry in entries)
    calibration = bench.calibration
    if options.calibrate and calibration.value is None:
        with run.stage("calibrate"):
            calibration = calibrate_noise(run, entries)
    with run.stage("latency") as stage:
        rows = _timed(run, entries, options)
        stage.result = stage_results.times((row.id, row.latency) for row in rows)
    with run.stage("details"):
        rows = tuple(
            noted(marked(_detailed(run, entry, row, options)), entry.subject)
            for entry, row in zip(entries, rows, strict=True)
        )
    return replace(bench, facts=facts, calibration=calibration), rows


def _passing(row: Benched) -> bool:
    """Tell whether another attempt may help: not where the device refuses what it was asked."""
    return row.status is Status.UNAVAILABLE or row.transient


def _facts(entries: Sequence[BenchRow]) -> Mapping[str, Json]:
    """Read the facts of the machine from the first device that answers."""
    for entry in entries:
        if entry.subject is not None:
            try:
                return entry.subject.device.reached.facts()
            except DeviceError:
                continue
    return {}


def _tested(entry: BenchRow) -> BenchRow:
    """Run the self-test of an entry's bundle; one that fails is not measured."""
    if entry.subject is None or entry.bundle is None or entry.by_tool:
        return entry
    try:
        result = selftest.selftest(entry.subject, entry.bundle)
    except (RunnerError, DeviceError) as error:
        return BenchRow(replace(entry.row, **_failed(error)))
    row = replace(entry.row, selftest=result)
    if result.passed:
        return replace(entry, row=row)
    return BenchRow(replace(row, status=Status.FAILED, problem=selftest.failure(result)))


def _timed(run: Run, entries: Sequence[BenchRow], options: BenchOptions) -> tuple[Benched, ...]:
    jobs: list[TimingJob] = []
    gone: dict[str, DeviceError] = {}
    for entry in entries:
        if entry.subject is not None and entry.feed is not None and not entry.by_tool:
            try:
                jobs.append(entry.job(entry.subject, entry.feed))
            except DeviceError as error:
                gone[entry.row.id] = error
    taken = launches.measure([[job] for job in jobs], options.protocol, run.progress.update)
    rows: list[Benched] = []
    for entry in entries:
        timing = taken.get(entry.row.id)
        row = entry.row
        if (lost := gone.get(row.id)) is not None:
            row = replace(row, **_failed(lost))
        elif entry.subject is not None and entry.feed is not None and entry.by_tool:
            row = _by_tool(run, entry, entry.subject, entry.feed, options)
        elif timing is not None and timing.error is not None:
            row = replace(row, **_failed(timing.error))
        elif timing is not None:
            row = bench_summary.summarized(row, timing, _file(run, "npy"))
        rows.append(row)
    return tuple(rows)


def _file(run: Run, ending: str) -> Path:
    """Name the next file of measured times in the run's folder."""
    folder = run.folder / "latency"
    return folder / f"{len(list(folder.glob('*.*')))}.{ending}"


def _by_tool(
    run: Run, entry: BenchRow, subject: LoadedModel, feed: Feed, options: BenchOptions
) -> Benched:
    path, request = _file(run, "txt"), entry.job(subject, feed).request
    try:
        row = bench_tool.timed(
            entry.row, subject.device, request, options.protocol, path, run.progress.update
        )
        return bench_tool.untested(row) if entry.bundle is not None else row
    except (RunnerError, DeviceError) as error:
        return replace(entry.row, **_failed(error))


def _failed(error: RunnerError | DeviceError) -> Mapping[str, Json]:
    missing = isinstance(error, DeviceError)
    status = Status.UNAVAILABLE if missing else Status.INCOMPATIBLE
    # A runner that crashed or hung may not do so again; one that refuses a model will.
    transient = isinstance(error, RunnerCrashed | RunnerHung)
    return {"status": status, "problem": problem(error), "transient": transient}


def _detailed(run: Run, entry: BenchRow, row: Benched, options: BenchOptions) -> Benched:
    """Add memory to a row, and the profile and long runs that were requested."""
    if entry.subject is None or entry.feed is None or row.memory is None:
        return row
    update = run.progress.update
    try:
        job = entry.job(entry.subject, entry.feed)
        held = row.memory.peak_rss
        row = replace(
            row, memory=bench_summary.memory_of(entry.subject, entry.feed, job.request, held)
        )
        if options.profile:
            row = replace(row, profile=_profile(run, entry.subject, job.request))
        if options.sustain:
            row = replace(row, sustained=sustain(job, options.protocol, options.sustain, update))
        if options.mlperf_tiny:
            project = about_source(run.project, entry.subject.source, entry.bundle)
            about = run.about(Plan.of(project, run.plan.options))
            accuracy = accuracy_of(about, entry.subject, entry.feed, options.metric_output)
            found = perform(job, options.protocol, accuracy, update, options.window)
            row = replace(row, mlperf_tiny=found)
    except (RunnerError, DeviceError) as error:
        row = replace(row, **_failed(error))
    return row


def _profile(run: Run, subject: LoadedModel, request: Request) -> Profile:
    """Profile every operator; the profiler sees only the first signature of a file."""
    path = main_file(run, subject.model)
    models = tuple(replace(one, path=path) for one in request.models)
    return profile(subject.device, replace(request, models=models))


def accuracy_of(run: Run, subject: LoadedModel, feed: Feed, output: str | None) -> Measurement:
    """Measure the accuracy for MLPerf Tiny: the metric on the user's labelled items."""
    if feed.items is None or feed.items.labels is None:
        return Measurement.unavailable("1", "there are no labelled items: give them with --data")
    options = MeasureOptions(metric_output=output)
    model = ModelOnDevice(Measured(subject.id, subject.source, subject.device.name), subject)
    model = scored(
        run, answered(run, model, feed.items, subject.model, options), feed.items, options
    )
    measured = model.measured
    return measured.metric or Measurement.unavailable("1", measured.problem)
