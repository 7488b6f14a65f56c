"""One version that is served: its runners, and the bounded queue before them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edgekit import scratch
from edgekit.errors import EdgekitError, RunnerError, SelfTestFailed, ServeError
from edgekit.process import Limits
from edgekit.serving.limits import Bounds, Refused, busy
from edgekit.serving.metrics import Metrics
from edgekit.serving.recording import Recording
from edgekit.serving.runner import Answer, Runner, Tensor
from edgekit.serving.source import Arrays, Servable, Source, read_source
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import RUNNER_FILES

# A model that takes longer to load than this is given up.
LOAD_SECONDS = 120.0
# Seconds between two attempts to start a runner that does not start.
PAUSES = (0.1, 0.5, 2.0, 10.0)


@dataclass
class Job:
    """Items that wait for a runner, and whoever waits for the answer."""

    inputs: Arrays
    raw: bool
    answer: asyncio.Future[Answer] = field(repr=False)
    runner: Runner | None = None

    def refuse(self, error: Refused) -> None:
        """Answer with a refusal, unless there is an answer."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def give_up(self, seconds: float) -> None:
        """Refuse it because its time is over; a runner that is at it computes on, and is ended."""
        if not self.answer.done():
            self.refuse(Refused(504, f"no answer within {seconds:g} s"))
            if self.runner is not None:
                self.runner.kill()


