"""``edgekit bench`` on any number of devices: each machine's by themselves, all machines at once.

A bench of one machine is a :class:`BenchJob`, which any :class:`concurrent.futures.Executor` may
carry elsewhere; here, it is a thread. Devices of one machine take turns.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import CassetteError, DeviceError, EdgekitError, ProjectError
from edgekit.pipeline import expected_stages
from edgekit.pipeline.journal import Journal
from edgekit.pipeline.measure import bench_budgets
from edgekit.pipeline.measure.bench import MachineBench, bench_place
from edgekit.pipeline.measure.bench_job import BenchJob, perform, tables_of
from edgekit.pipeline.measure.bench_rows import Pair, about_source, absent, named, unpack_bundles
from edgekit.pipeline.measure.measure_options import BenchOptions
from edgekit.pipeline.measure.model_on_device import recording
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.run import Run
from edgekit.project import Project
from edgekit.project.book import device_book
from edgekit.targets.devices import DeviceBook, Listed
from edgekit.types import (
    Benched,
    BenchMachine,
    BenchReport,
    Json,
    Measurement,
    Progress,
    StageRecord,
)

HERE = "local"
# Seconds that a job may take beyond what its devices may, before it is given up.
GRACE = 120.0


def bench(
    project: Project,
    options: Options,
    sources: Sequence[str],
    bench_options: BenchOptions,
    progress: Progress,
    executor: Executor | None = None,
) -> BenchReport:
    """Measure every model on every device with every number of threads.

    A model is a ``.tflite`` file anywhere, a bundle, or what TensorFlow runs on
    ``local:tensorflow``. What cannot be measured is a row that says why. ``executor`` carries the
    jobs of the machines; by default, threads. Raises :class:`EdgekitError`.
    """
    if bench_options.max_slowdown is not None and bench_options.baseline is None:
        hint = "give an earlier bench.json with --baseline"
        raise ProjectError("EK-PROJECT-060", "--max-slowdown has nothing to compare with", hint)
    if bench_options.baseline is not None:
        bench_budgets.read(bench_options.baseline)
    book = device_book(project)
    unpacked = unpack_bundles(project, options, sources)
    options = replace(options, evaluate=project.data.evaluate is not None)
    first = str(unpacked[sources[0]].model) if sources[0] in unpacked else sources[0]
    plan = Plan.of(about_source(project, first), options)
    if executor is not None and (options.record or options.replay):
        hint = "leave out the executor: threads measure the machines at once, too"
        message = "jobs that go elsewhere can be neither recorded nor replayed"
        raise CassetteError("EK-DEVICE-094", message, hint)
    with recording(plan) as tape, Run(plan, progress, book=book, tape=tape) as run:
        names = run.devices.expand(bench_options.devices)
        bench_options = replace(bench_options, devices=names)
        places = grouped(run.devices.book, names)
        if len(places) > 1 or executor is not None:
            jobs = [
                _job(run, project, sources, bench_options, *placed, number)
                for number, placed in enumerate(places.items())
            ]
            labels = [job.label for job in jobs] if executor is None else []
            run.progress.expect(expected_stages.bench(labels, bench_options.calibrate))
            done = dict(zip(places, fleet(run, jobs, executor), strict=True))
        else:
            pairs: list[Pair] = [(s, name) for s in sources for name in names or (None,)]
            (place,) = places or (HERE,)
            run.progress.expect(expected_stages.bench(("",), bench_options.calibrate))
            done = {place: bench_place(run, pairs, unpacked, bench_options, strict=len(pairs) == 1)}
        return _report(run, done, places, sources, bench_options)


def grouped(book: DeviceBook, names: Sequence[str]) -> dict[str, tuple[Listed, ...]]:
    """Group devices by the machine that they are on."""
    places: dict[str, tuple[Listed, ...]] = {}
    for listed in (book.find(name) for name in names):
        places[listed.place] = (*places.get(listed.place, ()), listed)
    return places


def _job(
    run: Run,
    project: Project,
    sources: Sequence[str],
    options: BenchOptions,
    place: str,
    devices: tuple[Listed, ...],
    number: int,
) -> BenchJob:
    return BenchJob(
        place=place,
        sources=tuple(sources),
        devices=devices,
        options=replace(options, devices=tuple(listed.name for listed in devices)),
        project=tables_of(project),
        root=str(project.root),
        output=str(run.plan.output),
        run=f"{run.id}/{number}",
        trust=run.plan.options.trust,
    )


def fleet(run: Run, jobs: Sequence[BenchJob], executor: Executor | None) -> list[MachineBench]:
    """Run every job, and return outcomes in order; of one that does not come back, rows that say
    why.

    Raises what a job raises, once the others are stopped: a model that cannot be read.
    """
    ours = _Ours()
    threads = ThreadPoolExecutor(len(jobs), "edgekit-bench") if executor is None else None
    futures: list[Future[MachineBench]] = []
    try:
        for job in jobs:
            if threads is not None:
                shown = NamedProgress(run.progress, job.label)
                futures.append(threads.submit(perform, job, shown, run.devices.tape, ours.began))
            elif executor is not None:
                futures.append(executor.submit(perform, job))
        _await(futures, _patience(jobs), elsewhere=executor is not None)
        book = run.devices.book
        return [_outcome(book, job, one) for job, one in zip(jobs, futures, strict=True)]
    finally:
        # Also on Ctrl-C, and of jobs that are late: what is done has nothing left to stop.
        for future in futures:
            future.cancel()
        ours.stop()
        if threads is not None:
            threads.shutdown()


class _Ours:
    """The runs of this process's jobs, to be stopped from another thread."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._stopped = False
        self._lock = threading.Lock()

    def began(self, run: Run) -> None:
        """Note that a job has begun; where all were stopped meanwhile, it is too."""
        with self._lock:
            self._runs.append(run)
            stopped = self._stopped
        if stopped:
            run.devices.close()

    def stop(self) -> None:
        """End what they do."""
        with self._lock:
            self._stopped = True
            runs = tuple(self._runs)
        for run in runs:
            run.devices.close()
            run.stop()


