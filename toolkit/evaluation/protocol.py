"""The latency protocol of one device: fresh launches, warm-up, steady state until it is precise.

A launch loads the model in a fresh process, makes a first inference, warms up by count *and* until
the drift stops, then times blocks. Whole launches shift, so it is launches that are repeated until
the median is known to the goal; rows that are measured together take turns, launch by launch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol as Interface

import numpy as np
import numpy.typing as npt

from edgekit import statistics
from edgekit.errors import ConnectionLost, DeviceError, RunnerError
from edgekit.evaluation.conditions import DRIFT_P, Watch
from edgekit.statistics import series
from edgekit.types import Json, Request

# Between blocks the runner waits, and the first runs after that are slower: of 18 runs a block the
# median was 3 to 5 % higher than of a hundred.
BLOCK_SECONDS = 0.25
FEWEST_BLOCKS = 4
# How often a launch is begun whose device goes away.
ATTEMPTS = 3
# Resamples to decide whether to go on; figures that are reported take the usual number.
RESAMPLES = 500

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Protocol:
    """How long to measure. A floor and a ceiling of timed runs and seconds, over all launches.

    Between the two the median must be known to ``precision`` (half of its 95 % interval as a share
    of it). Where the ceiling comes first, it wins over the floor.
    """

    min_runs: int = 50
    max_runs: int = 200_000
    min_seconds: float = 2.0
    max_seconds: float = 30.0
    precision: float = 0.01
    launches: int = 5
    max_launches: int = 15
    warmup_runs: int = 10
    warmup_seconds: float = 0.1
    max_warmup_seconds: float = 2.0


class Session(Interface):
    """A runner that keeps a model loaded, as :meth:`Device.open` gives it."""

    def ready(self) -> Mapping[str, Json]: ...
    def block(self, model: str, seconds: float, runs: int) -> list[int]: ...
    def close(self) -> None: ...


class Openable(Interface):
    """A device that runners are started on, as ``targets.devices.Device`` is."""

    def open(self, request: Mapping[str, Json]) -> Session: ...
    def state(self, core: int | None = None) -> Mapping[str, Json]: ...
    def now(self) -> float: ...


@dataclass(frozen=True)
class Job:
    """What is measured: a request for a runner of ``device`` that holds the one model ``id``."""

    id: str
    device: Openable
    request: Request


@dataclass(frozen=True)
class Launch:
    """One launch: phases and runs in nanoseconds, memory in bytes (0 where it is not told)."""

    load: int
    first: int
    baseline: int
    peak: int
    warmup: Samples
    settled: bool
    blocks: tuple[Samples, ...]
    version: str

    @property
    def runs(self) -> Samples:
        return np.concatenate(self.blocks)


@dataclass
class Taken:
    """The launches of a job so far, what the machine did, why it stopped; ``error`` ended it."""

    watch: Watch
    launches: list[Launch] = field(default_factory=list)
    stopped: str = ""
    error: RunnerError | DeviceError | None = None


def measure(
    jobs: Sequence[Job], protocol: Protocol, progress: Callable[[float, float, str], None]
) -> Mapping[str, Taken]:
    """Every job's launches, in turns. A job that its device cannot run carries its error."""
    taken = {job.id: _begun(job) for job in jobs}
    pending, number = [job for job in jobs if not taken[job.id].stopped], 0
    while pending:
        number += 1
        total = max(number, protocol.launches)
        # Every second round runs in reverse order: a slow spell must not hit the same one always.
        for job in pending if number % 2 else pending[::-1]:
            progress(number - 1, total, f"launch {number}: {job.id}")
            _launch(job, protocol, taken[job.id])
        for one in taken.values():
            one.stopped = one.stopped or _stop(one, protocol)
        pending = [job for job in pending if not taken[job.id].stopped]
    return taken


def _begun(job: Job) -> Taken:
    """No launches yet; an error where the device went away before the first."""
    try:
        return Taken(Watch(job.device.state, job.request.core))
    except DeviceError as error:
        silent = Watch(lambda _: {"unavailable": {}}, None)
        return Taken(silent, stopped="error", error=error)


def _launch(job: Job, protocol: Protocol, taken: Taken) -> None:
    for attempt in range(ATTEMPTS):
        try:
            taken.launches.append(launch(job, protocol, taken.watch))
        except ConnectionLost as error:
            # A launch counts whole or not at all.
            if attempt + 1 == ATTEMPTS:
                taken.error, taken.stopped = error, "error"
        except (RunnerError, DeviceError) as error:
            taken.error, taken.stopped = error, "error"
            return
        else:
            return


