"""Devices under names of the user's: what a name stands for, and what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from edgekit.errors import DeviceNameError, did_you_mean
from edgekit.targets.devices.device import DeviceName
from edgekit.targets.devices.names import ALONE, parse
from edgekit.targets.devices.transports import scheme_of

HERE = "local"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class DeviceBudgets:
    """The most that a bench may find on a device: nanoseconds, and bytes."""

    latency_p50: float | None = None
    latency_p95: float | None = None
    memory: int | None = None
    arena: int | None = None


@dataclass(frozen=True)
class Listed:
    """A device by its ``address``, any name that ``parse`` takes, or a group by its ``members``.

    ``estimates`` says why times there are estimates, where they are. ``benchmark_model`` is the
    path of the platform's own benchmark, for devices without Python. ``attempts`` is how often a
    bench is begun whose device fails, ``time_limit`` the seconds that the device may keep one of
    them.
    """

    name: str
    address: str = ""
    runtime: str = ""
    members: tuple[str, ...] = ()
    budgets: DeviceBudgets = DeviceBudgets()
    estimates: str = ""
    benchmark_model: str = ""
    attempts: int = 1
    time_limit: float | None = None

    @property
    def device(self) -> DeviceName:
        """What is opened. Raises :class:`DeviceNameError`."""
        try:
            return parse(_with_runtime(self.address, self.runtime))
        except DeviceNameError as error:
            if self.name == self.address:
                raise
            raise DeviceNameError(
                error.code, f"{self.name}: {error.message}", error.hint
            ) from error

    @property
    def place(self) -> str:
        """What devices share that disturb each other: ``local``, or the host of an address."""
        scheme, found, rest = self.address.partition("://")
        if not found:
            return HERE
        address = rest.partition("#")[0]
        parts = urlsplit(f"//{address}")
        if parts.hostname in LOOPBACK or scheme_of(self.address).on_host(self.address):
            return HERE
        return f"{scheme}://{parts.netloc.rpartition('@')[2] or address}"


def _with_runtime(address: str, runtime: str) -> str:
    if not runtime:
        return address
    if "://" in address and "#" not in address:
        return f"{address}#{runtime}"
    if address == HERE:
        return runtime if runtime in ALONE else f"{HERE}:{runtime}"
    hint = "leave out one of the two"
    message = f"{address!r} names a runtime, and so does runtime = {runtime!r}"
    raise DeviceNameError("EK-DEVICE-087", message, hint)


@dataclass(frozen=True)
class DeviceBook:
    """The devices that the user has named, by their names."""

    listed: Mapping[str, Listed] = field(default_factory=dict)

    def find(self, name: str) -> Listed:
        """Return the device of a name, or of an address. Raises :class:`DeviceNameError`."""
        listed = self.listed.get(name)
        if listed is None:
            self._check(name)
            return Listed(name, address=name)
        if listed.members:
            hint = f"name one of them: {', '.join(self.expand([name]))}"
            message = f"{name} is a group, and one device is wanted"
            raise DeviceNameError("EK-DEVICE-087", message, hint)
        return listed

    def attempts(self, name: str | None) -> int:
        """Tell how often a bench is begun on a device."""
        found = self.listed.get(name or "")
        return found.attempts if found else 1

    def expand(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the devices that names stand for: groups by their members, each device once, in
        order.

        Raises :class:`DeviceNameError` where a name is not one, or a group contains itself.
        """
        return tuple(dict.fromkeys(one for name in names for one in self._members(name, ())))

    def _members(self, name: str, within: tuple[str, ...]) -> Iterator[str]:
        listed = self.listed.get(name)
        if listed is None:
            self._check(name)
            yield name
        elif not listed.members:
            _ = listed.device
            yield name
        elif name in within:
            path = " → ".join((*within[within.index(name) :], name))
            hint = "take the group out of its own members"
            message = f"the group {name} contains itself: {path}"
            raise DeviceNameError("EK-DEVICE-087", message, hint)
        else:
            for member in listed.members:
                yield from self._members(member, (*within, name))

    def _check(self, name: str) -> None:
        try:
            parse(name)
        except DeviceNameError as error:
            if not self.listed or ":" in name:
                raise
            close = did_you_mean(name, [*self.listed, "local", *ALONE])
            hint = f"your devices: {', '.join(sorted(self.listed))}\n{error.hint}"
            raise DeviceNameError(error.code, f"{name!r} is not a device{close}", hint) from error
