"""The stages of a run, numbered and written down as they go on."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgekit.types import Progress, StagedProgress, StageRecord
from edgekit.types.progress import PROGRESS_FILE

FILE = PROGRESS_FILE
# Of a stage that advances in small steps, at most one line in so many seconds is written.
PAUSE = 0.2


class Journal:
    """Passes on what a run reports, and leaves it in ``progress.jsonl`` of the run's folder.

    The file has one JSON object a line, flushed as it is written, so that another process can
    follow a run. Each has an ``event`` and its ``time``, in seconds since 1970:

    - ``expected``: ``stages``, the names of those to come, in order. The last such line counts;
      stages may be left out or added as the run learns what it needs.
    - ``begun``: ``stage``, its ``number`` and ``of`` how many: "3 of 9". ``number`` is 0 for what
      is done before the first stage. ``of`` may change from line to line.
    - ``advanced``: ``stage``, ``done`` of ``total`` (0 where unknown) and ``text``, what is being
      done. ``done`` may be a fraction, and may go back where a stage has several parts.
    - ``ended``: ``stage``, ``seconds``, ``cached`` (all that it obtained came from the store), and
      ``result``, a few words or none.
    - ``failed``, instead of ``ended``: ``stage``, ``seconds`` and ``reason``, which is
      ``interrupted`` or the first line of the error. The run may go on without the stage.
    - ``stopped``, the last line: ``reason``, which is ``done``, or as above. A run that was killed
      has no such line.

    Stages of several machines go on at once; their names begin with ``<machine>: ``.
    """

    def __init__(
        self,
        progress: Progress,
        path: Path,
        watch: Callable[[str, float, float], None] | None = None,
    ) -> None:
        self._progress, self._path, self._watch = progress, path, watch
        self._file: Any = None
        self._lock = threading.RLock()
        self._expected: list[str] = []
        self._begun = 0
        self._open: list[str] = []
        self._nested: list[str] = []
        # What was begun by nobody's stage, and when: it ends when a stage begins.
        self._between: tuple[str, float] | None = None
        self._written: dict[str, float] = {}

    def expect(self, stages: Sequence[str]) -> None:
        """Report the stages that are to come, in order."""
        with self._lock:
            self._expected = list(stages)
            self._write("expected", stages=self._expected)

    def begin(self, stage: str) -> None:
        """Report that a stage begins; those expected before it are not to come any more.

        Inside another stage of the same machine it is a step of that one.
        """
        with self._lock:
            self._end_between()
            outer = next((one for one in self._open if _machine(one) == _machine(stage)), None)
            if outer is not None:
                self._nested.append(stage)
                self.advance(outer, 0, 0, stage)
                return
            self._begun += 1
            self._skip(stage)
            of = self._begun + len(self._expected)
            self._open.append(stage)
            self._began(stage, self._begun, of)

    def advance(self, stage: str, done: float, total: float, text: str) -> None:
        """Report that a stage has come to ``done`` of ``total``."""
        with self._lock:
            if isinstance(self._progress, StagedProgress):
                self._progress.advance(stage, done, total, text)
            else:
                self._progress.update(done, total, text)
            now = time.monotonic()
            if now - self._written.get(stage, -PAUSE) >= PAUSE or (total and done >= total):
                self._written[stage] = now
                self._write("advanced", stage=stage, done=done, total=total, text=text)
        if self._watch is not None:
            self._watch(stage, done, total)

    def end(self, record: StageRecord) -> None:
        """Report that a stage ended, and with what."""
        with self._lock:
            if record.name in self._nested:
                self._nested.remove(record.name)
                return
            self._open.remove(record.name)
            self._ended(record)

    def fail(self, stage: str, seconds: float, error: BaseException | str) -> None:
        """Report that a stage was left by an error, or by an interruption."""
        with self._lock:
            if stage in self._nested:
                self._nested.remove(stage)
                return
            self._open.remove(stage)
            reason = error if isinstance(error, str) else _reason(error)
            if isinstance(self._progress, StagedProgress):
                self._progress.fail(stage, seconds, reason)
            self._write("failed", stage=stage, seconds=seconds, reason=reason)

    def stage(self, name: str) -> None:
        """Report a step of the current stage; where there is none, what is done meanwhile."""
        with self._lock:
            if self._open:
                self.advance(self._open[-1], 0, 0, name)
                return
            self._end_between()
            self._between = (name, time.monotonic())
            self._began(name, 0, 0)

    def update(self, done: float, total: float, text: str) -> None:
        """Report that the current stage has come to ``done`` of ``total``."""
        with self._lock:
            current = self._open[-1] if self._open else self._between and self._between[0]
        if current:
            self.advance(current, done, total, text)

    def close(self, error: BaseException | None = None) -> None:
        """Write the last line: how the run ended."""
        with self._lock:
            self._end_between()
            self._write("stopped", reason=_reason(error))
            if self._file is not None:
                # A full disk has been told of already.
                with contextlib.suppress(OSError):
                    self._file.close()
            self._file = None

    def _skip(self, stage: str) -> None:
        """Take a stage, and those of the same machine before it, from what is expected."""
        if stage not in self._expected:
            return
        at, machine = self._expected.index(stage), _machine(stage)
        before = [one for one in self._expected[:at] if _machine(one) != machine]
        self._expected = [*before, *self._expected[at + 1 :]]

    def _end_between(self) -> None:
        if self._between is not None:
            name, begun = self._between
            self._between = None
            self._ended(StageRecord(name, round(time.monotonic() - begun, 3), False))

    def _began(self, stage: str, number: int, of: int) -> None:
        self._written.pop(stage, None)
        if isinstance(self._progress, StagedProgress):
            self._progress.begin(stage, number, of)
        else:
            self._progress.stage(stage)
        self._write("begun", stage=stage, number=number, of=of)

    def _ended(self, record: StageRecord) -> None:
        if isinstance(self._progress, StagedProgress):
            self._progress.end(record)
        self._write(
            "ended",
            stage=record.name,
            seconds=record.seconds,
            cached=record.cached,
            result=record.result,
        )

    def _write(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, "time": round(time.time(), 3), **fields})
        # What follows a run is no reason to end it: a disk that is full stops its own stage.
        with contextlib.suppress(OSError):
            if self._file is None:
                self._file = self._path.open("a", encoding="utf-8")
            self._file.write(f"{line}\n")
            self._file.flush()


def _machine(stage: str) -> str:
    return stage.rpartition(": ")[0]


def _reason(error: BaseException | None) -> str:
    if error is None:
        return "done"
    if isinstance(error, KeyboardInterrupt | GeneratorExit):
        return "interrupted"
    return (str(error) or type(error).__name__).splitlines()[0]
