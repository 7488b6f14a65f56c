"""Which Python of a device runs the runners, and with which runtime."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.errors import DeviceError
from edgekit.targets.devices.device import Workplace
from edgekit.targets.devices.names import DeviceName
from edgekit.targets.devices.remote.client import Agent
from edgekit.targets.runners import DISTRIBUTION

# What a device chooses from, the best first.
CHOICE = ("litert", "tflite-runtime")


@dataclass(frozen=True)
class Prepared:
    """A runtime on a device: the Python that runs it, and folders there with its packages."""

    runtime: str
    version: str
    executable: str
    path: tuple[str, ...]


def prepare(agent: Agent, name: DeviceName, place: Workplace) -> Prepared:
    """The runtime of a name, else the best that the device's own Python has.

    Raises :class:`DeviceError` where there is none.
    """
    packages = agent.hello["packages"]
    for runtime in [name.runtime] if name.runtime else CHOICE:
        version = packages.get(DISTRIBUTION[runtime])
        if version and name.version in ("", version) and "numpy" in packages:
            return Prepared(runtime, version, agent.hello["executable"], ())
    wanted = name.package or DISTRIBUTION.get(name.runtime, "a runtime")
    message = f"{agent.address} has no {wanted} with numpy in {agent.hello['executable']}"
    hint = f"edgekit devices setup {agent.address} installs one"
    raise DeviceError("EK-DEVICE-050", message, hint)
