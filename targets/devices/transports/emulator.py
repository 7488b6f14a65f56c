"""``emulator://arm64`` and ``armhf``: real Arm binaries on this host, for correctness.

A Debian user-space under qemu-user. What it takes says nothing of any device: its facts say that
its times are estimates, and no latency of it satisfies a budget.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import DeviceError, DeviceNameError, did_you_mean
from edgekit.targets.devices import remote
from edgekit.targets.devices.device import Device, DeviceName, Workplace
from edgekit.targets.devices.remote import debian_root, user_emulation
from edgekit.targets.devices.remote.debian_root import PROCESSORS, DebianRoot
from edgekit.targets.devices.remote.user_emulation import UserEmulation
from edgekit.targets.devices.scheme import AddressScheme
from edgekit.types import Progress

FORM = "emulator://arm64, emulator://armhf"
PREFIX = "emulator://"
# What this machine's uname says where a program of the architecture is its own.
NATIVE = {"arm64": ("aarch64", "arm64"), "armhf": ("armv7l", "armv8l")}
FOLDER = ".edgekit"
RUNTIMES = ("litert", "tflite-runtime", "reference")
IMPOSSIBLE, NOT_CREATED = "EK-DEVICE-060", "EK-DEVICE-061"


@dataclass(frozen=True)
class EmulatorConnection:
    """A shell in a Debian root of another processor; a :class:`Connection`."""

    address: str
    root: Path
    emulation: UserEmulation
    folder: str = FOLDER
    pythons: tuple[str, ...] = ()

    def command(self, script: str) -> list[str]:
        return self.emulation.command(self.root, script)

    def environment(self) -> dict[str, str]:
        """Return this process's own: unshare is found there. What runs on the device sees none
        of it.
        """
        return dict(os.environ)

    def failure(self, status: int, said: str) -> DeviceError | None:
        return user_emulation.failure(self.emulation, status, said)


def create(address: str, progress: Progress) -> Path:
    """Make the user-space of an address, where it is not made yet; its folder.

    Raises :class:`DeviceError` where this host cannot run it, or its packages cannot be had.
    """
    return debian_root.make(_root(address), progress)


def remove(address: str, progress: Progress) -> Path:
    """Delete it, with the environments and files that were pushed there; the folder that is gone.

    Raises :class:`DeviceError` where there is none.
    """
    _check(address)
    return debian_root.remove(DebianRoot(address.removeprefix(PREFIX)), progress)


def connect(address: str) -> EmulatorConnection:
    """Return a connection to an emulated device that was created. Raises :class:`DeviceError`."""
    root = _root(address)
    if not root.made:
        hint = f"create it: edgekit devices create {address}"
        raise DeviceError(NOT_CREATED, f"{address} is not created yet", hint)
    emulation = user_emulation.user_emulation(root.processor)
    return EmulatorConnection(address, root.folder, emulation)


def _root(address: str) -> DebianRoot:
    _check(address)
    architecture = address.removeprefix(PREFIX)
    if os.uname().machine in NATIVE[architecture]:
        hint = "this host is one: its runtimes are local and local:RUNTIME"
        raise DeviceError(IMPOSSIBLE, f"{architecture} is not emulated here", hint)
    return DebianRoot(architecture)


def _check(address: str) -> None:
    architecture = address.removeprefix(PREFIX)
    if architecture not in PROCESSORS:
        close = did_you_mean(architecture, tuple(PROCESSORS))
        message = f"{address!r}: no emulated device {architecture!r}{close}"
        raise DeviceNameError("EK-DEVICE-012", message, f"emulated devices: {FORM}")


def _open(name: DeviceName, place: Workplace) -> Device:
    return remote.open_remote(connect(name.address), name, place)


SCHEME = AddressScheme(
    form=FORM,
    check=_check,
    runtimes=RUNTIMES,
    open=_open,
    connect=connect,
    create=create,
    remove=remove,
    on_host=lambda _: True,
)
