"""``serial:///dev/ttyACM0``: a microcontroller with edgekit's sample firmware, on a serial port."""

from __future__ import annotations

import re

from edgekit.errors import DeviceNameError
from edgekit.targets.devices.device import Device, DeviceName, Workplace
from edgekit.targets.devices.microcontroller.device import Microcontroller
from edgekit.targets.devices.microcontroller.job import RUNTIME
from edgekit.targets.devices.microcontroller.link import Link
from edgekit.targets.devices.scheme import AddressScheme

FORM = "serial://PORT[@BAUD]"
# What most boards and their examples use; a port over USB alone ignores it.
BAUD = 115_200
FASTEST = 12_000_000
ADDRESS = re.compile(r"serial://(/[^\s\x00]*?[^/\s\x00])(?:@([0-9]+))?")


def parse(address: str) -> tuple[str, int]:
    """Return the port's path and the baud rate. Raises :class:`DeviceNameError`."""
    match = ADDRESS.fullmatch(address)
    if match is None:
        hint = f"{FORM}, such as serial:///dev/ttyACM0 or serial:///dev/ttyUSB0@921600"
        raise DeviceNameError("EK-DEVICE-012", f"{address!r} names no serial port", hint)
    baud = int(match[2] or BAUD)
    if not 0 < baud <= FASTEST:
        message = f"{address!r}: {baud} is not a baud rate"
        raise DeviceNameError("EK-DEVICE-012", message, f"1 to {FASTEST}, {BAUD} by default")
    return match[1], baud


def check(address: str) -> None:
    """Raise :class:`DeviceNameError` where an address is malformed."""
    parse(address)


def open_serial(name: DeviceName, place: Workplace) -> Device:
    """Reach the board. Raises :class:`DeviceError` where nothing of ours answers there."""
    if name.version:
        hint = "the runtime is in the firmware: flash another one, and leave out #…"
        raise DeviceNameError("EK-DEVICE-012", f"{name.text!r}: no release can be chosen", hint)
    path, baud = parse(name.address)
    reached = Microcontroller(Link(path, baud, place.log), place.limits)
    return Device(name.text, RUNTIME, reached.version, reached)


SCHEME = AddressScheme(form=FORM, check=check, runtimes=(RUNTIME,), open=open_serial)
