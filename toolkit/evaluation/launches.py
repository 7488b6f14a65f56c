"""The latency engine: rounds of launches of models that take turns, and one rule when to stop.

A launch is a fresh process: it loads models, makes a first inference, warms up by count *and* until
the drift stops, then times blocks. What a launch shares (the core's clock, another process beside
it) cancels between models that take turns in it. What one loaded copy of a model keeps while it
lives (where its memory lies) does not: only more launches average it out. So it is launches that
are repeated, until they tell enough.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import psutil

from edgekit import statistics
from edgekit.errors import ConnectionLost, DeviceError, RunnerError
from edgekit.evaluation.conditions import DRIFT_P, Watch
from edgekit.evaluation.protocol import (
    Decided,
    Launch,
    Progress,
    Protocol,
    Samples,
    Taken,
    TimingJob,
)
from edgekit.statistics import series
from edgekit.targets.devices.retry import again
from edgekit.targets.devices.transport import RunnerSession
from edgekit.types import Json, RunnerResult

# Resamples to decide whether to go on; figures that are reported take the usual number.
RESAMPLES = 500
# Kernels count a core's busy time in ticks of 10 ms at the coarsest.
LOOK_SECONDS = 0.05


def measure(
    groups: Sequence[Sequence[TimingJob]],
    protocol: Protocol,
    progress: Progress,
    decided: Decided | None = None,
) -> Mapping[str, Taken]:
    """Measure every job's launches, by id; groups take turns, and the jobs of one within a launch.

    A group stops when it is decided or, where nothing is to decide, when it is precise, else at a
    ceiling. One that its device cannot run carries its error.
    """
    taken = {job.id: _begun(job, alone=len(group) == 1) for group in groups for job in group}
    with contextlib.ExitStack() as lasting:
        measuring = [_Group(group, protocol, taken, lasting) for group in groups]
        at = 0
        while pending := [group for group in measuring if not group.stopped]:
            total = max(at + protocol.together, protocol.launches)
            # Every second round runs in reverse order: a slow spell must not hit the same always.
            for group in pending if at // protocol.together % 2 == 0 else pending[::-1]:
                progress(at, total, f"launch {at + 1} of {total}: {group.title}")
                group.launch(at)
                group.stop(decided)
            at += protocol.together
    return taken


def _begun(job: TimingJob, alone: bool) -> Taken:
    """Return no launches yet; an error where the device went away before the first."""
    silent = Watch(lambda _: {"unavailable": {}}, None)
    try:
        return Taken(Watch(job.device.state, job.request.core) if alone else silent)
    except DeviceError as error:
        return Taken(silent, stopped="error", error=error)


@dataclass
class _Runner:
    """A process that holds models, and what it tells once it is ready."""

    session: RunnerSession
    answer: RunnerResult | None = None

    def ready(self) -> RunnerResult:
        if self.answer is None:
            self.answer = self.session.ready()
        return self.answer


class _Group:
    """Jobs that take turns within a launch."""

    def __init__(
        self,
        jobs: Sequence[TimingJob],
        protocol: Protocol,
        taken: Mapping[str, Taken],
        lasting: contextlib.ExitStack,
    ) -> None:
        self.jobs, self.protocol, self.lasting = jobs, protocol, lasting
        self.taken = {job.id: taken[job.id] for job in jobs}
        self.title = jobs[0].id if len(jobs) == 1 else f"{len(jobs)} models"
        self._kept: dict[tuple[Json, ...], _Runner] = {}
        self._core: int | None = None
        self._clock = jobs[0].device.now
        self._begin = self._clock()

    @property
    def stopped(self) -> str:
        return next((taken.stopped for taken in self.taken.values() if taken.stopped), "")

    def launch(self, at: int) -> None:
        """Make some launches that start together, from the one numbered ``at``: all, or an
        error.
        """
        count = min(self.protocol.together, max(1, self.protocol.max_launches - at))

        def attempt() -> list[Mapping[str, Launch]]:
            try:
                return self._together(range(at, at + count))
            except ConnectionLost:
                self._kept.clear()
                raise

        try:
            launches = again(attempt)
        except (RunnerError, DeviceError) as error:
            self._end("error", error)
            return
        for launch in launches:
            for name, one in launch.items():
                self.taken[name].launches.append(one)

    def _end(self, reason: str, error: RunnerError | DeviceError | None = None) -> None:
        for taken in self.taken.values():
            taken.stopped, taken.error = reason, error

    def _together(self, numbers: range) -> list[Mapping[str, Launch]]:
        if self._core is None or not self._kept:
            started = [job.request.core for job in self.jobs if job.opened is not None]
            choose = least_busy_core if any(job.any_core for job in self.jobs) else lambda: None
            self._core = started[0] if started else choose()
        with contextlib.ExitStack() as stack:
            opened = [self._open(rotated(self.jobs, number), stack) for number in numbers]
            for runners in opened:
                for runner in runners.values():
                    runner.ready()
            return [
                _time(rotated(self.jobs, number), runners, self.protocol, self.taken)
                for number, runners in zip(numbers, opened, strict=True)
            ]

    def _open(
        self, jobs: Sequence[TimingJob], stack: contextlib.ExitStack
    ) -> Mapping[str, _Runner]:
        """Return a runner for each job; it is one for those that share a process."""
        processes: dict[tuple[Json, ...], list[TimingJob]] = {}
        for job in jobs:
            processes.setdefault(job.process, []).append(job)
        runners: dict[str, _Runner] = {}
        for key, sharing in processes.items():
            first, runner = sharing[0], self._kept.get(key)
            if runner is None:
                models = tuple(model for job in sharing for model in job.request.models)
                core = self._core if first.any_core else first.request.core
                request = replace(first.request, models=models, core=core)
                runner = _Runner(first.opened or first.device.open(request))
                (self.lasting if first.lasting else stack).callback(runner.session.close)
                if first.lasting:
                    self._kept[key] = runner
            runners.update({job.id: runner for job in sharing})
        return runners

    def stop(self, decided: Decided | None) -> None:
        """Stop after these launches where there is a reason to."""
        made = min(len(taken.launches) for taken in self.taken.values())
        if not self.stopped and made >= self.protocol.launches:
            self._end(self._enough(made, decided))

    def _enough(self, made: int, decided: Decided | None) -> str:
        protocol, spent = self.protocol, self._clock() - self._begin
        timed = [[launch.runs for launch in taken.launches] for taken in self.taken.values()]
        if decided is not None and decided(self.taken):
            return "decided"
        sides = [self.taken[job.id].launches for job in self.jobs]
        if decided is None and half_width(*sides) <= protocol.precision:
            return "precision"
        if max(sum(map(len, launches)) for launches in timed) >= protocol.max_runs:
            return "max-runs"
        if max(sum(runs.sum() for runs in launches) for launches in timed) / 1e9 >= (
            protocol.max_seconds
        ):
            return "max-seconds"
        if made >= protocol.max_launches:
            return "max-launches"
        if protocol.limit is not None and spent * (1 + protocol.together / made) > protocol.limit:
            return "limit"
        return ""


def rotated(jobs: Sequence[TimingJob], number: int) -> list[TimingJob]:
    """Return the jobs in the order of a launch: each loads another one first."""
    at = number % len(jobs)
    return [*jobs[at:], *jobs[:at]]


def least_busy_core() -> int | None:
    """Return the least busy core of those this process may use, where it can be kept on one."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return least_busy(psutil.cpu_percent(LOOK_SECONDS, percpu=True), os.sched_getaffinity(0))


