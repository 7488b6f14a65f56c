"""What became known of answers later: right or wrong, or a number; kept in a file of lines."""

from __future__ import annotations

import contextlib
import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit import strict_json
from edgekit.serving.limits import Refused
from edgekit.statistics import Interval
from edgekit.statistics.sequential import mean_sequence, proportion_sequence

# Requests whose arm is remembered, and answers that are not counted a second time.
REMEMBERED = 100_000
COUNTED = 1_000_000
LARGEST_NUMBER = 1e150


@dataclass
class Tally:
    """What is known of one arm's answers."""

    right: int = 0
    judged: int = 0
    numbers: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, correct: bool | None, value: float | None) -> None:
        """Count one answer; the mean and its squares by Welford's method."""
        if correct is not None:
            self.judged += 1
            self.right += correct
        if value is not None:
            self.numbers += 1
            before = value - self.mean
            self.mean += before / self.numbers
            self.squares += before * (value - self.mean)

    @property
    def rate(self) -> Interval:
        """How many of the judged answers are right; the interval holds at every moment."""
        return proportion_sequence(self.right, self.judged)

    @property
    def average(self) -> Interval:
        """The mean of the numbers; the interval holds at every moment."""
        return mean_sequence((self.numbers, self.mean, self.squares))


@dataclass
class Feedback:
    """Tallies by the identity of a version, and the file that outlives the server."""

    path: Path
    tallies: dict[str, Tally] = field(default_factory=dict)
    _of: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _counted: OrderedDict[int, None] = field(default_factory=OrderedDict)

    @classmethod
    def read(cls, path: Path) -> Feedback:
        """Read what earlier servers kept; a damaged line is passed over."""
        feedback = cls(path)
        for line in _lines(path):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                told = strict_json.loads(line)
                identity, name = str(told["version"]), str(told["id"])
                correct, value = told.get("correct"), told.get("value")
                if _is_answer(correct, value) and feedback._first(name):
                    feedback._count(identity, name, correct, value)
        return feedback

    def remember(self, name: str, identity: str) -> None:
        """Keep in mind which version answered a request."""
        self._of[name] = identity
        if len(self._of) > REMEMBERED:
            self._of.popitem(last=False)

    def answered(self, name: str) -> str | None:
        """Return the identity of the version that answered a request, where that is known."""
        return self._of.get(name)

    def add(self, name: str, identity: str, correct: bool | None, value: float | None) -> bool:
        """Count what became known of a request, once; whether it is new.

        Raises :class:`Refused` (503) where it cannot be written: then it does not count.
        """
        if not self._first(name):
            return False
        told: dict[str, Any] = {"version": identity, "id": name}
        told |= {"correct": correct} if correct is not None else {}
        told |= {"value": value} if value is not None else {}
        try:
            _append(self.path, json.dumps(told, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            message = f"not counted, as it cannot be kept: {error.strerror or error}"
            raise Refused(503, message, {"Retry-After": "60"}) from error
        self._count(identity, name, correct, value)
        return True

    def _first(self, name: str) -> bool:
        return hash(name) not in self._counted

    def _count(self, identity: str, name: str, correct: bool | None, value: float | None) -> None:
        self._counted[hash(name)] = None
        if len(self._counted) > COUNTED:
            self._counted.popitem(last=False)
        self.tallies.setdefault(identity, Tally()).add(correct, value)


def checked(correct: Any, value: Any) -> tuple[bool | None, float | None]:
    """Return what a client says of an answer. Raises :class:`Refused` (400) where it says
    nothing.
    """
    if not _is_answer(correct, value):
        raise Refused(400, "say whether the answer was right, or a number: 'correct' or 'value'")
    return correct, None if value is None else float(value)


def _is_answer(correct: Any, value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = value is None or (number and abs(value) < LARGEST_NUMBER)
    return (
        (correct is None or isinstance(correct, bool)) and fits and (correct, value) != (None,) * 2
    )


def _lines(path: Path) -> Iterator[bytes]:
    if path.is_file():
        with path.open("rb") as file:
            yield from file


def _append(path: Path, line: bytes) -> None:
    """Append a line, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        written = 0
        try:
            written = os.write(descriptor, line)
        finally:
            if written != len(line):
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, size)
        if written != len(line):
            raise OSError(28, "No space left on device")
    finally:
        os.close(descriptor)
