"""Schemes of device addresses: ``ssh`` of ``ssh://…`` is a file in ``transports``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.errors import DeviceNameError, did_you_mean
from edgekit.targets.devices import transports

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.targets.devices.connection import Connection
    from edgekit.targets.devices.device import Device, Workplace
    from edgekit.targets.devices.names import DeviceName
    from edgekit.types import Progress


@dataclass(frozen=True)
class Scheme:
    """One way to reach a device by address.

    ``form`` is how an address reads, for help and errors. ``check`` raises
    :class:`DeviceNameError` where an address is malformed, without reaching anything. ``runtimes``
    may follow an address after ``#``; without one the device's own choice is taken, see ``open``.
    ``open`` reaches the device; it raises :class:`DeviceError` where it is not there.

    Optional: ``connect`` gives the shell on a device, for runtimes to be installed and removed
    there; ``create`` makes the device of an address itself, and ``remove`` deletes it: each gives
    its folder on this host.
    """

    form: str
    check: Callable[[str], None]
    runtimes: tuple[str, ...]
    open: Callable[[DeviceName, Workplace], Device]
    connect: Callable[[str], Connection] | None = None
    create: Callable[[str, Progress], Path] | None = None
    remove: Callable[[str, Progress], Path] | None = None


def schemes() -> tuple[str, ...]:
    """The schemes that there are."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(transports.__path__)))


def scheme_of(text: str) -> Scheme:
    """The scheme of an address. Raises :class:`DeviceNameError` where it is none of ours."""
    name = text.partition("://")[0]
    if name not in schemes():
        known = [f"{one}://" for one in schemes()]
        message = f"{text!r}: there is no way to reach {name}://{did_you_mean(name, schemes())}"
        raise DeviceNameError("EK-DEVICE-012", message, f"devices by address: {', '.join(known)}")
    module = importlib.import_module(f"{transports.__name__}.{name}")
    scheme: Scheme = module.SCHEME
    return scheme