def least_busy(busy: Sequence[float], allowed: Collection[int]) -> int:
    """Return the allowed core with the lowest load, the last of several.

    ``busy`` is in order of cores.
    """
    known = [core for core in allowed if core < len(busy)]
    return min(known, key=lambda core: (busy[core], -core)) if known else max(allowed)


def _time(
    jobs: Sequence[TimingJob],
    runners: Mapping[str, _Runner],
    protocol: Protocol,
    taken: Mapping[str, Taken],
) -> Mapping[str, Launch]:
    """Warm up every job, then time blocks in turns; raises what sessions raise."""
    warm = {job.id: warm_up(runners[job.id].session, job.id, protocol) for job in jobs}
    with contextlib.ExitStack() as stack:
        for job in jobs:
            stack.enter_context(taken[job.id].watch.timed())
        timed = _steady(jobs, runners, protocol, taken)
    return {
        job.id: _launch(job.id, runners[job.id].ready(), *warm[job.id], timed[job.id])
        for job in jobs
    }


def _launch(
    model: str,
    answer: RunnerResult,
    warmup: Samples,
    settled: bool,
    blocks: Sequence[Samples],
) -> Launch:
    facts = answer["models"][model]
    memory = facts.get("memory", {})
    return Launch(
        load=int(facts["load_ns"]),
        first=int(facts["first_ns"]),
        baseline=int(memory.get("baseline_bytes") or 0),
        peak=int(memory.get("peak_bytes") or 0),
        warmup=warmup,
        settled=settled,
        blocks=_batches(blocks),
        version=str(answer.get("version", "")),
    )


