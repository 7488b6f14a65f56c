"""The state of a training on disk, so that a killed process loses at most a few steps.

A state is one file, ``step-NUMBER.state``: a line of JSON with the SHA-256 and the length of what
follows, then an ``.npz`` of arrays with the memory of the training as JSON. It is written aside,
flushed to the disk and renamed, so that it is there whole or not at all. The file ``last`` says
which was the last.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.store import write_text, writing

Array = npt.NDArray[Any]
MEMORY = "memory"
NAME = re.compile(r"(step|best)-(\d{9})\.state")
# Holds the step of the last state, so that one that was removed is missed.
LAST = "last"
# What the states hold, so that one of an older edgekit is not taken for one of this.
FORMAT = 1


class StateError(ValueError):
    """A state is not what was written: the message says how."""


@dataclass(frozen=True)
class State:
    """Arrays by name after a number of steps, and what else a training remembers, as JSON."""

    step: int
    arrays: Mapping[str, Array]
    memory: Mapping[str, Any] = field(default_factory=dict)


class StateFolder:
    """The last states of one training, and the weights of its best epoch, in one folder."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self._keep = keep

    def save(self, state: State) -> None:
        """Write a state, and remove the oldest. Raises :class:`StoreError` on a full disk."""
        self._write("step", state)
        self._note_last(state.step)
        states = self._steps("step")
        for step in states[self._keep :]:
            self._path("step", step).unlink(missing_ok=True)

    def save_best(self, state: State, referenced: set[int]) -> None:
        """Write the weights of the best epoch so far; those of ``referenced`` steps stay."""
        self._write("best", state)
        for step in self._steps("best"):
            if step != state.step and step not in referenced:
                self._path("best", step).unlink(missing_ok=True)

    def best(self, step: int) -> State:
        """Read the best weights of a step. Raises :class:`StateError` where they are damaged."""
        return read(self._path("best", step), step)

    def last(self) -> tuple[State | None, tuple[str, ...]]:
        """Read the last intact state, and say in words which were damaged or gone, and how.

        A state whose best weights are damaged counts as damaged.
        """
        notices: list[str] = []
        for part in self.folder.glob("*.part"):
            part.unlink(missing_ok=True)
        steps = self._steps("step")
        if (noted := self._noted_last()) > max(steps, default=0):
            notices.append(f"the state of training at step {noted} is missing")
        for step in steps:
            try:
                state = read(self._path("step", step), step)
                if (best := (state.memory.get("best") or {}).get("step")) is not None:
                    self.best(best)
                return state, tuple(notices)
            except StateError as error:
                notices.append(f"the state of training at step {step} is damaged: {error}")
        return None, tuple(notices)

    def before(self, step: int) -> tuple[State | None, tuple[str, ...]]:
        """Remove the states from a step on, and return the last intact one before it."""
        self.forget(step - 1)
        return self.last()

    def forget(self, step: int) -> None:
        """Remove the states after a step: they are damaged, and would be found again."""
        for other in self._steps("step"):
            if other > step:
                self._path("step", other).unlink(missing_ok=True)
        self._note_last(max(self._steps("step"), default=0))

    def clear(self) -> None:
        """Remove all states."""
        for kind in ("step", "best"):
            for step in self._steps(kind):
                self._path(kind, step).unlink(missing_ok=True)
        (self.folder / LAST).unlink(missing_ok=True)

    def _note_last(self, step: int) -> None:
        if self.folder.is_dir():
            write_text(self.folder / LAST, str(step))

    def _noted_last(self) -> int:
        """Return the step of the last state that was written; 0 where none is on record."""
        try:
            return int((self.folder / LAST).read_text())
        except (OSError, ValueError):
            return 0

    def _write(self, kind: str, state: State) -> None:
        path = self._path(kind, state.step)
        memory = json.dumps({"format": FORMAT, "step": state.step, **state.memory}).encode()
        content = io.BytesIO()
        arrays: dict[str, Any] = {**state.arrays, MEMORY: np.frombuffer(memory, np.uint8)}
        np.savez(content, **arrays)
        body = content.getbuffer()
        head = json.dumps({"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)})
        part = path.with_suffix(".part")
        with writing(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                _write_through(part, head.encode() + b"\n", body)
                part.replace(path)
            except OSError:
                part.unlink(missing_ok=True)
                raise
        _flush_names(self.folder)

    def _steps(self, kind: str) -> list[int]:
        """List the steps of a kind of state, the last first."""
        found = [NAME.fullmatch(path.name) for path in self.folder.glob(f"{kind}-*.state")]
        return sorted((int(match[2]) for match in found if match), reverse=True)

    def _path(self, kind: str, step: int) -> Path:
        return self.folder / f"{kind}-{step:09d}.state"


def read(path: Path, step: int) -> State:
    """Read one state. Raises :class:`StateError` where it is missing, cut short or changed."""
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        stated = json.loads(head)
        if len(body) != stated["bytes"]:
            raise StateError(f"{len(body):,} of {stated['bytes']:,} bytes are there")
        if hashlib.sha256(body).hexdigest() != stated["sha256"]:
            raise StateError("its bytes are not those that were written")
        with np.load(io.BytesIO(body), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        memory = json.loads(arrays.pop(MEMORY).tobytes())
    except StateError:
        raise
    except FileNotFoundError:
        raise StateError(f"{path.name} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateError(f"{path.name} cannot be read") from error
    if memory.pop("format") != FORMAT or memory.pop("step") != step:
        raise StateError(f"{path.name} is another training's")
    return State(step, arrays, memory)


def _write_through(path: Path, *parts: bytes | memoryview) -> None:
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def _flush_names(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
