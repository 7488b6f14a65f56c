"""The devices of one run: each is reached once, whatever uses it, and let go at the end."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from edgekit.targets.devices.device import Device, Workplace, open_device
from edgekit.types import Progress


class DevicePool:
    """Devices by name. Leaving it closes them."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._open: dict[str, Device] = {}
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> DevicePool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, name: str, progress: Progress | None = None) -> Device:
        """The device of a name, reached now where it is not yet. Raises :class:`DeviceError`."""
        if name not in self._open:
            place = replace(self._place, progress=progress or self._place.progress)
            device = open_device(name, place.folder, place.log, place.limits, place.progress)
            self._exit.callback(device.close)
            self._open[name] = device
        return self._open[name]

    def close(self) -> None:
        """Let every device go; a second time does nothing."""
        self._open.clear()
        self._exit.close()
