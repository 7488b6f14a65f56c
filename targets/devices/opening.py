"""How a device is opened by its name: on this host, or by the scheme of its address."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgekit.errors import DeviceError, NotInstalled
from edgekit.targets.devices import environment
from edgekit.targets.devices.device import NATIVE, Device, DeviceName, Workplace
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.devices.remote.native import open_native
from edgekit.targets.devices.transports import scheme_of
from edgekit.targets.runners import RUNNERS
from edgekit.walls import Walls


@dataclass(frozen=True)
class LocalShell:
    """``sh`` on this host, as a connection."""

    folder: str
    address: str = "local"
    pythons: tuple[str, ...] = ()

    def command(self, script: str) -> list[str]:
        """Return the shell itself, behind walls: it works on copies, below its folder's parent
        alone.
        """
        place = Path(self.folder).parent
        # The runner itself is one of the copies.
        walls = Walls(write=(place,), run=(place,))
        return walls.command([shutil.which("sh") or "/bin/sh", "-c", script])

    def environment(self) -> dict[str, str]:
        """Tell where a shell may keep what it is fed meanwhile."""
        return {"TMPDIR": str(Path(self.folder).parent)}

    def failure(self, status: int, said: str) -> DeviceError | None:  # noqa: ARG002
        """Return None: no connection lies between, so the script itself ended so."""
        return None


def open_local_native(name: DeviceName, place: Workplace) -> Device:
    """Return this host's native runner, built now where it is not yet. Raises
    :class:`DeviceError`.
    """
    folder = place.folder.absolute() / f"{os.getpid()}-native-{uuid.uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    return open_native(LocalShell(str(folder / "files")), name, place, passing=True)


def open_device(name: DeviceName, place: Workplace) -> Device:
    """Open the device of a name.

    A release that is named is installed into an environment of its own where it is not there yet,
    which ``place.progress`` is told. A device with an address is connected to: close it. Raises
    :class:`DeviceError` where there is no such device, its runtime is not installed, or the release
    cannot be had there.
    """
    if name.address:
        return scheme_of(name.text).open(name, place)
    return _open_local(name, place)


def _open_local(name: DeviceName, place: Workplace) -> Device:
    if name.runtime == NATIVE:
        return open_local_native(name, place)
    if name.version:
        made = environment.obtain(name, place.folder, place.progress)
        reached = LocalDevice(place.folder, place.log, place.limits, python=made.python)
        return Device(name.text, name.runtime, made.version, reached)
    distribution = RUNNERS[name.runtime].distribution
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError as error:
        hint = f"{distribution} is not installed: pip install {distribution}"
        raise NotInstalled("EK-DEVICE-002", f"{name.text} is unavailable", hint) from error
    reached = LocalDevice(place.folder, place.log, place.limits)
    return Device(name.text, name.runtime, version, reached)