def _await(futures: Sequence[Future[MachineBench]], seconds: float | None, elsewhere: bool) -> None:
    """Wait for all, so long; raises what one raises that is not a failure of who carries it."""
    left = set(futures)
    end = math.inf if seconds is None else time.monotonic() + seconds
    while left:
        timeout = None if seconds is None else max(0.0, end - time.monotonic())
        done, left = wait(left, timeout, FIRST_COMPLETED)
        for future in done:
            error = _error(future)
            if isinstance(error, EdgekitError) or (error is not None and not elsewhere):
                raise error
        if not done:
            return


def _error(future: Future[MachineBench]) -> BaseException | None:
    return CancelledError() if future.cancelled() else future.exception()


def _patience(jobs: Sequence[BenchJob]) -> float | None:
    """Compute the seconds after which a job is given up; None where a device has no limit."""
    limits = [
        [one.attempts * one.time_limit for one in job.devices if one.time_limit is not None]
        for job in jobs
    ]
    if any(len(found) < len(job.devices) for found, job in zip(limits, jobs, strict=True)):
        return None
    return max(sum(found) for found in limits) + GRACE


def _outcome(book: DeviceBook, job: BenchJob, future: Future[MachineBench]) -> MachineBench:
    """Return a job's result, or rows that say why there is none."""
    if not future.done():
        why = "it is still running long after the time limits of its devices"
    elif (error := _error(future)) is not None:
        why = f"{type(error).__name__}: {error}"
    else:
        return future.result()
    lost = DeviceError("EK-DEVICE-090", f"the job of {job.label} did not come back", why)
    rows = tuple(absent(book, s, one.name, lost) for s in job.sources for one in job.devices)
    reason = Measurement.unavailable("1", lost.message)
    return MachineBench(rows, {}, reason, (None,) * len(rows))


