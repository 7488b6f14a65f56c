"""How to reach a device: this host first."""

from edgekit.targets.devices.device import Device, open_device
from edgekit.targets.devices.names import DeviceName, parse

__all__ = ["Device", "DeviceName", "open_device", "parse"]
