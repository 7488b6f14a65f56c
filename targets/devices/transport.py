"""What every way to reach a device offers: its facts, one request, and a runner that stays."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Protocol

from edgekit.types import Json, Request, RunnerResult


class RunnerSession(Protocol):
    """A runner that keeps models loaded, so that several can take turns.

    Whoever opened it closes it, before its transport. Called from one thread, but for ``close``.
    """

    def ready(self) -> RunnerResult:
        """Wait until the models are loaded; load and first-inference phases, memory, versions.

        Raises :class:`DeviceError` where the runtime is missing, and :class:`RunnerError` where the
        runner refused a model, crashed, or broke its limits.
        """

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        """Return nanoseconds of consecutive inferences: at least ``runs`` and at least ``seconds``.

        Raises :class:`RunnerError` as ``ready`` does; after a refusal the session goes on. Raises
        :class:`ConnectionLost` where the device went away: the session is over, and a new one may
        be opened.
        """

    def close(self) -> None:
        """End the runner and all it started; a second time does nothing."""


class Transport(Protocol):
    """One place where runners run.

    ``python_runner.py`` describes the fields of requests and results; files in them are the host's.
    A new way to reach hardware is a class of this shape that passes ``edgekit.contracts.device``.

    The run that opened it owns it and closes it. It is called from one thread at a time; only
    ``close`` may come from another, when the device's time is over, and what waits then raises. It
    owns the runners that it starts and what it puts on the device, not the files that a request
    names: those it reads, and writes below ``outputs``.
    """

    def facts(self) -> Mapping[str, Json]:
        """Return what the machine there is: at least ``system``, ``machine`` and ``cpus``.

        ``estimates`` says why times there are estimates, where they are: none satisfies a budget.
        """

    def state(self, core: int | None = None) -> Mapping[str, Json]:
        """Return what changes, as ``agent.machine.state`` gives it; ``core`` is the one that is
        timed.
        """

    def core(self) -> int | None:
        """Return the core that runners with one thread are pinned to; ``None`` where they are
        not.
        """

    def now(self) -> float:
        """Return seconds of a clock that goes forward only: the host's, or that of a recorded
        session.
        """
        return time.monotonic()

    def run(self, request: Request) -> RunnerResult:
        """Run one request to its end, within the limits; the runner's result.

        A connection that drops is made again, and an evaluation goes on with the items that are
        left. Raises :class:`DeviceError` where the runtime is missing or the device stays away, and
        :class:`RunnerError` where the runner refused the model, crashed on it (``item`` says
        where), or broke its limits.
        """

    def open(self, request: Request) -> RunnerSession:
        """Start a runner that keeps the request's models loaded."""

    def close(self) -> None:
        """End the connection, and all that still runs there; a second time does nothing."""


class Forwarding:
    """A :class:`Transport` that asks the one it has ``reached``; children change what differs."""

    reached: Transport

    def around(self) -> contextlib.AbstractContextManager[object]:
        """Return what every call that the device takes part in is made within."""
        return contextlib.nullcontext()

    def facts(self) -> Mapping[str, Json]:
        """Return what the machine there is."""
        with self.around():
            return self.reached.facts()

    def state(self, core: int | None = None) -> Mapping[str, Json]:
        """Return what changes there: temperature, frequency, load, counters."""
        with self.around():
            return self.reached.state(core)

    def core(self) -> int | None:
        """Return the core that runners with one thread are pinned to."""
        with self.around():
            return self.reached.core()

    def now(self) -> float:
        """Return seconds of a clock that goes forward only."""
        return self.reached.now()

    def run(self, request: Request) -> RunnerResult:
        """Run one request to its end; raises what :meth:`Transport.run` raises."""
        with self.around():
            return self.reached.run(request)

    def open(self, request: Request) -> RunnerSession:
        """Start a runner that keeps the request's models loaded."""
        with self.around():
            return self.reached.open(request)

    def close(self) -> None:
        """End the connection, and all that still runs there; a second time does nothing."""
        self.reached.close()
