"""A runner that is slow to start, started while something else is done: TensorFlow's."""

from __future__ import annotations

import math
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.evaluation.latency import TENSORFLOW, Timed, TimingInputs
from edgekit.evaluation.launches import least_busy_core
from edgekit.evaluation.protocol import TimingJob
from edgekit.sandbox import Sandbox
from edgekit.targets.devices.local import LocalDevice, LocalSession
from edgekit.types import Request, RunnerResult

# A runner that is timed has one thread: what would take longer is answered by another on all cores,
# which is about what it takes to start.
SECONDS = 6.0
TRIED = 5
# About what a process takes to import TensorFlow, beside another that is busy.
START_SECONDS = 3.0
# What a request must have in common with the one that the runner was started with.
ALIKE = ("runtime", "inputs", "index", "signature", "preprocess", "reset_state", "states")


def start_ahead(device: LocalDevice, store: Path, outputs: Path) -> LocalSession:
    """Start a runner that loads TensorFlow, before there is a model: it reads what will be in the
    store, and writes to ``outputs``.

    Raises :class:`DeviceError`.
    """
    outputs.mkdir(parents=True, exist_ok=True)
    request = Request(mode="load", models=(), runtime=TENSORFLOW)
    return device.open(request, Sandbox((store,), (outputs,)))


class NearEnd:
    """Calls ``begin`` when a stage is about to end: its last round has begun, or what is left takes
    no longer than TensorFlow takes to start.

    It is told how stages advance; ``clock`` gives seconds.
    """

    def __init__(
        self, stage: str, begin: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stage, self._begin, self._clock = stage, begin, clock
        self._first: tuple[float, float] | None = None

    def __call__(self, stage: str, done: float, total: float) -> None:
        if stage != self._stage:
            return
        now = self._clock()
        since, from_ = self._first = self._first or (now, done)
        left = total - done
        pace = (now - since) / (done - from_) if done > from_ else math.inf
        if left <= 1 or pace * left <= START_SECONDS:
            self._begin()


@dataclass
class EarlyRunner:
    """The runner of a model, which answers items where that is soon done, and is timed after that.

    Its answers lie in ``outputs`` first: the sandbox cannot allow a folder that does not exist yet.
    """

    job: TimingJob
    session: LocalSession
    outputs: Path

    @classmethod
    def start(
        cls,
        side: Timed,
        feed: TimingInputs,
        device: LocalDevice,
        outputs: Path,
        ahead: LocalSession | None = None,
    ) -> EarlyRunner:
        """Start it, and wait for nothing: the one that was started ``ahead``, if any, takes it on.

        Raises :class:`DeviceError` or :class:`RunnerError`.
        """
        job = side.job(device, feed)
        model = replace(job.request.models[0], outputs=outputs)
        request = replace(job.request, models=(model,), core=least_busy_core())
        session = ahead or device.open(request)
        if ahead is not None:
            ahead.follow(request)
        return cls(replace(job, request=request, opened=session), session, outputs)

    def serves(self, request: Request) -> bool:
        """Tell whether a request has the model, inputs and settings that the runner was started
        with.
        """
        mine = self.job.request
        return request.models[0].path == mine.models[0].path and all(
            getattr(request, name) == getattr(mine, name) for name in ALIKE
        )

    def answer(self, request: Request, items: int) -> RunnerResult | None:
        """Answer a request to evaluate the model; None where that is better done by all cores.

        Raises :class:`RunnerError` or :class:`DeviceError`.
        """
        started, name = self.session.ready(), self.job.id
        runs = self.session.block(name, 0.0, TRIED)
        if statistics.median(runs) * items > SECONDS * 1e9:
            return None
        (model,) = request.models
        here = replace(model, outputs=self.outputs)
        result = self.session.ask(replace(request, models=(here,), processes=1))
        facts = result["models"][name]
        # Here the model is loaded twice: what it held the first time is its memory.
        memory = {**facts["memory"], **started["models"][name]["memory"]}
        if model.outputs is not None:
            shutil.copytree(self.outputs, model.outputs, dirs_exist_ok=True)
        return {**result, "models": {name: {**facts, "memory": memory}}}