class Arm:
    """A version with its runners, each a process. ``ready`` once its golden items passed."""

    def __init__(
        self, source: Source, model: Servable, folder: contextlib.ExitStack, metrics: Metrics,
        bounds: Bounds, device: LocalDevice, log: Path,
    ) -> None:  # fmt: skip
        self.source, self.model = source, model
        self._folder, self._metrics, self._bounds = folder, metrics, bounds
        self._device, self._log = device, log
        self._recording: Recording | None = None
        self._queue: asyncio.Queue[Job] = asyncio.Queue(bounds.queue)
        self._tasks: list[asyncio.Task[None]] = []
        self._alive, self._closed = 0, False
        self.runtime = ""
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self.tested = ""

    @classmethod
    async def open(cls, source: Source, work: Path, bounds: Bounds, metrics: Metrics) -> Arm:
        """Read a version, start its runners, and let them answer its golden items.

        Raises :class:`EdgekitError` where one of that fails; nothing is left running.
        """
        folder = contextlib.ExitStack()
        try:
            place = folder.enter_context(scratch.held(work, "served-"))
            model = await asyncio.to_thread(read_source, source, place / "bundle")
            log = work / f"{source.arm}.log"
            device = LocalDevice(place / "runner", log, Limits(LOAD_SECONDS), RUNNER_FILES)
            arm = cls(source, model, folder, metrics, bounds, device, log)
            await arm._start()
        except BaseException:
            folder.close()
            raise
        return arm

    def record(self, folder: Path | None) -> None:
        """Count what it is asked from now on, for ``edgekit monitor``, in a folder of its number;
        without one, nothing.

        Raises :class:`ServeError` where there are no golden statistics to hold that against.
        """
        if folder is None:
            return
        if self.model.monitoring is None:
            message = f"{self.source.path} has no golden statistics to hold records against"
            hint = "serve a bundle that was made with data: edgekit bundle --data FILE"
            raise ServeError("EK-SERVE-007", message, hint)
        self._recording = Recording(self.model, folder / str(self.model.number))

    @property
    def ready(self) -> bool:
        """Whether a runner is there to answer."""
        return self._alive > 0

    @property
    def waiting(self) -> int:
        """How many requests wait for a runner."""
        return self._queue.qsize()

    async def predict(self, inputs: Arrays, raw: bool, until: float) -> Answer:
        """Return the answer to items, or give up when the loop's clock says ``until``.

        Raises :class:`Refused`: 503 where the queue is full, 504 where it takes too long.
        """
        loop = asyncio.get_running_loop()
        if self._closed:
            raise busy("this version is no longer served")
        job = Job(inputs, raw, loop.create_future())
        try:
            self._queue.put_nowait(job)
        except asyncio.QueueFull:
            raise busy(f"{self._bounds.queue} requests wait already") from None
        over = loop.call_at(until, job.give_up, self._bounds.seconds)
        try:
            return await job.answer
        finally:
            over.cancel()

    async def close(self) -> None:
        """Answer what waits, then end the runners."""
        await self._queue.join()
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._recording is not None:
            self._recording.close()
        await asyncio.to_thread(self._folder.close)

    async def _start(self) -> None:
        started: list[Runner] = []
        try:
            for _ in range(self._bounds.runners):
                started.append(await self._opened())
                self.runtime = started[0].runtime
                self.inputs, self.outputs = started[0].inputs, started[0].outputs
                self.tested = await self._tested(started[-1])
        except BaseException:
            for runner in started:
                await runner.close()
            raise
        self._tasks = [asyncio.create_task(self._work(runner)) for runner in started]
        self._alive = len(started)

    async def _opened(self) -> Runner:
        request = replace(self.model.request, threads=1)
        return await Runner.start(self._device, request, self._log)

    async def _tested(self, runner: Runner) -> str:
        """Let a runner answer the golden items; say how that went.

        Raises :class:`SelfTestFailed` where an answer is off.
        """
        golden = self.model.golden
        if golden is None:
            return "it has no golden items: only that it loads is known"
        try:
            answer = await asyncio.wait_for(runner.ask(golden.inputs, True), LOAD_SECONDS)
        except Refused as error:
            raise self._failed(error.message) from error
        for name, wanted in golden.outputs.items():
            given = answer.outputs.get(name)
            if given is None or given.shape != wanted.shape:
                raise self._failed(f"output {name!r} is missing, or of another shape")
            off, allowed = float(np.max(np.abs(given - wanted))), golden.tolerances[name]
            # Not `off > allowed`: a NaN must fail.
            if not off <= allowed:
                raise self._failed(f"output {name!r} is off by {off:.3g}, at most {allowed:.3g}")
        return f"self-test passed on {golden.items} golden items"

    def _failed(self, why: str) -> SelfTestFailed:
        message = f"{self.source.path} fails its self-test on {self.runtime}"
        return SelfTestFailed("EK-SERVE-005", message, f"{why}\n`edgekit verify` tells more")

    async def _work(self, runner: Runner) -> None:
        """Answer one request after another; a runner that is gone is started anew."""
        try:
            while True:
                job = await self._queue.get()
                alive = True
                try:
                    if not job.answer.done():
                        alive = await self._answered(runner, job)
                finally:
                    self._queue.task_done()
                if not alive:
                    runner = await self._again()
        finally:
            await runner.close()

    async def _answered(self, runner: Runner, job: Job) -> bool:
        """Answer a request, with a refusal if need be; whether the runner is still there."""
        job.runner = runner
        try:
            answer = await runner.ask(job.inputs, job.raw)
        except Refused as error:
            job.refuse(error)
            if error.status == 500:
                self._failed_on(job)
        except RunnerError as error:
            job.refuse(Refused(500, f"{error.message}; it is started again"))
            self._failed_on(job)
            return False
        else:
            if not job.answer.done():
                job.answer.set_result(answer)
            if self._recording is not None:
                self._recording.answered(job.inputs, job.raw, answer)
        finally:
            job.runner = None
        return True

    def _failed_on(self, job: Job) -> None:
        if self._recording is not None:
            self._recording.failed(job.inputs)

    async def _again(self) -> Runner:
        """Start a runner in the place of one that is gone, however often it takes."""
        self._alive -= 1
        self._metrics.restarts.labels(self.source.arm).inc()
        for attempt in range(10**9):
            try:
                runner = await self._opened()
            except (EdgekitError, OSError):
                await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
            else:
                self._alive += 1
                return runner
        raise AssertionError
