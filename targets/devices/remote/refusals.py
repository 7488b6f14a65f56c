"""What an agent could not do, as an error that says why and what to do."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from edgekit.errors import ConnectionLost, DeviceError
from edgekit.types import Json

ANOTHER = "name another folder at the end of the address"
HINTS = {
    errno.ENOSPC: "the disk there is full: free some space, or " + ANOTHER,
    errno.EDQUOT: "the quota there is used up: free some space, or " + ANOTHER,
    errno.EROFS: "that disk is read-only: " + ANOTHER,
    errno.EACCES: "the user there may not write to it: " + ANOTHER,
    errno.EPERM: "the user there may not write to it: " + ANOTHER,
}


class Refusal(DeviceError):
    """A call that the agent refused; ``kind`` is its own word for why."""

    def __init__(self, code: str, message: str, hint: str, kind: str) -> None:
        super().__init__(code, message, hint)
        self.kind = kind


class Damaged(Refusal):
    """A file that came with another content, or that another connection has changed there."""


def refusal(address: str, error: Mapping[str, Json]) -> Refusal | ConnectionLost:
    """The error of an agent's answer."""
    kind, message = str(error["kind"]), str(error["message"])
    if kind == "files":
        text = f"{address}: {error['path'] or 'a file'}: {message}"
        hint = HINTS.get(error["errno"], ANOTHER)
        return Refusal("EK-DEVICE-033", text, hint, kind)
    if kind in ("damaged", "part"):
        hint = "the connection or the disk there changes what it carries"
        return Damaged("EK-DEVICE-035", f"{address}: {message}", hint, kind)
    if kind == "foreign":
        hint = "delete it by hand if it may go"
        return Refusal("EK-DEVICE-036", f"{address}: {message}", hint, kind)
    if kind == "unlocked":
        # The device was taken over a connection that ended before the job was sent.
        return ConnectionLost("EK-DEVICE-030", f"{address} went away: {message}")
    trace = "\n".join(str(line) for line in error.get("trace", ()))
    return Refusal("EK-DEVICE-034", f"{address}: edgekit's agent failed: {message}", trace, kind)
