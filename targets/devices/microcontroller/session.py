"""A session of a board: models that take turns in being timed, by the board's own clock."""

from __future__ import annotations

import time
from collections.abc import Mapping

from edgekit.errors import RuntimeCannotRun
from edgekit.process import Limits
from edgekit.targets.devices.microcontroller.board import Board
from edgekit.targets.devices.microcontroller.job import BoardJob
from edgekit.targets.devices.microcontroller.link import Restarted
from edgekit.targets.devices.microcontroller.use import using
from edgekit.targets.runners.python_runner import STAGED
from edgekit.types import Json

# Seconds of inferences that one command asks for.
AT_ONCE = 2.0


class BoardSession:
    """Models of one request. The board holds one at a time: another one is opened when its turn
    comes, and runs once before it is timed.
    """

    def __init__(self, board: Board, request: Mapping[str, Json], limits: Limits) -> None:
        self._board, self._request, self._limits = board, request, limits
        self._jobs: dict[str, BoardJob] = {}
        self._turns: dict[str, int] = {}
        self._begun = -1

    def ready(self) -> Mapping[str, Json]:
        """Open every model anew and run it once; load and first-inference phases."""
        board = self._board
        models: dict[str, Json] = {}
        with using(board, self._request, self._limits):
            board.awake()
            self._begun = board.begun
            for entry in self._request["models"]:
                job = BoardJob(self._request, entry, board)
                job.model.stage(job.batch_at(job.start))
                (first,) = board.believed(job.model.run(1))
                self._jobs[job.id], self._turns[job.id] = job, 0
                models[job.id] = {**loaded(board, job), "first_ns": first}
        return result(board, self._request, models)

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        """Nanoseconds of consecutive inferences of one item; the next block takes the next one."""
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
            end, found = time.monotonic() + seconds, list[int]()
            at_once = 1
            while len(found) < runs or time.monotonic() < end:
                found += board.believed(job.model.run(at_once))
                left = end - time.monotonic()
                wanted = max(runs - len(found), int(left * 1e9 / max(found[-1], 1)) + 1)
                at_once = max(1, min(wanted, int(AT_ONCE * 1e9 / max(found[-1], 1))))
        return found

    def close(self) -> None:
        """Nothing runs on the board between two commands."""

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


def loaded(board: Board, job: BoardJob) -> Mapping[str, Json]:
    """What a result says of a model that is open: bytes that a board does not tell are 0."""
    memory = {"baseline_bytes": 0, "peak_bytes": 0, "arena_used_bytes": job.opened.arena_used}
    return {"load_ns": board.nanoseconds(job.opened.load_ticks), "memory": memory}


def result(
    board: Board, request: Mapping[str, Json], models: Mapping[str, Json]
) -> Mapping[str, Json]:
    """A runner's result, with what the line was like."""
    return {
        "schema": 1,
        "runtime": request["runtime"],
        "version": board.hello.runtime,
        "delegate": "none",
        "threads": 1,
        "models": dict(models),
        "link": {"resent": board.link.resent, "damaged": board.link.damaged},
    }
