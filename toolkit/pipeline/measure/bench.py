"""``edgekit bench``: models on devices by the latency protocol, with memory and conditions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from edgekit import statistics
from edgekit.errors import DeviceError, ProjectError, RunnerError
from edgekit.evaluation import protocol
from edgekit.evaluation.mlperf_tiny import SECONDS, perform
from edgekit.evaluation.profile import profile
from edgekit.evaluation.protocol import Job, Launch, Protocol, Taken
from edgekit.evaluation.sustained import measured as as_measurement
from edgekit.evaluation.sustained import sustain
from edgekit.pipeline.measure import bench_budgets, bench_inputs, bench_memory, selftest
from edgekit.pipeline.measure.asked import Asked
from edgekit.pipeline.measure.bench_inputs import Feed, Unpacked
from edgekit.pipeline.measure.calibrated import calibrated
from edgekit.pipeline.measure.evaluate import scored
from edgekit.pipeline.measure.given import Given, answered, problem
from edgekit.pipeline.measure.subject import Subject, measured, subject_of, told_apart
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.run import Run
from edgekit.project import Project
from edgekit.statistics.interval import two_sided_z
from edgekit.store import Store
from edgekit.targets.devices import parse
from edgekit.targets.devices.agent.machine import host_facts
from edgekit.types import (
    Benched,
    BenchReport,
    Json,
    Measured,
    Measurement,
    Phases,
    Progress,
    Status,
    SteadyLatency,
    Verdict,
)

LEVEL = 0.95
POWER = 0.8
WIDEST_UINT32 = 2**32


@dataclass(frozen=True)
class BenchOptions:
    """What is measured, how long, and what it is judged by.

    ``arena`` is TFLM's, in bytes. ``threads`` one after the other, 0 is one per processor.
    ``max_latency`` in nanoseconds, ``max_slowdown`` a share of the median in ``baseline``, an
    earlier ``bench.json``. ``sustain`` and ``window`` (of MLPerf Tiny) in seconds.
    """

    devices: tuple[str, ...] = ()
    threads: tuple[int, ...] = (1,)
    batch: int = 1
    delegate: str | None = None
    arena: int | None = None
    protocol: Protocol = field(default_factory=Protocol)
    calibrate: bool = True
    profile: bool = False
    sustain: float = 0.0
    mlperf_tiny: bool = False
    window: float = SECONDS
    metric_output: str | None = None
    max_latency: float | None = None
    max_slowdown: float | None = None
    baseline: Path | None = None


@dataclass(frozen=True)
class Entry:
    """A row to be measured: the model on its device, what it is fed, and how it is run."""

    row: Benched
    subject: Subject | None = None
    feed: Feed | None = None
    arena: int | None = None
    bundle: Unpacked | None = None

    def job(self) -> Job:
        """What the runner is asked; one thread is pinned to one core."""
        assert self.subject is not None and self.feed is not None  # noqa: S101, PT018
        subject, row = self.subject, self.row
        request: dict[str, Json] = {
            "schema": 1, "mode": "bench", "threads": row.threads, "batch": row.batch,
            "core": subject.device.core() if row.threads == 1 else None,
            "models": [{"id": row.id, "path": str(subject.path)}],
            "reset_state": subject.model.stateful, **self.feed.request,
        }  # fmt: skip
        if row.delegate:
            request["delegate"] = row.delegate
        if self.arena is not None and subject.device.runtime == "tflm":
            request["arena_bytes"] = self.arena
        return Job(row.id, subject.device, request)


def bench(
    project: Project, options: Options, sources: Sequence[str], asked: BenchOptions,
    progress: Progress,
) -> BenchReport:  # fmt: skip
    """Measure every model on every device with every number of threads.

    A model is a ``.tflite`` file anywhere, a bundle, or what TensorFlow runs on
    ``local:tensorflow``. What cannot be measured is a row that says why. Raises
    :class:`EdgekitError`.
    """
    if asked.max_slowdown is not None and asked.baseline is None:
        hint = "give an earlier bench.json with --baseline"
        raise ProjectError("EK-PROJECT-060", "--max-slowdown has nothing to compare with", hint)
    if asked.baseline is not None:
        bench_budgets.read(asked.baseline)
    unpacked = _unpacked(project, options, sources)
    options = replace(options, evaluate=project.data.evaluate is not None)
    first = str(unpacked[sources[0]].model) if sources[0] in unpacked else sources[0]
    with Run(Plan.of(_about(project, first), options), progress) as run:
        with run.stage("models"):
            entries = _entries(run, sources, unpacked, asked)
        with run.stage("self-test"):
            entries = tuple(_tested(one) for one in entries)
        calibration = Measurement.unavailable("1", "it was not asked for")
        if asked.calibrate:
            with run.stage("calibrate"):
                calibration = calibrated(run, entries)
        with run.stage("latency"):
            rows = _timed(run, entries, asked)
        with run.stage("details"):
            rows = tuple(
                _detailed(run, one, row, asked) for one, row in zip(entries, rows, strict=True)
            )
        report = _report(run, rows, calibration, asked)
        verdict = bench_budgets.judge(
            rows, report.device, calibration, asked.max_latency, asked.max_slowdown, asked.baseline
        )
        return replace(report, verdict=verdict)


def _about(project: Project, source: str) -> Project:
    table = project.model.model_copy(update={"source": source})
    return measured(project).model_copy(update={"model": table})


def _unpacked(project: Project, options: Options, sources: Sequence[str]) -> Mapping[str, Unpacked]:
    store = Store((options.output or project.root).resolve() / ".edgekit" / "store")
    return {
        source: bench_inputs.unpack(project.root / source, store)
        for source in sources
        if bench_inputs.is_bundle(source)
    }


def _entries(
    run: Run, sources: Sequence[str], unpacked: Mapping[str, Unpacked], asked: BenchOptions
) -> tuple[Entry, ...]:
    """Every row, as far as its model and its device are there."""
    for name in asked.devices:
        parse(name)
    found: list[Entry] = []
    alone = len(sources) * max(len(asked.devices), 1) == 1
    for source in sources:
        path = str(unpacked[source].model) if source in unpacked else source
        about = run.about(Plan.of(_about(run.project, path), run.plan.options))
        feed: Feed | None = None
        for device in asked.devices or (None,):
            try:
                subject = subject_of(about, path, device)
            except DeviceError as error:
                if alone:
                    raise
                found.append(Entry(_absent(source, device or "", error)))
                continue
            feed = feed or _feed(about, subject, unpacked.get(source))
            rows = [_entry(source, subject, feed, count, asked) for count in asked.threads]
            found += [replace(row, bundle=unpacked.get(source)) for row in rows]
    return _named(found, asked)


def _feed(run: Run, subject: Subject, bundle: Unpacked | None) -> Feed:
    if run.project.data.evaluate is not None:
        return bench_inputs.given(run, subject.model)
    return bundle.feed if bundle is not None else bench_inputs.synthetic(run, subject.model)


def _entry(source: str, subject: Subject, feed: Feed, threads: int, asked: BenchOptions) -> Entry:
    row = Benched(
        id="", source=source, device=subject.device.name, runtime=subject.device.runtime,
        version=subject.device.version, threads=threads or os.cpu_count() or 1, batch=asked.batch,
        delegate=asked.delegate or "", bytes=subject.model.bytes, sha256=subject.model.digest,
        inputs=feed.source,
    )  # fmt: skip
    return Entry(row, subject, feed, asked.arena)


def _absent(source: str, device: str, error: DeviceError) -> Benched:
    status = Status.INCOMPATIBLE if error.code == "EK-DEVICE-014" else Status.UNAVAILABLE
    return Benched("", source, device, status=status, problem=problem(error))


def _named(entries: Sequence[Entry], asked: BenchOptions) -> tuple[Entry, ...]:
    """Ids that differ: the file's name, the device, and the threads where there are several."""
    several = len(asked.threads) > 1
    names: dict[int, list[str]] = {}
    for count in {entry.row.threads for entry in entries}:
        rows = [entry.row for entry in entries if entry.row.threads == count]
        suffix = f", {count} thread{'s' if count > 1 else ''}" if several else ""
        names[count] = [name + suffix for name in told_apart(rows, bool(asked.devices))]
    return tuple(
        replace(entry, row=replace(entry.row, id=names[entry.row.threads].pop(0)))
        for entry in entries
    )


