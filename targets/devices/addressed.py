"""Devices by address, for ``edgekit devices``: tried, set up, created, and left as they were."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from edgekit import scratch
from edgekit.errors import DeviceError, DeviceNameError, EdgekitError, NoPython
from edgekit.process import Limits
from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.device import DeviceName, Workplace
from edgekit.targets.devices.entry import InventoryEntry, on_one_line, tried
from edgekit.targets.devices.proof import PATIENCE, prove
from edgekit.targets.devices.remote import environment as remote_environment
from edgekit.targets.devices.remote.client import Agent
from edgekit.targets.devices.remote.device import Prepared
from edgekit.targets.devices.remote.environment import CHOICE
from edgekit.targets.devices.remote.shell_files import ShellFiles
from edgekit.targets.devices.scheme import AddressScheme
from edgekit.targets.devices.transports import scheme_of, schemes
from edgekit.targets.runners import RUNNERS
from edgekit.types import Progress, Silent, Status

# What a device without Python is told by.
NOTHING = "no runtime is there: edgekit devices setup {}"


def examine(name: DeviceName, folder: Path) -> tuple[InventoryEntry, ...]:
    """Try a device by address: every runtime that it has, or the one that its name asks for.

    Nothing is installed. A device that is not there is one entry, with the reason.
    """
    scheme = scheme_of(name.text)
    try:
        if scheme.connect is None or not _in_python(name):
            return (_opened(scheme, name, _place(folder, Silent())),)
        try:
            with _agent(scheme.connect(name.address), _place(folder, Silent())) as agent:
                return survey(agent, name, _place(folder, Silent()))
        except DeviceError as error:
            if not isinstance(error, NoPython) or name.runtime:
                raise
            # Such a device may have a runtime that needs none.
            return (_opened(scheme, name, _place(folder, Silent())),)
    except EdgekitError as error:
        # What was not reached belongs to the reason.
        why = on_one_line(error)
        return (InventoryEntry(name.text, name.runtime, Status.UNAVAILABLE, "", why),)


def survey(agent: Agent, name: DeviceName, place: Workplace) -> tuple[InventoryEntry, ...]:
    """Run the probe on every runtime that a device has and a name allows. Nothing is installed."""
    wanted = (name.runtime,) if name.runtime else CHOICE
    entries: list[InventoryEntry] = []
    for runtime in wanted:
        for there in remote_environment.matching(agent, runtime, name):
            prepared = remote_environment.prepared(agent, runtime, there)
            text = name.text if name.runtime else f"{name.address}#{runtime}"
            if there.path and not name.version:
                text = f"{name.address}#{there.package}=={there.version}"
            entries.append(_tried(agent, text, prepared, place))
    if entries:
        return tuple(entries)
    message = NOTHING.format(name.text)
    return (InventoryEntry(name.text, name.runtime, Status.UNAVAILABLE, "", message),)


def _tried(agent: Agent, text: str, prepared: Prepared, place: Workplace) -> InventoryEntry:
    where = str(Path(prepared.path[0]).parent) if prepared.path else ""
    probe = partial(remote_environment.run_probe, agent, prepared, place)
    return tried(text, prepared.runtime, prepared.version, probe, where)


def _opened(scheme: AddressScheme, name: DeviceName, place: Workplace) -> InventoryEntry:
    """Return a device that is only opened: what runs there is there already."""
    with contextlib.closing(scheme.open(name, place)) as device:
        probe = partial(prove, device.reached, device.runtime, place.folder / "probe")
        return tried(device.name, device.runtime, device.version, probe)


def set_up(
    name: DeviceName, progress: Progress, source: Path | None = None
) -> tuple[InventoryEntry, ...]:
    """Install what a name asks for on its device, where it is not there yet, and try it.

    ``source`` is a folder of wheels to take instead of those of the package index. Raises
    :class:`DeviceError` where it cannot be had, or does not work there.
    """
    scheme = scheme_of(name.text)
    with scratch.held(prefix="edgekit-devices-") as folder:
        place = _place(folder, progress)
        if scheme.connect is None or not _in_python(name):
            return (_opened(scheme, name, place),)
        with _agent(scheme.connect(name.address), place) as agent:
            made = remote_environment.prepare(agent, name, place, source)
            text = name.text if name.runtime else f"{name.address}#{made.runtime}"
            return (_tried(agent, text, made, place),)


def create(name: DeviceName, progress: Progress) -> Path:
    """Make the device of an address itself, as an emulator is; its folder on this host.

    Raises :class:`DeviceNameError` where such devices are not made, and :class:`DeviceError` where
    it cannot be.
    """
    make = scheme_of(name.text).create if name.address else None
    if make is None:
        able = [f"{one}://…" for one in schemes() if scheme_of(f"{one}://").create is not None]
        message = f"{name.text} is not a device that edgekit creates"
        hint = f"it creates {', '.join(able)}" if able else "no way to reach a device offers it"
        raise DeviceNameError("EK-DEVICE-054", message, hint)
    return make(name.address, progress)


def remove(name: DeviceName, progress: Progress) -> str:
    """Delete what edgekit has put on a device, or the environment that a name asks for.

    The folder that is gone: there, or here where the device itself was created here. Raises
    :class:`DeviceError` where there is nothing to delete, or the device is not reached.
    """
    scheme = scheme_of(name.text)
    if name.runtime and not name.version:
        hint = f"name its release, or the whole device: {name.address}"
        raise DeviceNameError("EK-DEVICE-055", f"{name.text} is not an environment", hint)
    if scheme.remove is not None and not name.version:
        return str(scheme.remove(name.address, progress))
    if scheme.connect is None:
        message = f"edgekit keeps nothing on {name.address}"
        raise DeviceError("EK-DEVICE-055", message, "there is nothing to remove")
    with scratch.held(prefix="edgekit-devices-") as folder:
        connection = scheme.connect(name.address)
        try:
            with _agent(connection, _place(folder, progress)) as agent:
                return clear(agent, name)
        except DeviceError as error:
            if not isinstance(error, NoPython) or name.version:
                raise
        ShellFiles(connection, connection.folder).remove()
        return connection.folder


def clear(agent: Agent, name: DeviceName) -> str:
    """Do what :func:`remove` does, over an agent."""
    if not agent.call("environments.made")["there"]:
        hint = f"{agent.hello['folder']} is not there"
        raise DeviceError("EK-DEVICE-055", f"edgekit has put nothing on {name.address}", hint)
    agent.occupy()
    if not name.version:
        return str(agent.call("environments.erase")["folder"])
    unwanted = remote_environment.name_of(agent, name.package, name.version)
    gone = agent.call("environments.remove", name=unwanted)
    if not gone["removed"]:
        hint = f"edgekit devices list {name.address} says which there are"
        raise DeviceError("EK-DEVICE-055", f"there is no environment of {name.text}", hint)
    return str(gone["folder"])


def _in_python(name: DeviceName) -> bool:
    """Tell whether Python runs what a name asks for; other devices are opened as they are."""
    runner = RUNNERS.get(name.runtime)
    return not name.runtime or (runner is not None and runner.file.suffix == ".py")


@contextlib.contextmanager
def _agent(connection: Connection, place: Workplace) -> Iterator[Agent]:
    with contextlib.closing(Agent(connection, place.log, place.progress)) as agent:
        yield agent


def _place(folder: Path, progress: Progress) -> Workplace:
    folder.mkdir(parents=True, exist_ok=True)
    return Workplace(folder, folder / "log.txt", Limits(PATIENCE), progress)
