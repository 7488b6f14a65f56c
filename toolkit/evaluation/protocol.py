"""How long models are timed, what is timed, and what a launch gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol as Interface

import numpy as np
import numpy.typing as npt

from edgekit.errors import DeviceError, RunnerError
from edgekit.evaluation.conditions import Watch
from edgekit.targets.devices.transport import RunnerSession
from edgekit.types import Json, Request

Samples = npt.NDArray[np.float64]
Progress = Callable[[float, float, str], None]


@dataclass(frozen=True)
class Protocol:
    """How long to measure. A floor and a ceiling of timed runs and seconds, over all launches.

    Between the two the median must be known to ``precision`` (half of its 95 % interval as a share
    of it). Where the ceiling comes first, it wins over the floor. A launch times at least
    ``blocks`` blocks of ``block_seconds`` at most, and ``together`` launches start at once and then
    sleep till their turn. Beyond ``launches`` none is begun that would end after ``limit`` seconds,
    where there is one.
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
    # Between blocks the runner waits, and the first runs after that are slower: of 18 runs a block
    # the median was 3 to 5 % higher than of a hundred.
    block_seconds: float = 0.25
    blocks: int = 4
    together: int = 1
    limit: float | None = None


# Models beside each other. The shorter a block, the nearer in time are those that are compared;
# drift cancels between them, so that the warm-up does not wait for its end. Twelve launches are the
# least at which the interval stands two gone wrong on either side. Three start at once, because
# that many more bear one more wild launch: start-up uses all cores, yet few processes hold models.
SIDE_BY_SIDE = Protocol(
    min_runs=180,
    min_seconds=0.18,
    max_seconds=3.6,
    launches=6,
    max_launches=12,
    warmup_runs=5,
    warmup_seconds=0.015,
    max_warmup_seconds=0.015,
    block_seconds=0.005,
    blocks=6,
    together=3,
    limit=60.0,
)


class Openable(Interface):
    """A device that runners are started on, as ``targets.devices.Device`` is."""

    def open(self, request: Request) -> RunnerSession: ...
    def state(self, core: int | None = None) -> Mapping[str, Json]: ...
    def now(self) -> float: ...


@dataclass(frozen=True)
class TimingJob:
    """What is measured: a request for a runner of ``device`` that holds the one model ``id``.

    Jobs of one group whose requests differ in the model alone share a process, but for one that is
    ``apart``. A ``lasting`` one keeps its process in all launches. With ``any_core`` the request's
    core is this host's least busy one, chosen before each round. ``opened`` is the runner of a
    lasting one that was started before, on its request's core.
    """

    id: str
    device: Openable
    request: Request
    apart: bool = False
    lasting: bool = False
    any_core: bool = False
    opened: RunnerSession | None = None

    @property
    def process(self) -> tuple[Json, ...]:
        """What jobs must share to be held by one process."""
        alike = replace(self.request, models=()).to_json()
        device = getattr(self.device, "name", id(self.device))
        return (device, str(alike), self.id if self.apart else "", self.lasting)


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


#: What was taken so far, by job: whether it is enough.
Decided = Callable[[Mapping[str, Taken]], bool]
