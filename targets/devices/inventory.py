"""What works now: every runtime of every known device runs the probe."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path

from edgekit import scratch
from edgekit.errors import DeviceError, EdgekitError, NotInstalled
from edgekit.process import Limits
from edgekit.targets.devices import addressed, environment
from edgekit.targets.devices.book import DeviceBook
from edgekit.targets.devices.device import NATIVE, DeviceName, Workplace
from edgekit.targets.devices.entry import InventoryEntry, reason
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.devices.names import ALONE, parse
from edgekit.targets.devices.opening import open_device
from edgekit.targets.devices.proof import PATIENCE, prove
from edgekit.targets.runners import RUNNERS
from edgekit.types import Status

# Runtimes tried at once: more would wait for each other on a small board.
AT_ONCE = 2


def known() -> tuple[DeviceName, ...]:
    """Return the devices of this host: a runtime each, then the environments that are made."""
    installed = [parse(name if name in ALONE else f"local:{name}") for name in RUNNERS]
    return (*installed, parse(f"local:{NATIVE}"), *(one.name for one in environment.made()))


def inventory(
    names: Sequence[str] = (), book: DeviceBook | None = None
) -> tuple[InventoryEntry, ...]:
    """Try devices by name, without any all that are known. Nothing is installed.

    The user's own of ``book`` are known, too. A device with an address gives an entry for every
    runtime that works there, or the one that its name asks for. Raises :class:`DeviceError` where
    a name is not one.
    """
    book = book or DeviceBook()
    named = book.expand(names) or (
        *(one.text for one in known()),
        *(one.name for one in book.listed.values() if not one.members),
    )
    with (
        scratch.held(prefix="edgekit-devices-") as folder,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        paths = [folder / str(number) for number in range(len(named))]
        found = pool.map(partial(_listed, book), named, paths)
        return tuple(entry for entries in found for entry in entries)


def _listed(book: DeviceBook, name: str, folder: Path) -> tuple[InventoryEntry, ...]:
    """Return a device under its own name; one that only the user knows is a row, too."""
    listed = book.find(name)
    if listed.name == listed.address:
        return _entries(listed.device, folder)
    try:
        found = _entries(listed.device, folder)
    except DeviceError as error:
        found = (InventoryEntry(name, listed.runtime, Status.UNAVAILABLE, "", reason(error)),)
    return tuple(replace(one, name=name, address=listed.address) for one in found)


def _entries(name: DeviceName, folder: Path) -> tuple[InventoryEntry, ...]:
    return addressed.examine(name, folder) if name.address else (examine(name, folder),)


def examine(name: DeviceName, folder: Path) -> InventoryEntry:
    """Build and run the probe on one device of this host, with files in ``folder``."""
    if name.runtime == NATIVE:
        return _native(name, folder)
    made = environment.environment(name) if name.version else None
    where = str(made.folder) if made else ""
    if made and not made.version:
        message = f"not made yet: edgekit devices setup {name.text}"
        return InventoryEntry(name.text, name.runtime, Status.UNAVAILABLE, "", message)
    folder.mkdir(parents=True, exist_ok=True)
    python = made.python if made else None
    device = LocalDevice(folder, folder / "log.txt", Limits(seconds=PATIENCE), python=python)
    try:
        version = prove(device, name.runtime, folder)
    except EdgekitError as error:
        version = made.version if made else _installed(RUNNERS[name.runtime].distribution)
        missing = isinstance(error, NotInstalled)
        status = Status.UNAVAILABLE if missing else Status.FAILED
        return InventoryEntry(name.text, name.runtime, status, version, reason(error), where)
    return InventoryEntry(name.text, name.runtime, Status.PASSED, version, "runs a model", where)


def _native(name: DeviceName, folder: Path) -> InventoryEntry:
    """Return the C runner: it works where a compiler and LiteRT's C library are here."""
    version = ""
    try:
        with contextlib.closing(
            open_device(name, Workplace(folder, folder / "log.txt", Limits(seconds=PATIENCE)))
        ) as device:
            version = device.version
            prove(device.reached, NATIVE, folder)
    except EdgekitError as error:
        status = Status.FAILED if version else Status.UNAVAILABLE
        return InventoryEntry(
            name.text, NATIVE, status, version, f"{error.message}: {reason(error)}"
        )
    return InventoryEntry(name.text, NATIVE, Status.PASSED, version, "runs a model")


def _installed(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
