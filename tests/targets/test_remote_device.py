"""A device behind a shell keeps the device contract, and loses nothing when the shell does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shells import Shell

from edgekit.contracts.device import DeviceContract
from edgekit.process import Limits
from edgekit.targets.devices import Transport
from edgekit.targets.devices.remote.client import Agent
from edgekit.targets.devices.remote.device import RemoteDevice
from edgekit.targets.devices.remote.environment import Prepared


class TestRemoteDevice(DeviceContract):
    def transport(
        self, folder: Path, limits: Limits | None, runners: Mapping[str, Path]
    ) -> Transport:
        home = folder.parent / "home"
        home.mkdir(exist_ok=True)
        agent = Agent(Shell(home), folder.parent / "log.txt")
        prepared = Prepared("litert", "", agent.hello["executable"], ())
        return RemoteDevice(agent, prepared, folder, limits, runners)
