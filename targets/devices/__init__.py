"""How to reach a device: this host first."""

from edgekit.targets.devices.device import Device, open_device
from edgekit.targets.devices.names import DeviceName, parse
from edgekit.targets.devices.transport import RunnerSession, Transport

__all__ = ["Device", "DeviceName", "RunnerSession", "Transport", "open_device", "parse"]
