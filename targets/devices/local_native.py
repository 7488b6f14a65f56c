"""This host's native runner: the C program, started through a shell of this host's."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import DeviceError
from edgekit.sandbox import Sandbox
from edgekit.targets.devices.device import Device, DeviceName, Workplace
from edgekit.targets.devices.remote.native import open_native


@dataclass(frozen=True)
class LocalShell:
    """``sh`` on this host, as a connection."""

    folder: str
    address: str = "local"
    pythons: tuple[str, ...] = ()

    def command(self, script: str) -> list[str]:
        """Return the shell itself, in a sandbox: it works on copies, below its folder's parent
        alone.
        """
        place = Path(self.folder).parent
        # The runner itself is one of the copies.
        sandbox = Sandbox(write=(place,), run=(place,))
        return sandbox.command([shutil.which("sh") or "/bin/sh", "-c", script])

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
