"""Devices that are reached through a shell: the host's end of what runs there."""

from edgekit.targets.devices.remote.opening import open_remote

__all__ = ["open_remote"]
