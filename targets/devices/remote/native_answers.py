"""What a native runner gives: a loaded model's phases, an evaluation's answers, what it refuses."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.errors import EdgekitError, RunnerError, RuntimeCannotRun, StoreError
from edgekit.targets.devices.culprit import Range
from edgekit.targets.devices.failures import models_of
from edgekit.targets.devices.remote.native_model import Opened, Outputs
from edgekit.types import Json


@dataclass
class Loaded:
    """A model in a process: what it is, its phases, and its number of items there."""

    opened: Opened
    items: range
    first_ns: int = 0
    memory: Mapping[str, int] = field(default_factory=dict)


class Answering:
    """An evaluation of items ``start`` to ``stop``, of which those before ``done`` are here."""

    def __init__(self, folder: Path, start: int, stop: int) -> None:
        self._folder, self.start, self.stop = folder, start, stop
        self.done = start
        self._outputs: Outputs | None = None

    @property
    def paths(self) -> Mapping[str, Path]:
        """The outputs' files, by name."""
        return self._outputs.paths if self._outputs else {}

    def open(self, found: Opened) -> None:
        """Make the files, the first time."""
        self._outputs = self._outputs or Outputs(self._folder, found.outputs, self.stop)

    def take(self, first: int, last: int, payload: bytes) -> None:
        """Keep a block, whose items are counted from ``start`` on.

        Raises ``ValueError`` where :meth:`open` has made no files for it.
        """
        if self._outputs is None:
            raise ValueError("a block came before its model")
        self._outputs.take(self.start + first, self.start + last, payload)
        self.done = self.start + last

    def at(self, running: Range | None) -> Range | None:
        """What a runner was at, in positions of the request."""
        return (self.start + running[0], self.start + running[1]) if running else None

    def close(self) -> None:
        """Write what is held; a second time does nothing. Raises OSError."""
        if self._outputs is not None:
            self._outputs.close()

    def drop(self) -> None:
        """Let the files go, where an error is on its way already."""
        with contextlib.suppress(OSError):
            self.close()


def phases(loaded: Loaded) -> dict[str, Json]:
    """What a result says of a loaded model."""
    return {
        "load_ns": loaded.opened.load_ns, "first_ns": loaded.first_ns,
        "memory": dict(loaded.memory),
    }  # fmt: skip


def refusal(request: Mapping[str, Json], why: str) -> RunnerError:
    """The error of what the native runner does not take."""
    return RuntimeCannotRun("EK-RUNNER-002", f"native cannot run {models_of(request)}", why)


def full(request: Mapping[str, Json], error: OSError) -> EdgekitError:
    """The error of a file of this host that cannot be written."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return refusal(request, str(error))
    hint = "free some space, or choose another disk with --output DIR"
    return StoreError("EK-STORE-001", f"no space left for what {models_of(request)} answers", hint)
