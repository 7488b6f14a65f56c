"""How to reach a device: this host first."""

from edgekit.targets.devices.book import DeviceBook, DeviceBudgets, Listed
from edgekit.targets.devices.cassette import Tape, tape_of
from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.device import Device, DeviceName, Workplace
from edgekit.targets.devices.names import parse
from edgekit.targets.devices.opening import open_device
from edgekit.targets.devices.pool import DevicePool
from edgekit.targets.devices.scheme import AddressScheme
from edgekit.targets.devices.transport import RunnerSession, Transport

__all__ = [
    "AddressScheme",
    "Connection",
    "Device",
    "DeviceBook",
    "DeviceBudgets",
    "DeviceName",
    "DevicePool",
    "Listed",
    "RunnerSession",
    "Tape",
    "Transport",
    "Workplace",
    "open_device",
    "parse",
    "tape_of",
]