def _batches(timed: Sequence[Samples]) -> tuple[Samples, ...]:
    """Return the runs in no more consecutive batches than intervals need; more would only cost
    time.
    """
    count = min(series.BATCHES, len(timed))
    return tuple(
        np.concatenate([timed[at] for at in batch])
        for batch in np.array_split(np.arange(len(timed)), count)
    )


def warm_up(session: RunnerSession, model: str, protocol: Protocol) -> tuple[Samples, bool]:
    """Run the model until there are enough runs and their drift has stopped; whether it has.

    The drift is that of the newer half of the runs: what the first ones cost must not count. Of a
    model so slow that the ceiling comes before there are runs to judge by, the timed runs tell.
    """
    samples: list[int] = []
    awaits_drift = protocol.max_warmup_seconds > protocol.warmup_seconds
    fewest = max(protocol.warmup_runs, 2 * series.LEAST_BATCHES * awaits_drift)
    while True:
        samples += session.block(model, protocol.warmup_seconds / 2, protocol.warmup_runs // 2 or 1)
        spent = sum(samples) / 1e9
        enough = len(samples) >= fewest and spent >= protocol.warmup_seconds
        newer = np.asarray(samples[len(samples) // 2 :], dtype=np.float64)
        if enough and (not awaits_drift or _settled(newer, protocol.precision)):
            return np.asarray(samples, dtype=np.float64), True
        if spent >= protocol.max_warmup_seconds:
            return np.asarray(samples, dtype=np.float64), len(samples) < fewest


def _settled(samples: Samples, precision: float) -> bool:
    found = series.drift(samples)
    return found.p >= DRIFT_P or abs(found.slope_share) <= precision


def _steady(
    jobs: Sequence[TimingJob],
    runners: Mapping[str, _Runner],
    protocol: Protocol,
    taken: Mapping[str, Taken],
) -> Mapping[str, list[Samples]]:
    """Time blocks of this launch's share in turns, the order alternating.

    One model alone goes on until its own median is precise, or the share is up: of several, further
    launches tell more.
    """
    share = 1 / protocol.launches
    floor = protocol.min_seconds * share, protocol.min_runs * share
    ceiling = protocol.max_seconds * share, protocol.max_runs * share
    length = min(protocol.block_seconds, floor[0] / protocol.blocks)
    blocks: dict[str, list[Samples]] = {job.id: [] for job in jobs}
    while True:
        turn = len(blocks[jobs[0].id])
        for job in jobs if turn % 2 == 0 else jobs[::-1]:
            taken[job.id].watch.record()
            timed = runners[job.id].session.block(job.id, length, 1)
            blocks[job.id].append(np.asarray(timed, dtype=np.float64))
        runs = min(sum(len(block) for block in each) for each in blocks.values())
        spent = [sum(float(block.sum()) for block in each) / 1e9 for each in blocks.values()]
        if max(spent) < ceiling[0] and turn + 1 < protocol.blocks:
            continue
        if max(spent) >= ceiling[0] or runs >= ceiling[1]:
            return blocks
        known = len(jobs) > 1 or _known(blocks[jobs[0].id], protocol.precision)
        if runs >= floor[1] and min(spent) >= floor[0] and known:
            return blocks


def _known(blocks: Sequence[Samples], precision: float) -> bool:
    median = series.median_interval(np.concatenate(blocks))
    return median.high - median.low <= 2 * precision * median.value


def half_width(first: Sequence[Launch], *others: Sequence[Launch]) -> float:
    """Return half of the widest 95 % interval, as a share of its value.

    That of the median over the launches or, of several models, of the ratios to the first one.
    """
    if others:
        intervals = [statistics.launch_ratio(blocks_of(side), blocks_of(first)) for side in others]
    else:
        intervals = [statistics.percentile_interval(blocks_of(first), 50, resamples=RESAMPLES)]
    return max(max(i.high - i.value, i.value - i.low) / i.value for i in intervals)


def blocks_of(launches: Sequence[Launch]) -> list[tuple[Samples, ...]]:
    """Return the timed blocks of each launch."""
    return [launch.blocks for launch in launches]