def _tested(entry: Entry) -> Entry:
    """The entry with its bundle's self-test; one that fails it is not measured."""
    if entry.subject is None or entry.bundle is None:
        return entry
    try:
        found = selftest.selftest(entry.subject, entry.bundle)
    except (RunnerError, DeviceError) as error:
        return Entry(replace(entry.row, **_failed(error)))
    row = replace(entry.row, selftest=found)
    if found.passed:
        return replace(entry, row=row)
    return Entry(replace(row, status=Status.FAILED, problem=selftest.failure(found)))


def _timed(run: Run, entries: Sequence[Entry], asked: BenchOptions) -> tuple[Benched, ...]:
    jobs = [entry.job() for entry in entries if entry.subject is not None]
    taken = protocol.measure(jobs, asked.protocol, run.progress.update)
    rows = []
    for number, entry in enumerate(entries):
        found = taken.get(entry.row.id)
        row = entry.row
        if found is not None and found.error is not None:
            row = replace(row, **_failed(found.error))
        elif found is not None:
            row = _summary(run, row, found, number)
        rows.append(row)
    return tuple(rows)


def _failed(error: RunnerError | DeviceError) -> Mapping[str, Json]:
    missing = isinstance(error, DeviceError)
    status = Status.UNAVAILABLE if missing else Status.INCOMPATIBLE
    return {"status": status, "problem": problem(error)}


