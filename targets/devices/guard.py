"""A device that is let go when its time is up, or when the run is: whatever it is doing then."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from edgekit.errors import DeviceError, EdgekitError
from edgekit.targets.devices.transport import Forwarding, RunnerSession, Transport
from edgekit.types import Request, RunnerResult


class Guard(Forwarding):
    """A :class:`Transport` around another, which may be closed from another thread.

    ``seconds`` is how long all calls together may take, by this host's clock. What is under way
    when they are up ends, and every call raises :class:`DeviceError`.
    """

    def __init__(self, reached: Transport, name: str, seconds: float | None) -> None:
        self.reached, self._name = reached, name
        self._seconds, self._spent = seconds, 0.0
        self._closed = self._expired = False

    def open(self, request: Request) -> GuardedSession:
        return GuardedSession(super().open(request), self)

    def close(self) -> None:
        self._closed = True
        super().close()

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """Wrap every call that the device takes part in."""
        self._check()
        begin = time.monotonic()
        alarm = None
        if self._seconds is not None:
            alarm = threading.Timer(self._seconds - self._spent, self._expire)
            alarm.daemon = True
            alarm.start()
        try:
            yield
        except (EdgekitError, OSError, ValueError) as error:
            # A call that is cut off fails in whatever way it is cut off.
            if self._closed:
                raise self._over() from error
            raise
        finally:
            if alarm is not None:
                alarm.cancel()
            self._spent += time.monotonic() - begin

    def _expire(self) -> None:
        self._expired = True
        self.close()

    def _check(self) -> None:
        if self._seconds is not None and self._spent >= self._seconds:
            self._expired = True
        if self._closed or self._expired:
            raise self._over()

    def _over(self) -> DeviceError:
        if self._expired:
            hint = "raise it under [devices] with time_limit, or measure less"
            message = f"{self._name} took longer than its time limit of {self._seconds:g} s"
            return DeviceError("EK-DEVICE-088", message, hint)
        return DeviceError("EK-DEVICE-089", f"{self._name} was let go", "the run has ended")


class GuardedSession:
    """A session of a device that may be closed from another thread."""

    def __init__(self, session: RunnerSession, guard: Guard) -> None:
        self._session, self._guard = session, guard

    def ready(self) -> RunnerResult:
        with self._guard.around():
            return self._session.ready()

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        with self._guard.around():
            return self._session.block(model, seconds, runs)

    def close(self) -> None:
        self._session.close()
