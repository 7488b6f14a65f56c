"""One version that is served: its runners, and the bounded queue before them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit import scratch
from edgekit.errors import SelfTestFailed, ServeError
from edgekit.process import Limits
from edgekit.serving.limits import Bounds, Refused
from edgekit.serving.metrics import Metrics
from edgekit.serving.pool import Pool
from edgekit.serving.recording import Kept, Recording
from edgekit.serving.runner import Answer, Runner, Tensor
from edgekit.serving.source import Arrays, Servable, Source, read_source
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import RUNNER_FILES

# A model that takes longer to load than this is given up.
LOAD_SECONDS = 120.0
# Kinds of numpy that JSON has: true and false, whole numbers, others.
NUMBERS = "biuf"


class Arm:
    """A version with its runners, each a process. ``ready`` once its golden items passed."""

    def __init__(
        self, source: Source, model: Servable, folder: contextlib.ExitStack, metrics: Metrics,
        bounds: Bounds, device: LocalDevice, log: Path,
    ) -> None:  # fmt: skip
        self.source, self.model = source, model
        self._folder, self._bounds = folder, bounds
        self._device, self._log = device, log
        self._recording: Recording | None = None
        restarts = metrics.restarts.labels(source.arm)
        self._pool = Pool(self._opened, bounds, restarts.inc)
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

    def record(self, folder: Path | None, kept: Kept) -> None:
        """Count what it is asked from now on, for ``edgekit monitor``, in a folder of its number;
        without one, nothing. ``kept`` has the samples of raw items of the versions before it.

        Raises :class:`ServeError` where there are no golden statistics to hold that against.
        """
        if folder is None:
            return
        if self.model.monitoring is None:
            message = f"{self.source.path} has no golden statistics to hold records against"
            hint = "serve a bundle that was made with data: edgekit bundle --data FILE"
            raise ServeError("EK-SERVE-007", message, hint)
        own = folder / str(self.model.number)
        self._recording = Recording(self.model, own, kept.of(self.model, own))

    @property
    def ready(self) -> bool:
        """Whether a runner is there to answer."""
        return self._pool.alive > 0

    @property
    def waiting(self) -> int:
        """How many requests wait for a runner."""
        return self._pool.waiting

    async def predict(self, inputs: Arrays, raw: bool, until: float) -> Answer:
        """Return the answer to items, or give up when the loop's clock says ``until``.

        Raises :class:`Refused` as :meth:`Pool.ask` does.
        """
        try:
            answer = await self._pool.ask(inputs, raw, until)
        except Refused as error:
            if self._recording is not None and error.status == 500:
                self._recording.failed(inputs)
            raise
        if self._recording is not None:
            self._recording.answered(inputs, raw, answer)
        return answer

    async def close(self) -> None:
        """Answer what waits, then end the runners."""
        await self._pool.close()
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
                self._check_numbers()
                self.tested = await self._tested(started[-1])
        except BaseException:
            for runner in started:
                await runner.close()
            raise
        for runner in started:
            self._pool.add(runner)

    def _check_numbers(self) -> None:
        for name, tensor in {**self.inputs, **self.outputs}.items():
            if np.dtype(tensor.dtype).kind not in NUMBERS:
                message = f"{self.source.path}: {name!r} is of {tensor.dtype}, and no number"
                hint = "only numbers are served: leave out of the model what reads text"
                raise ServeError("EK-SERVE-003", message, hint)

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
        except asyncio.TimeoutError as error:
            raise self._failed(f"no answer within {LOAD_SECONDS:g} s") from error
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
