"""What a run does with its devices: uses them, records them, or has them played back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgekit.targets.devices.book import DeviceBook
from edgekit.targets.devices.device import Device
from edgekit.types import Json


class Tape:
    """Devices as they are: nothing is recorded. ``id`` tells records apart, empty without one."""

    id = ""

    def book(self, book: DeviceBook) -> DeviceBook:
        """Return the devices that there are, given those that the user has named."""
        return book

    def expand(self, names: Sequence[str], book: DeviceBook) -> tuple[str, ...]:
        """Return the devices that names stand for. Raises :class:`DeviceNameError`."""
        return book.expand(names)

    def open(self, name: str, reach: Callable[[], Device]) -> Device:  # noqa: ARG002
        """Return the device of a name, which ``reach`` would reach. Raises :class:`DeviceError`."""
        return reach()

    def host(self, facts: Callable[[], Mapping[str, Json]]) -> Mapping[str, Json]:
        """Return what the machine is that edgekit runs on."""
        return facts()
