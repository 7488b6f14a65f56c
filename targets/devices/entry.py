"""What is told of a device that was tried."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.errors import DeviceError, EdgekitError
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
    hint = error.hint.splitlines()[0] if error.hint else ""
    if isinstance(error, DeviceError) and hint:
        return hint
    return f"{error.message}: {hint}" if hint else error.message
