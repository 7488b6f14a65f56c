"""Latency: percentiles of each model, and the paired ratios of models that take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edgekit import statistics
from edgekit.evaluation.launches import blocks_of, measure
from edgekit.evaluation.protocol import SIDE_BY_SIDE, Launch, Progress, Protocol, Taken, TimingJob
from edgekit.statistics.interval import two_sided_z
from edgekit.targets.devices import Device
from edgekit.targets.devices.transport import Transport
from edgekit.types import Latency, Measurement, Preprocess, Request, RunnerModel

REFERENCE = "reference"
TENSORFLOW = "tensorflow"
LAUNCHES = SIDE_BY_SIDE.max_launches
LEVEL = 0.95
POWER = 0.8
WIDEST_UINT32 = 2**32


@dataclass(frozen=True)
class TimingInputs:
    """What models are fed while they are timed: raw items by input, and which of them."""

    inputs: Mapping[str, Path]
    index: Path
    preprocess: Preprocess


@dataclass(frozen=True)
class Timed:
    """One side to time: its id, its file or folder, the runtime, and whether it keeps state.

    Without a ``device`` it runs on ``runtime`` of the host that is given beside it.
    """

    id: str
    path: Path
    runtime: str
    stateful: bool = False
    device: Device | None = None
    threads: int = 1
    delegate: str = ""
    arena: int | None = None
    inputs: Mapping[str, Path] | None = None
    signature: str | None = None
    states: Mapping[str, str] = field(default_factory=dict)

    def job(self, local: Transport, feed: TimingInputs) -> TimingJob:
        """Return the side as the engine takes it. TensorFlow takes seconds to start, so it
        starts once: its launches in turns differ by 3 %, which a ratio to it need not resolve.
        """
        device: Device | Transport = self.device or local
        here = self.device is None or self.device.transport == "local"
        request = Request(
            mode="bench",
            models=(RunnerModel(self.id, self.path),),
            inputs=self.inputs or feed.inputs,
            preprocess=feed.preprocess,
            runtime=self.runtime,
            index=feed.index,
            signature=self.signature,
            delegate=self.delegate,
            threads=self.threads,
            core=device.core() if self.threads == 1 and not here else None,
            arena_bytes=self.arena,
            reset_state=self.stateful,
            states=self.states or None,
        )
        return TimingJob(
            self.id,
            device,
            request,
            lasting=self.runtime == TENSORFLOW,
            any_core=here and self.threads == 1,
        )


@dataclass(frozen=True)
class Timings:
    """Models timed in turns, by id: ``first`` is what the others are set beside.

    ``twin`` is the id of a second copy of one of them: ``of``.
    """

    taken: Mapping[str, Taken]
    first: str
    twin: str = ""
    of: str = ""
    seconds: float = 0.0

    @property
    def launches(self) -> int:
        return len(self.taken[self.first].launches)

    @property
    def noise(self) -> Measurement | None:
        """The smallest difference that these launches tell, where a twin was timed."""
        return noise_floor(self.ratio(self.twin, self.of)) if self.twin else None

    @property
    def names(self) -> list[str]:
        """The ids of what was to be timed."""
        return [name for name in self.taken if name != self.twin]

    def ratio(self, candidate: str, reference: str = "") -> Measurement:
        """Return the candidate's time over another's, by default the first one's; below 1 is
        faster.
        """
        sides = (self.taken[name].launches for name in (candidate, reference or self.first))
        return paired(*(blocks_of(launches) for launches in sides))

    def latency(self, name: str) -> Latency:
        """Return the percentiles of one model."""
        return summarized(self.taken[name].launches, self.taken[name].stopped, self.noise)


def time_side_by_side(
    sides: Sequence[Timed],
    feed: TimingInputs,
    *,
    local: Transport,
    progress: Progress,
    protocol: Protocol = SIDE_BY_SIDE,
    noise: bool = True,
    lasting: bool = True,
    decided: Callable[[Timings], bool] | None = None,
    early: TimingJob | None = None,
) -> Timings:
    """Time sides in launches in which all take turns, until it is enough.

    With ``noise`` a model is loaded a second time in every launch, in the same process where all
    sides share one, else in its own: the first, or the first whose process is new in each launch.
    Without ``lasting`` every process is, as a verdict on a ratio needs. ``early`` is the job of one
    whose runner was started before. Raises ValueError where a ratio could not be bounded at 95 %,
    and what devices and sessions raise.
    """
    if protocol.launches < (least := statistics.least_independent()):
        raise ValueError(f"at least {least} launches are needed, got {protocol.launches}")
    jobs = [
        early if early is not None and early.id == side.id else side.job(local, feed)
        for side in sides
    ]
    if not lasting or all(job.lasting for job in jobs):
        jobs = [replace(job, lasting=False) for job in jobs]
    twin, of = "", next((job for job in jobs if not job.lasting), jobs[0])
    if noise:
        twin = f"{of.id} again"
        model = replace(of.request.models[0], id=twin)
        shared = all(job.process == of.process for job in jobs)
        again = replace(of, id=twin, request=replace(of.request, models=(model,)), apart=not shared)
        jobs.append(again)
    clock = jobs[0].device.now
    begin = clock()

    def timings(taken: Mapping[str, Taken]) -> Timings:
        return Timings(taken, sides[0].id, twin, of.id, clock() - begin)

    enough = None if decided is None else (lambda taken: decided(timings(taken)))
    taken = measure([jobs], protocol, progress, enough)
    if error := taken[jobs[0].id].error:
        raise error
    return timings(taken)


def allowed(launches: int, limit: float | None = SIDE_BY_SIDE.limit) -> Protocol:
    """Return the protocol of models side by side with so many launches at most."""
    fewest = min(SIDE_BY_SIDE.launches, launches)
    return replace(SIDE_BY_SIDE, launches=fewest, max_launches=launches, limit=limit)


def paired(candidate: statistics.Launches, reference: statistics.Launches) -> Measurement:
    """Return candidate over reference: the median over launches of block medians' median ratio."""
    ratio = statistics.launch_ratio(candidate, reference)
    return ratio.measurement("1", "median over launches of paired block medians, sign test")