def _summary(run: Run, row: Benched, taken: Taken, number: int) -> Benched:
    launches = taken.launches
    conditions = taken.watch.found([launch.runs for launch in launches])
    phases = _phases(launches)
    if not phases.settled:
        notes = (*conditions.notes, "the warm-up ended before its drift did")
        conditions = replace(conditions, notes=notes)
    path = run.folder / "latency" / f"{number}.npy"
    return replace(
        row,
        version=launches[0].version or row.version,
        phases=phases,
        latency=steady(launches, taken.stopped, path),
        memory=bench_memory.held(launches, row.batch),
        conditions=conditions,
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


def steady(launches: Sequence[Launch], stopped: str, path: Path) -> SteadyLatency:
    """The steady state of some launches; every run's nanoseconds go to ``path``, an ``.npy``."""
    runs = np.concatenate([launch.runs for launch in launches])
    kind = np.uint32 if runs.max() < WIDEST_UINT32 else np.uint64
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, runs.astype(kind))
    blocks = [launch.blocks for launch in launches]
    tool = f"bootstrap over {len(launches)} launches, then blocks"

    def percentile(q: float) -> Measurement:
        return as_measurement(statistics.percentile_interval(blocks, q, level=LEVEL), "ns", tool)

    def plain(value: float) -> Measurement:
        return Measurement(float(value), "ns", n=len(runs))

    middle = percentile(50)
    return SteadyLatency(
        p50=middle, p90=percentile(90), p95=percentile(95), p99=percentile(99),
        mean=plain(runs.mean()), min=plain(runs.min()), max=plain(runs.max()),
        mad=plain(np.median(np.abs(runs - np.median(runs)))),
        std=plain(runs.std(ddof=1) if len(runs) > 1 else 0.0), p5=plain(np.percentile(runs, 5)),
        launches=tuple(len(launch.runs) for launch in launches), stopped=stopped,
        power=power(middle), path=path,
    )  # fmt: skip


def power(middle: Measurement) -> Measurement:
    """The smallest relative difference that two such runs would tell, at 95 % and power 0.8.

    (z_0.975 + z_0.8) · √2 · SE, where SE is half of the interval over 1.96. Source: Cohen (1988),
    "Statistical power analysis for the behavioral sciences", section 2.4.
    """
    if middle.value is None or middle.low is None or middle.high is None:
        return Measurement.unavailable("1", "one block shows no noise: measure longer")
    z = two_sided_z(LEVEL)
    error = (middle.high - middle.low) / 2 / z
    smallest = (z + two_sided_z(2 * POWER - 1)) * 2**0.5 * error / middle.value
    return Measurement(smallest, "1", how="estimated", level=LEVEL, tool="two runs, power 0.8")


def _detailed(run: Run, entry: Entry, row: Benched, asked: BenchOptions) -> Benched:
    """The row with its memory, and with the profile and the long runs that were asked for."""
    if entry.subject is None or entry.feed is None or row.memory is None:
        return row
    job, update = entry.job(), run.progress.update
    try:
        held = row.memory.peak_rss
        row = replace(
            row, memory=bench_memory.measure(entry.subject, entry.feed, job.request, held)
        )
        if asked.profile:
            row = replace(row, profile=profile(entry.subject.device, job.request))
        if asked.sustain:
            row = replace(row, sustained=sustain(job, asked.protocol, asked.sustain, update))
        if asked.mlperf_tiny:
            about = run.about(Plan.of(_about(run.project, entry.subject.source), run.plan.options))
            accuracy = accuracy_of(about, entry.subject, entry.feed, asked.metric_output)
            found = perform(job, asked.protocol, accuracy, update, asked.window)
            row = replace(row, mlperf_tiny=found)
    except (RunnerError, DeviceError) as error:
        row = replace(row, **_failed(error))
    return row


def accuracy_of(run: Run, subject: Subject, feed: Feed, output: str | None) -> Measurement:
    """The accuracy run of MLPerf Tiny: the metric on the user's labelled items."""
    if feed.items is None or feed.items.labels is None:
        return Measurement.unavailable("1", "there are no labelled items: give them with --data")
    asked = Asked(metric_output=output)
    given = Given(Measured(subject.id, subject.source, subject.device.name), subject)
    given = scored(run, answered(run, given, feed.items, subject.model, asked), feed.items, asked)
    found = given.measured
    return found.metric or Measurement.unavailable("1", found.problem)


def _report(
    run: Run, rows: tuple[Benched, ...], calibration: Measurement, asked: BenchOptions
) -> BenchReport:
    settings: dict[str, Json] = {
        **asdict(asked.protocol), "batch": asked.batch, "delegate": asked.delegate,
        "arena": asked.arena, "sustain": asked.sustain, "max_latency": asked.max_latency,
        "max_slowdown": asked.max_slowdown,
    }  # fmt: skip
    return BenchReport(
        run=run.id, settings=settings, device=host_facts(), calibration=calibration, rows=rows,
        verdict=Verdict(Status.PASSED, 0), versions=run.versions,
    )  # fmt: skip