class NamedProgress:
    """Progress of one of several that go on at once: what it says names the devices."""

    def __init__(self, journal: Journal, label: str) -> None:
        self._journal, self._label = journal, label

    def stage(self, name: str) -> None:
        """Report a stage that nobody counts."""
        self._journal.stage(self._named(name))

    def update(self, done: float, total: float, text: str) -> None:
        """Report how it goes on."""
        self._journal.update(done, total, self._named(text))

    def begin(self, stage: str, number: int, of: int) -> None:  # noqa: ARG002
        """Report that a stage begins: the journal counts those of all devices."""
        if number:
            self._journal.begin(self._named(stage))
        else:
            self._journal.stage(self._named(stage))

    def advance(self, stage: str, done: float, total: float, text: str) -> None:
        """Report that a stage has come to ``done`` of ``total``."""
        self._journal.advance(self._named(stage), done, total, text)

    def end(self, record: StageRecord) -> None:
        """Report that a stage ended."""
        self._journal.end(replace(record, name=self._named(record.name)))

    def fail(self, stage: str, seconds: float, reason: str) -> None:
        """Report that a stage was left by an error."""
        self._journal.fail(self._named(stage), seconds, reason)

    def _named(self, name: str) -> str:
        return f"{self._label}: {name}"


def _report(
    run: Run,
    done: Mapping[str, MachineBench],
    places: Mapping[str, tuple[Listed, ...]],
    sources: Sequence[str],
    options: BenchOptions,
) -> BenchReport:
    """Join the results of all machines into one report, with its verdict."""
    rows = _together(run, done, sources, options)
    kept = {
        place: BenchMachine(
            tuple(listed.name for listed in places.get(place, ())), bench.facts, bench.calibration
        )
        for place, bench in done.items()
    }
    first = kept.get(HERE) or next(iter(kept.values()))
    settings: dict[str, Json] = {
        **asdict(options.protocol),
        "batch": options.batch,
        "delegate": options.delegate,
        "arena": options.arena,
        "sustain": options.sustain,
        "max_latency": options.max_latency,
        "max_slowdown": options.max_slowdown,
    }
    budgets = {listed.name: listed.budgets for devices in places.values() for listed in devices}
    host = run.devices.host()
    verdict = bench_budgets.judge(
        rows,
        host,
        first.calibration,
        options.max_latency,
        options.max_slowdown,
        options.baseline,
        kept,
        budgets,
    )
    return BenchReport(
        run=run.id,
        settings=settings,
        device=host,
        calibration=first.calibration,
        rows=rows,
        verdict=verdict,
        versions=run.versions,
        places=kept,
    )


def _together(
    run: Run, done: Mapping[str, MachineBench], sources: Sequence[str], options: BenchOptions
) -> tuple[Benched, ...]:
    """Sort the rows of all machines as requested, with their samples in the run's own folder."""
    measured: list[tuple[Benched, npt.NDArray[Any] | None]] = []
    for place, machine in done.items():
        samples = machine.samples or (None,) * len(machine.rows)
        measured += [
            (replace(row, place=place), runs)
            for row, runs in zip(machine.rows, samples, strict=True)
        ]
    order = {name: number for number, name in enumerate(options.devices)}
    measured.sort(key=lambda one: (sources.index(one[0].source), order.get(one[0].device, 0)))
    names = named([row for row, _ in measured], options)
    rows: list[Benched] = []
    for number, (name, (row, runs)) in enumerate(zip(names, measured, strict=True)):
        row = replace(row, id=name)
        if runs is not None and row.latency is not None:
            path = run.folder / "latency" / f"{number}.npy"
            path.parent.mkdir(exist_ok=True)
            np.save(path, runs)
            row = replace(row, latency=replace(row.latency, path=path))
        rows.append(row)
    return tuple(rows)
