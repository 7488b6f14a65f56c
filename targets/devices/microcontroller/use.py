"""One use of a board: its turn, its limits, its errors, and what a restart of it costs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from edgekit.errors import ConnectionLost, RunnerCrashed, RunnerHung, RuntimeCannotRun
from edgekit.process import Limits
from edgekit.targets.devices.microcontroller.board import Board
from edgekit.targets.devices.microcontroller.job import BoardJob
from edgekit.targets.devices.microcontroller.link import GONE, OutOfTime, Refused, Restarted
from edgekit.targets.runners import python_runner
from edgekit.types import Json

# How often in a row one item may make a board begin anew, and how often a board may in one request.
CRASHES, RESTARTS = 3, 20


@contextlib.contextmanager
def using(board: Board, request: Mapping[str, Json], limits: Limits) -> Iterator[None]:
    """A turn with a board. What it raises on the way becomes :class:`RunnerError`, or
    :class:`ConnectionLost` where the board began anew.
    """
    models = ", ".join(str(entry["id"]) for entry in request["models"])
    who, seconds = f"{board.hello.name} at {board.link.path}", limits.seconds
    with board.turn:
        board.link.deadline = None if seconds is None else time.monotonic() + seconds
        try:
            yield
        except (Refused, ValueError) as error:
            why = error.why if isinstance(error, Refused) else str(error)
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

    def __init__(self, board: Board, entry: Mapping[str, Json]) -> None:
        self.count = 0
        self._board, self._model = board, str(entry["id"])
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


def opened(
    board: Board, request: Mapping[str, Json], entry: Mapping[str, Json], restarts: Restarts
) -> BoardJob:
    """A model of a request, open on the board. Raises what :class:`BoardJob` raises."""
    while True:
        try:
            return BoardJob(request, entry, board)
        except GONE as error:
            restarts.recover(error, None)


def answered(board: Board, job: BoardJob, restarts: Restarts) -> Iterator[tuple[int, Any]]:
    """Every item's answers (float32 by name), in order.

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
