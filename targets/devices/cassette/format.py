"""The format that cassettes are written in, by its number, and how an older one is read."""

from __future__ import annotations

from edgekit.types import Json

FORMAT = 2


class NewerFormat(Exception):
    """A cassette was written by a newer edgekit, in the format that this is."""


def of_format_1(value: Json, within: str = "") -> Json:
    """Return a value of format 1 as format 2 has it: why times are estimates, instead of what
    emulates the device.
    """
    if isinstance(value, list):
        return [of_format_1(one, within) for one in value]
    if not isinstance(value, dict):
        return value
    changed = {name: of_format_1(one, name) for name, one in value.items()}
    if (emulator := changed.pop("emulated", None)) is not None:
        # Of a page of the book it was yes or no.
        reason = "emulated" if emulator is True else f"emulated ({emulator})"
        changed["declared" if within == "device" else "estimates"] = reason if emulator else ""
    return changed