def noise_floor(twins: Measurement) -> Measurement:
    """Return the smallest difference, as a fraction, that a model's ratio to itself does not show.

    max(high, 1 / low) - 1: a difference within it could be of a model with itself.
    """
    if twins.low is None or twins.high is None:
        raise ValueError("the ratio has no interval")
    return Measurement(
        max(twins.high, 1 / twins.low) - 1,
        "1",
        n=twins.n,
        level=twins.level,
        tool="A/A: the same model loaded twice, the farther end of their ratio's interval",
    )


def summarized(
    launches: Sequence[Launch],
    stopped: str,
    noise: Measurement | None = None,
    path: Path | None = None,
) -> Latency:
    """Summarize launches; every run's nanoseconds go to ``path``, an ``.npy``."""
    runs = np.concatenate([launch.runs for launch in launches])
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, runs.astype(np.uint32 if runs.max() < WIDEST_UINT32 else np.uint64))
    tool = f"bootstrap over {len(launches)} launches, then blocks"

    def percentile(q: float) -> Measurement:
        interval = statistics.percentile_interval(blocks_of(launches), q, level=LEVEL)
        return interval.measurement("ns", tool)

    def plain(value: float) -> Measurement:
        return Measurement(float(value), "ns", n=len(runs))

    middle = percentile(50)
    return Latency(
        p50=middle,
        p90=percentile(90),
        p95=percentile(95),
        p99=percentile(99),
        mean=plain(runs.mean()),
        min=plain(runs.min()),
        max=plain(runs.max()),
        mad=plain(np.median(np.abs(runs - np.median(runs)))),
        std=plain(runs.std(ddof=1) if len(runs) > 1 else 0.0),
        p5=plain(np.percentile(runs, 5)),
        launches=tuple(len(launch.runs) for launch in launches),
        stopped=stopped,
        power=power(middle),
        noise=noise,
        path=path,
    )


def power(middle: Measurement) -> Measurement:
    """Return the smallest relative difference that two such runs would tell, at 95 %, power 0.8.

    (z_0.975 + z_0.8) · √2 · SE, where SE is half of the interval over 1.96. Source: Cohen (1988),
    "Statistical power analysis for the behavioral sciences", section 2.4.
    """
    if middle.value is None or middle.low is None or middle.high is None:
        return Measurement.unavailable("1", "one block shows no noise: measure longer")
    z = two_sided_z(LEVEL)
    error = (middle.high - middle.low) / 2 / z
    smallest = (z + two_sided_z(2 * POWER - 1)) * 2**0.5 * error / middle.value
    return Measurement(smallest, "1", how="estimated", level=LEVEL, tool="two runs, power 0.8")
