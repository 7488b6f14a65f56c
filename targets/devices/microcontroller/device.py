"""A microcontroller as a device: requests as ``python_runner`` describes them, item by item."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import DeviceError
from edgekit.process import Limits
from edgekit.targets.devices.microcontroller.board import Board
from edgekit.targets.devices.microcontroller.job import check, output_files
from edgekit.targets.devices.microcontroller.link import Link
from edgekit.targets.devices.microcontroller.session import (
    BoardSession,
    Restarts,
    answered,
    loaded,
    opened,
    result,
    using,
)
from edgekit.targets.devices.retry import again
from edgekit.targets.devices.transport import Transport
from edgekit.targets.runners.python_runner import alternate, compare_golden
from edgekit.types import Json, ModelResult, Request, RunnerModel, RunnerResult

NOT_TOLD = "the firmware does not tell it"
NO_SYSTEM = "nothing on a microcontroller tells it"


class Microcontroller(Transport):
    """The board behind a serial port.

    Raises :class:`DeviceError` where the port cannot be opened or no firmware of ours answers.
    """

    def __init__(self, link: Link, limits: Limits) -> None:
        self._board, self._limits = Board(link), limits
        self._board.connect()

    @property
    def version(self) -> str:
        """The runtime in the firmware, as it calls itself."""
        return self._board.hello.runtime

    def facts(self) -> Mapping[str, Json]:
        """Return what the board is; ``clock_resolution_ns`` is that of its latencies."""
        hello, link = self._board.hello, self._board.link
        absent = ("cpu", "cores", "frequency_minimum_hz", "frequency_maximum_hz", "memory_bytes")
        return {
            "system": hello.system or "bare-metal",
            "machine": hello.processor or "unknown",
            "model": hello.name,
            "cpus": 1,
            "firmware": hello.firmware,
            "ticks_per_second": hello.ticks_per_second,
            "clock_resolution_ns": 1e9 / hello.ticks_per_second,
            "arena_bytes": hello.arena,
            "port": link.path,
            "baud": link.baud,
            **({"estimates": f"emulated ({hello.emulator})"} if hello.emulator else {}),
            "unavailable": {**dict.fromkeys(absent, NOT_TOLD), "governor": NO_SYSTEM},
        }

    def state(self, core: int | None = None) -> Mapping[str, Json]:
        """Return the host's clock: a board tells nothing that changes."""
        del core
        absent = dict.fromkeys(("temperature_c", "frequency_hz", "load1"), NO_SYSTEM)
        return {"at": time.monotonic(), "unavailable": absent}

    def core(self) -> int | None:
        """Return None: there is one core."""
        return None

    def close(self) -> None:
        """Let the port go."""
        self._board.link.close()

    def run(self, request: Request) -> RunnerResult:
        """Run one request to its end, as :class:`Transport` has it.

        Raises :class:`ConnectionLost` where the board stays away or begins anew too often, and
        :class:`RunnerError` where it refuses the model, or where one item makes it begin anew.
        """
        self._check(request)
        if request.mode == "bench":
            return self._bench(request)
        work = self._evaluate if request.mode == "evaluate" else self._selftest
        with using(self._board, request, self._limits):
            self._board.awake()
            models = {entry.id: work(request, entry) for entry in request.models}
        return result(self._board, request, models)

    def open(self, request: Request) -> BoardSession:
        """Return a session whose models are opened on the board by ``ready``."""
        self._check(request)
        return BoardSession(self._board, request, self._limits)

    def proof(self) -> str:
        """Run the model in the firmware once, on zeros; the runtime's version, "" without one."""
        board = self._board
        if not board.hello.model[0]:
            return ""
        request = Request("load", (RunnerModel("the model in its firmware", Path()),))
        with using(board, request, self._limits):
            board.awake()
            found = board.open_there(board.hello.model)
            inputs = board.set({n: np.zeros(i.shape, i.dtype) for n, i in found.inputs.items()})
            board.get(board.invoke(inputs, 1, reset=True).outputs)
        return self.version

    def _check(self, request: Request) -> None:
        check(request, self._board.hello.arena)

    def _evaluate(self, request: Request, entry: RunnerModel) -> ModelResult:
        """Write every item's outputs into the request's files; return what the result says of
        it.
        """
        board, restarts = self._board, Restarts(self._board, entry)
        job = opened(board, request, entry, restarts)
        files: Mapping[str, Any] = {}
        begin, first = time.monotonic(), 0
        for at, answers in answered(board, job, restarts):
            if not files:
                files = output_files(job, entry.answers_folder(), answers)
                with contextlib.suppress(DeviceError):
                    # Its answers count even where its clock does not.
                    first = board.believed(job.model.last)[0] if job.model.last else 0
            for name, value in answers.items():
                files[name][at : at + 1] = value
        for file in files.values():
            file.flush()
        return {
            **loaded(board, job),
            "first_ns": first,
            "batch": 1,
            "threads": 1,
            "processes": 1,
            "block": 1,
            "items": job.stop - job.start,
            "seconds": time.monotonic() - begin,
            "restarts": restarts.count,
        }

    def _selftest(self, request: Request, entry: RunnerModel) -> ModelResult:
        """Run golden inputs and compare with golden outputs."""
        restarts = Restarts(self._board, entry)
        job = opened(self._board, request, entry, restarts)
        by_item = dict(answered(self._board, job, restarts))
        by_name = {
            name: np.concatenate([answers[name] for answers in by_item.values()])
            for name in job.opened.outputs
        }
        told = compare_golden(job.request, by_name)
        items = job.stop - job.start
        return {"items": items, "passed": told["passed"], "differences": told["differences"]}

    def _bench(self, request: Request) -> RunnerResult:
        """Time blocks of every model in turn; a board that restarts begins anew."""
        return again(lambda: self._timed(request))

    def _timed(self, request: Request) -> RunnerResult:
        session = self.open(request)
        answer = session.ready()
        alternate(request.to_json(), session.block, answer["models"])
        return answer
