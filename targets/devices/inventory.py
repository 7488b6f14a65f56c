"""What works now: every runtime of every known device runs the probe."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path

from edgekit.errors import DeviceError, EdgekitError
from edgekit.process import Limits
from edgekit.targets.devices import environment
from edgekit.targets.devices.book import DeviceBook
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.devices.names import ALONE, DeviceName, parse
from edgekit.targets.devices.proof import PATIENCE, prove
from edgekit.targets.runners import RUNNERS
from edgekit.types import Status

# Runtimes tried at once: more would wait for each other on a small board.
AT_ONCE = 2
MISSING = "EK-DEVICE-002"


@dataclass(frozen=True)
class Entry:
    """One device: whether it works now, the runtime's version, and why not and what to do.

    ``name`` is what ``--device`` takes; ``environment`` the folder of a release's own environment;
    ``address`` what the name stands for, where it is one of the user's own.
    """

    name: str
    runtime: str
    status: Status
    version: str
    message: str
    environment: str = ""
    address: str = ""


def known() -> tuple[DeviceName, ...]:
    """The devices of this host: a runtime each, then the environments that are made."""
    installed = [parse(name if name in ALONE else f"local:{name}") for name in RUNNERS]
    return (*installed, *(one.name for one in environment.made()))


def inventory(names: Sequence[str] = (), book: DeviceBook | None = None) -> tuple[Entry, ...]:
    """Try devices by name, without any all that are known. Nothing is installed.

    The user's own of ``book`` are known, too. Raises :class:`DeviceError` where a name is none.
    """
    book = book or DeviceBook()
    named = book.expand(names) or (
        *(one.text for one in known()),
        *(one.name for one in book.listed.values() if not one.members),
    )
    with (
        tempfile.TemporaryDirectory(prefix="edgekit-devices-") as folder,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        paths = [Path(folder) / str(number) for number in range(len(named))]
        return tuple(pool.map(partial(_listed, book), named, paths))


def _listed(book: DeviceBook, name: str, folder: Path) -> Entry:
    """A device under its own name; one of the user's that is none of ours is a row, too."""
    listed = book.find(name)
    if listed.name == listed.address:
        return examine(listed.device, folder)
    try:
        found = examine(listed.device, folder)
    except DeviceError as error:
        found = Entry(name, listed.runtime, Status.UNAVAILABLE, "", _reason(error))
    return replace(found, name=name, address=listed.address)


def examine(name: DeviceName, folder: Path) -> Entry:
    """Build and run the probe on one device of this host, with files in ``folder``."""
    made = environment.environment(name) if name.version else None
    where = str(made.folder) if made else ""
    if made and not made.version:
        message = f"not made yet: edgekit devices setup {name.text}"
        return Entry(name.text, name.runtime, Status.UNAVAILABLE, "", message)
    folder.mkdir(parents=True, exist_ok=True)
    python = made.python if made else None
    device = LocalDevice(folder, folder / "log.txt", Limits(seconds=PATIENCE), python=python)
    try:
        version = prove(device, name.runtime, folder)
    except EdgekitError as error:
        found = made.version if made else _installed(RUNNERS[name.runtime].distribution)
        missing = error.code == MISSING
        status = Status.UNAVAILABLE if missing else Status.FAILED
        return Entry(name.text, name.runtime, status, found, _reason(error), where)
    return Entry(name.text, name.runtime, Status.PASSED, version, "runs a model", where)


def _reason(error: EdgekitError) -> str:
    """Why a device does not work, on one line; a hint of its own is the whole reason."""
    hint = error.hint.splitlines()[0] if error.hint else ""
    if isinstance(error, DeviceError) and hint:
        return hint
    return f"{error.message}: {hint}" if hint else error.message


def _installed(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