def launch(job: Job, protocol: Protocol, watch: Watch) -> Launch:
    """One fresh process from loading to the end of its share of the steady state.

    Raises :class:`RunnerError` or :class:`DeviceError`.
    """
    session = job.device.open(job.request.to_json())
    try:
        answer = session.ready()
        facts = answer["models"][job.id]
        warmup, settled = warm_up(session, job.id, protocol)
        with watch.timed():
            timed = _steady(session, job.id, protocol, watch)
    finally:
        session.close()
    memory = facts.get("memory", {})
    return Launch(
        load=int(facts["load_ns"]),
        first=int(facts["first_ns"]),
        baseline=int(memory.get("baseline_bytes", 0)),
        peak=int(memory.get("peak_bytes", 0)),
        warmup=warmup,
        settled=settled,
        blocks=_batches(timed),
        version=str(answer.get("version", "")),
    )


def _batches(timed: Sequence[Samples]) -> tuple[Samples, ...]:
    """The runs in as many consecutive batches as intervals need; more would only cost time."""
    return tuple(np.array_split(np.concatenate(timed), min(series.BATCHES, len(timed))))


def warm_up(session: Session, model: str, protocol: Protocol) -> tuple[Samples, bool]:
    """Runs until there are enough and their drift has stopped; whether it has.

    The drift is that of the newer half of the runs: what the first ones cost must not count. Of a
    model so slow that the ceiling comes before there are runs to judge by, the timed runs tell.
    """
    samples: list[int] = []
    fewest = max(protocol.warmup_runs, 2 * series.LEAST_BATCHES)
    while True:
        samples += session.block(model, protocol.warmup_seconds / 2, protocol.warmup_runs // 2 or 1)
        spent = sum(samples) / 1e9
        enough = len(samples) >= fewest and spent >= protocol.warmup_seconds
        newer = np.asarray(samples[len(samples) // 2 :], dtype=np.float64)
        if enough and _settled(newer, protocol.precision):
            return np.asarray(samples, dtype=np.float64), True
        if spent >= protocol.max_warmup_seconds:
            return np.asarray(samples, dtype=np.float64), len(samples) < fewest


def _settled(samples: Samples, precision: float) -> bool:
    found = series.drift(samples)
    return found.p >= DRIFT_P or abs(found.slope_share) <= precision


def _steady(session: Session, model: str, protocol: Protocol, watch: Watch) -> list[Samples]:
    """Blocks of this launch's share, and on until its own median is precise or the share is up."""
    floor = protocol.min_seconds / protocol.launches, protocol.min_runs / protocol.launches
    ceiling = protocol.max_seconds / protocol.launches, protocol.max_runs / protocol.launches
    blocks: list[Samples] = []
    runs, spent = 0, 0.0
    length = min(BLOCK_SECONDS, floor[0] / FEWEST_BLOCKS)
    while True:
        watch.look()
        block = np.asarray(session.block(model, length, 1), dtype=np.float64)
        blocks.append(block)
        runs, spent = runs + len(block), spent + float(block.sum()) / 1e9
        if len(blocks) < FEWEST_BLOCKS and spent < ceiling[0]:
            continue
        if runs >= ceiling[1] or spent >= ceiling[0]:
            return blocks
        if runs >= floor[1] and spent >= floor[0] and _known(blocks, protocol.precision):
            return blocks


def _known(blocks: Sequence[Samples], precision: float) -> bool:
    found = series.median_interval(np.concatenate(blocks))
    return found.high - found.low <= 2 * precision * found.value


def _stop(taken: Taken, protocol: Protocol) -> str:
    """Why to stop after these launches; empty where to go on."""
    launches = taken.launches
    if len(launches) < protocol.launches:
        return ""
    runs = [launch.runs for launch in launches]
    count, spent = sum(len(one) for one in runs), sum(float(one.sum()) for one in runs) / 1e9
    if half_width(launches) <= protocol.precision:
        return "precision"
    if count >= protocol.max_runs:
        return "max-runs"
    if spent >= protocol.max_seconds:
        return "max-seconds"
    return "max-launches" if len(launches) >= protocol.max_launches else ""


def half_width(launches: Sequence[Launch]) -> float:
    """Half of the median's 95 % interval over the launches, as a share of the median."""
    blocks = [launch.blocks for launch in launches]
    found = statistics.percentile_interval(blocks, 50, resamples=RESAMPLES)
    return max(found.high - found.value, found.value - found.low) / found.value
