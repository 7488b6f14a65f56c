"""How a device behind a shell is opened."""

from __future__ import annotations

from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.device import NATIVE, Device, DeviceName, Workplace
from edgekit.targets.devices.remote.benchmark_model import RUNTIME as BENCHMARK_MODEL
from edgekit.targets.devices.remote.benchmark_model import open_benchmark_model
from edgekit.targets.devices.remote.client import Agent
from edgekit.targets.devices.remote.device import RemoteDevice
from edgekit.targets.devices.remote.environment import prepare
from edgekit.targets.devices.remote.native import open_native

# Runtimes that need no Python there.
WITHOUT_PYTHON = {NATIVE: open_native, BENCHMARK_MODEL: open_benchmark_model}


def open_remote(connection: Connection, name: DeviceName, place: Workplace) -> Device:
    """Return the device at the end of a connection, with the runtime that a name asks for.

    Raises :class:`DeviceError` where it is not reached, or has no such runtime.
    """
    if opener := WITHOUT_PYTHON.get(name.runtime):
        return opener(connection, name, place)
    agent = Agent(connection, place.log, place.progress)
    try:
        prepared = prepare(agent, name, place)
    except BaseException:
        agent.close()
        raise
    reached = RemoteDevice(agent, prepared, place.folder, place.limits, place.runners)
    return Device(name.text, prepared.runtime, prepared.version, reached)
