"""The devices of one run: each is reached once, whatever uses it, and let go at the end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgekit.errors import DeviceError
from edgekit.process import Limits
from edgekit.targets.devices.agent.machine import host_facts
from edgekit.targets.devices.book import DeviceBook, Listed
from edgekit.targets.devices.cassette import Tape
from edgekit.targets.devices.device import Device, Workplace
from edgekit.targets.devices.guard import Guard
from edgekit.targets.devices.opening import open_device
from edgekit.types import Json, Progress


class DevicePool:
    """Devices by name, the user's own of ``book`` too. Leaving it closes them.

    With a ``tape``, all that is asked of the devices is recorded, or answered from a record. It may
    be closed from another thread: what is under way then raises :class:`DeviceError`.
    """

    def __init__(
        self, place: Workplace, book: DeviceBook | None = None, tape: Tape | None = None
    ) -> None:
        self.tape = tape or Tape()
        self.book = self.tape.book(book or DeviceBook())
        self._place = place
        self._open: dict[str, Device] = {}
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> DevicePool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def expand(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the devices that names stand for. Raises :class:`DeviceNameError`."""
        return self.tape.expand(names, self.book)

    def open(self, name: str, progress: Progress | None = None) -> Device:
        """Return the device of a name, reached now where it is not yet. Raises
        :class:`DeviceError`.
        """
        with self._lock:
            if name in self._open:
                return self._open[name]
        device = self.tape.open(name, lambda: self._reach(self.book.find(name), progress))
        with self._lock:
            late = self._closed
            if not late:
                self._open[name] = device
        if late:
            device.close()
            raise DeviceError("EK-DEVICE-089", f"{name} was let go", "the run has ended")
        return device

    def _reach(self, listed: Listed, progress: Progress | None) -> Device:
        place = self._place
        seconds = [s for s in (place.limits.seconds, listed.time_limit) if s is not None]
        place = replace(
            place,
            progress=progress or place.progress,
            benchmark_model=listed.benchmark_model,
            limits=Limits(min(seconds, default=None), place.limits.bytes),
        )
        named = listed.device
        device = open_device(named, place)
        return replace(
            device,
            name=listed.name,
            transport=named.transport,
            address="" if listed.name == listed.address else listed.address,
            declared=listed.estimates,
            reached=Guard(device.reached, listed.name, listed.time_limit),
        )

    def host(self) -> Mapping[str, Json]:
        """Return what the machine is that edgekit runs on, or ran on when it was recorded."""
        return self.tape.host(host_facts)

    def forget(self, name: str) -> None:
        """Let a device go that failed, so that it is reached anew."""
        with self._lock:
            device = self._open.pop(name, None)
        if device is not None:
            device.close()

    def close(self) -> None:
        """Let every device go; a second time does nothing."""
        with self._lock, contextlib.ExitStack() as stack:
            self._closed = True
            for device in self._open.values():
                stack.callback(device.close)
            self._open.clear()
