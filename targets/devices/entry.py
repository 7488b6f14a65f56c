"""What is told of a device that was tried, and the trial itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgekit.errors import ConnectionLost, DeviceError, EdgekitError
from edgekit.types import Status


@dataclass(frozen=True)
class InventoryEntry:
    """One device: whether it works now, the runtime's version, and why not and what to do.

    ``name`` is what ``--device`` takes; ``environment`` the folder of a runtime's own
    environment, on the device; ``address`` what the name stands for, where it is one of the user's
    own.
    """

    name: str
    runtime: str
    status: Status
    version: str
    message: str
    environment: str = ""
    address: str = ""


def reason(error: EdgekitError) -> str:
    """Tell why a device does not work, on one line; a hint of its own is the whole reason."""
    if isinstance(error, DeviceError) and error.hint:
        return error.hint.splitlines()[0]
    return on_one_line(error)


def on_one_line(error: EdgekitError) -> str:
    """Return an error's message, and the first line of its hint."""
    return ": ".join(filter(None, (error.message, *error.hint.splitlines()[:1])))


def tried(
    name: str, runtime: str, version: str, probe: Callable[[], object], environment: str = ""
) -> InventoryEntry:
    """Run the probe on a device that is there; whether it runs a model.

    Raises :class:`ConnectionLost` where the device went away meanwhile.
    """
    status, message = Status.PASSED, "runs a model"
    try:
        probe()
    except ConnectionLost:
        raise
    except EdgekitError as error:
        status, message = Status.FAILED, reason(error)
    return InventoryEntry(name, runtime, status, version, message, environment)
