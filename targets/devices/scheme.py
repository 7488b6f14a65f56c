"""A scheme of device addresses: what is behind ``ssh`` of ``ssh://…``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.device import Device, DeviceName, Workplace
from edgekit.types import Progress


def never(address: str) -> bool:  # noqa: ARG001
    """Return False, for any address."""
    return False


@dataclass(frozen=True)
class AddressScheme:
    """One way to reach a device by address.

    ``form`` is how an address reads, for help and errors. ``check`` raises
    :class:`DeviceNameError` where an address is malformed, without reaching anything. ``runtimes``
    may follow an address after ``#``; without one the device's own choice is taken, see ``open``.
    ``open`` reaches the device; it raises :class:`DeviceError` where it is not there.

    Optional: ``connect`` gives the shell on a device, for runtimes to be installed and removed
    there; ``create`` makes the device of an address itself, and ``remove`` deletes it: each gives
    its folder on this host. ``on_host`` tells whether the device of an address runs on this host's
    own processors, so that it disturbs what is measured here.
    """

    form: str
    check: Callable[[str], None]
    runtimes: tuple[str, ...]
    open: Callable[[DeviceName, Workplace], Device]
    connect: Callable[[str], Connection] | None = None
    create: Callable[[str, Progress], Path] | None = None
    remove: Callable[[str, Progress], Path] | None = None
    on_host: Callable[[str], bool] = never
