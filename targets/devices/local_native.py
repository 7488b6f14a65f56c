"""``local:native``: the C runner on this host, through this host's own shell."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass

from edgekit.errors import DeviceError
from edgekit.targets.devices.device import Device, Workplace
from edgekit.targets.devices.names import DeviceName
from edgekit.targets.devices.remote.native import open_native


@dataclass(frozen=True)
class LocalShell:
    """``sh`` on this host, as a connection."""

    folder: str
    address: str = "local"
    pythons: tuple[str, ...] = ()

    def command(self, script: str) -> list[str]:
        """The shell itself."""
        return ["sh", "-c", script]

    def environment(self) -> dict[str, str]:
        """None beyond this process's own."""
        return {}

    def failure(self, status: int, said: str) -> DeviceError | None:  # noqa: ARG002
        """There is nothing between: the script itself ended so."""
        return None


def open_local_native(name: DeviceName, place: Workplace) -> Device:
    """This host's native runner, built now where it is not yet. Raises :class:`DeviceError`."""
    folder = place.folder / f"{os.getpid()}-native-{uuid.uuid4().hex[:12]}"
    return open_native(LocalShell(str(folder.absolute())), name, place, passing=True)
