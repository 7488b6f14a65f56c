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
from edgekit.pipeline.estimates import marked
from edgekit.pipeline.float_file import main_file
from edgekit.pipeline.measure import bench_inputs, bench_summary, bench_tool, selftest
from edgekit.pipeline.measure.bench_inputs import Feed, Unpacked
from edgekit.pipeline.measure.evaluate import scored
from edgekit.pipeline.measure.kernels import noted
from edgekit.pipeline.measure.loaded_model import LoadedModel, load_model, measured, unique_names
from edgekit.pipeline.measure.measure_options import BenchOptions, MeasureOptions
from edgekit.pipeline.measure.model_on_device import ModelOnDevice, answered, problem, status_of
from edgekit.pipeline.measure.noise import calibrate_noise
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.run import Run
from edgekit.project import Project
from edgekit.store import Store
from edgekit.targets.devices import DeviceBook
from edgekit.targets.devices.remote.benchmark_model import RUNTIME as TOOL
from edgekit.types import (
    Benched,
    Json,
    Measured,
    Measurement,
    Profile,
    Request,
    RunnerModel,
    Status,
)

# A source, and a device's name; without one, the default for that source.
Pair = tuple[str, str | None]


@dataclass(frozen=True)
class BenchRow:
    """A row to be measured: the model on its device, what it is fed, and how it is run."""

    row: Benched
    subject: LoadedModel | None = None
    feed: Feed | None = None
    arena: int | None = None
    bundle: Unpacked | None = None

    @property
    def by_tool(self) -> bool:
        """Whether the platform's own tool times it, which tells no single times."""
        return self.subject is not None and self.subject.device.runtime == TOOL

    def job(self, subject: LoadedModel, feed: Feed) -> TimingJob:
        """Build the runner's request; a single thread is pinned to one core."""
        row = self.row
        request = Request(
            mode="bench",
            models=(RunnerModel(row.id, subject.path),),
            inputs=feed.inputs,
            preprocess=feed.preprocess,
            index=feed.index,
            signature=subject.model.signature,
            delegate=row.delegate,
            threads=row.threads,
            batch=row.batch,
            core=subject.device.core() if row.threads == 1 else None,
            arena_bytes=self.arena if subject.device.runtime == "tflm" else None,
            reset_state=subject.model.stateful,
            states=subject.model.carried(feed.inputs) or None,
        )
        return TimingJob(row.id, subject.device, request)


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
        entries = _entries(run, pairs, unpacked, options, strict)
        facts = bench.facts or _facts(entries)
    with run.stage("self-test"):
        entries = tuple(_tested(entry) for entry in entries)
    calibration = bench.calibration
    if options.calibrate and calibration.value is None:
        with run.stage("calibrate"):
            calibration = calibrate_noise(run, entries)
    with run.stage("latency"):
        rows = _timed(run, entries, options)
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


def about_source(project: Project, source: str, bundle: Unpacked | None = None) -> Project:
    """Point the project at a model; a bundle brings its own signature and states."""
    own = {"signature": bundle.signature} if bundle and bundle.signature else {}
    table = project.model.model_copy(update={"source": source, **own})
    around = measured(project).model_copy(update={"model": table})
    if bundle is None:
        return around
    states = dict(bundle.carrying.get("states") or {})
    judged = around.evaluate.model_copy(update={"state": states})
    return around.model_copy(update={"evaluate": judged})


def unpack_bundles(
    project: Project, options: Options, sources: Sequence[str]
) -> Mapping[str, Unpacked]:
    """Verify and unpack the bundles among the sources. Raises :class:`BundleError`."""
    store = Store((options.output or project.root).resolve() / ".edgekit" / "store")
    return {
        source: bench_inputs.unpack(project.root / source, store)
        for source in sources
        if bench_inputs.is_bundle(source)
    }


def _entries(
    run: Run,
    pairs: Sequence[Pair],
    unpacked: Mapping[str, Unpacked],
    options: BenchOptions,
    strict: bool,
) -> tuple[BenchRow, ...]:
    """Build a row per model, device and number of threads, as far as model and device exist."""
    entries: list[BenchRow] = []
    feeds: dict[str, Feed] = {}
    for source, device in pairs:
        path = str(unpacked[source].model) if source in unpacked else source
        own = about_source(run.project, path, unpacked.get(source))
        about = run.about(Plan.of(own, run.plan.options))
        try:
            subject = load_model(about, path, device)
            facts = subject.device.facts()
        except DeviceError as error:
            if strict:
                raise
            entries.append(BenchRow(absent(run.devices.book, source, device or "", error)))
            continue
        if source not in feeds:
            feeds[source] = _feed(about, subject, unpacked.get(source), options)
        entries += [
            replace(
                _entry(source, subject, feeds[source], facts, count, options),
                bundle=unpacked.get(source),
            )
            for count in options.threads
        ]
    names = named([entry.row for entry in entries], options)
    return tuple(
        replace(entry, row=replace(entry.row, id=name))
        for entry, name in zip(entries, names, strict=True)
    )


def _feed(run: Run, subject: LoadedModel, bundle: Unpacked | None, options: BenchOptions) -> Feed:
    if run.project.data.evaluate is not None:
        return bench_inputs.given(run, subject.model)
    if bundle is not None:
        return bundle.feed
    return bench_inputs.synthetic(run, subject.model, options.shapes)


def _entry(
    source: str,
    subject: LoadedModel,
    feed: Feed,
    facts: Mapping[str, Json],
    threads: int,
    options: BenchOptions,
) -> BenchRow:
    row = Benched(
        id="",
        source=source,
        device=subject.device.name,
        runtime=subject.device.runtime,
        version=subject.device.version,
        threads=threads or int(facts.get("cpus", 1)),
        batch=options.batch if options.batch > 1 else bench_inputs.batch_of(subject.model, feed),
        delegate=options.delegate or "",
        bytes=subject.model.bytes,
        sha256=subject.model.digest,
        inputs=feed.source,
        address=subject.device.address,
        estimates=subject.device.estimates(),
        facts=facts,
    )
    return BenchRow(row, subject, feed, options.arena)


def absent(book: DeviceBook, source: str, device: str, error: DeviceError) -> Benched:
    """Build the row of a device that is not there."""
    status = status_of(error)
    listed = book.listed.get(device)
    where = listed.address if listed else ""
    return Benched("", source, device, status=status, problem=problem(error), address=where)


def named(rows: Sequence[Benched], options: BenchOptions) -> list[str]:
    """Make unique ids: the file's name, the device, and the threads where they differ."""
    several = len(options.threads) > 1
    names: dict[int, list[str]] = {}
    for count in {row.threads for row in rows}:
        alike = [row for row in rows if row.threads == count]
        suffix = f", {count} thread{'s' if count > 1 else ''}" if several else ""
        names[count] = [name + suffix for name in unique_names(alike, bool(options.devices))]
    return [names[row.threads].pop(0) for row in rows]


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
