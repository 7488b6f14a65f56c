"""One use of a board: its turn, its limits, what a restart costs, and models that take turns."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from edgekit.errors import ConnectionLost, RunnerCrashed, RunnerHung, RuntimeCannotRun
from edgekit.process import Limits
from edgekit.targets.devices.failures import models_of
from edgekit.targets.devices.microcontroller.board import Board
from edgekit.targets.devices.microcontroller.job import BoardJob
from edgekit.targets.devices.microcontroller.link import GONE, BoardError, OutOfTime, Restarted
from edgekit.targets.runners import python_runner
from edgekit.targets.runners.python_runner import STAGED
from edgekit.types import ModelResult, Request, RunnerModel, RunnerResult

# How often in a row one item may make a board begin anew, and how often a board may in one request.
CRASHES, RESTARTS = 3, 20


@contextlib.contextmanager
def using(board: Board, request: Request, limits: Limits) -> Iterator[None]:
    """Yield a turn with a board. What it raises on the way becomes :class:`RunnerError`, or
    :class:`ConnectionLost` where the board began anew.
    """
    models = models_of(request)
    who, seconds = f"{board.hello.name} at {board.link.path}", limits.seconds
    with board.turn:
        board.link.deadline = None if seconds is None else time.monotonic() + seconds
        try:
            yield
        except (BoardError, ValueError) as error:
            why = error.why if isinstance(error, BoardError) else str(error)
            hint = "\n".join(part for part in (why, board.link.said()) if part)
            raise RuntimeCannotRun("EK-RUNNER-002", f"{who} cannot run {models}", hint) from error
        except OutOfTime as error:
            limit = f"than its limit of {seconds:g} s" if seconds else "than anyone waits"
            message = f"{who} took longer on {models} {limit}"
            hint = "raise it under [limits] in edgekit.toml; reset the board if it hangs"
            raise RunnerHung("EK-RUNNER-003", message, hint) from error
        except GONE as error:
            raise board.link.lost(_how(error)) from error
        finally:
            board.link.deadline = None


class Restarts:
    """How often a board began anew in one request, and where."""

    def __init__(self, board: Board, entry: RunnerModel) -> None:
        self.count = 0
        self._board, self._model = board, entry.id
        self._at: int | None = None
        self._in_a_row = 0

    def recover(self, error: Exception, item: int | None) -> None:
        """Have the board again after it was gone at an item, or while the model was opened.

        Raises :class:`RunnerError` where the same item made it go too often, and
        :class:`ConnectionLost` where it does not come back or goes too often.
        """
        self.count += 1
        self._in_a_row = self._in_a_row + 1 if item == self._at else 1
        self._at = item
        path = self._board.link.path
        if self._in_a_row >= CRASHES:
            where = "while it was opened" if item is None else f"at item {item}"
            message = f"{path}: the board began anew {CRASHES} times on {self._model} {where}"
            hint = "its firmware crashes there: a stack or an arena that is too small\n"
            raise RunnerCrashed("EK-RUNNER-001", message, hint + self._board.link.said(), item)
        if self.count > RESTARTS:
            hint = "look at its power supply, its cable, and a watchdog in its firmware"
            message = f"{path}: the board began anew {self.count} times; {_how(error)} at last"
            raise ConnectionLost("EK-DEVICE-086", message, hint)
        self._board.reconnect()


def opened(board: Board, request: Request, entry: RunnerModel, restarts: Restarts) -> BoardJob:
    """Return a model of a request, open on the board. Raises what :class:`BoardJob` raises."""
    while True:
        try:
            return BoardJob(request, entry, board)
        except GONE as error:
            restarts.recover(error, None)


def answered(board: Board, job: BoardJob, restarts: Restarts) -> Iterator[tuple[int, Any]]:
    """Return every item's answers (float32 by name), in order.

    Where the board began anew, it goes on with the item that was running; from the first one,
    where answers depend on those before.
    """
    at = job.start
    while at < job.stop:
        try:
            if board.opened is None:
                job.again(board)
            feeds = job.feeds(job.model, at, at + 1)
            answers = python_runner.run_items(job, job.model, feeds, 1, at)
        except GONE as error:
            restarts.recover(error, at)
            if job.streams:
                at = max(job.start, *(begin for begin in job.streams if begin <= at))
            elif job.opened.stateful and not job.reset:
                at = job.start
            continue
        yield at, answers
        at += 1


def _how(error: Exception) -> str:
    return "it restarted" if isinstance(error, Restarted) else f"it was unplugged: {error}"


# Seconds of inferences that one command asks for.
AT_ONCE = 2.0


class BoardSession:
    """Models of one request. The board holds one at a time: another one is opened when its turn
    comes, and runs once before it is timed.
    """

    def __init__(self, board: Board, request: Request, limits: Limits) -> None:
        self._board, self._request, self._limits = board, request, limits
        self._jobs: dict[str, BoardJob] = {}
        self._turns: dict[str, int] = {}
        self._begun = -1

    def ready(self) -> RunnerResult:
        """Open every model anew and run it once; load and first-inference phases."""
        board = self._board
        models: dict[str, ModelResult] = {}
        with using(board, self._request, self._limits):
            board.awake()
            self._begun = board.begun
            for entry in self._request.models:
                job = BoardJob(self._request, entry, board)
                job.model.stage(job.batch_at(job.start))
                (first,) = board.believed(job.model.run(1))
                self._jobs[job.id], self._turns[job.id] = job, 0
                models[job.id] = {**loaded(board, job), "first_ns": first}
        return result(board, self._request, models)

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        """Return nanoseconds of consecutive inferences of one item; the next block takes the
        next one.
        """
        job = self._jobs.get(model)
        if job is None:
            raise RuntimeCannotRun(
                "EK-RUNNER-002", f"{model!r} is not open on {self._board.link.path}"
            )
        board = self._board
        with using(board, self._request, self._limits):
            if board.begun != self._begun:
                raise Restarted
            self._stage(job)
            end, times = time.monotonic() + seconds, list[int]()
            at_once = 1
            while len(times) < runs or time.monotonic() < end:
                times += board.believed(job.model.run(at_once))
                left = end - time.monotonic()
                wanted = max(runs - len(times), int(left * 1e9 / max(times[-1], 1)) + 1)
                at_once = max(1, min(wanted, int(AT_ONCE * 1e9 / max(times[-1], 1))))
        return times

    def close(self) -> None:
        """Do nothing: between two commands nothing runs on the board."""

    def _stage(self, job: BoardJob) -> None:
        board = self._board
        elsewhere = board.opened is not job.opened
        if elsewhere:
            job.again(board)
        count = min(STAGED, job.stop - job.start)
        job.model.stage(job.batch_at(job.start + self._turns[job.id] % count))
        self._turns[job.id] += 1
        if elsewhere:
            job.model.run(1)


def loaded(board: Board, job: BoardJob) -> ModelResult:
    """Return what a result says of a model that is open: bytes that a board does not tell are 0."""
    memory = {"baseline_bytes": 0, "peak_bytes": 0, "arena_used_bytes": job.opened.arena_used}
    return {"load_ns": board.nanoseconds(job.opened.load_ticks), "memory": memory}


def result(board: Board, request: Request, models: Mapping[str, ModelResult]) -> RunnerResult:
    """Return a runner's result, with what the line was like."""
    return {
        "schema": 1,
        "runtime": request.runtime,
        "version": board.hello.runtime,
        "delegate": "none",
        "threads": 1,
        "models": dict(models),
        "link": {"resent": board.link.resent, "damaged": board.link.damaged},
    }
