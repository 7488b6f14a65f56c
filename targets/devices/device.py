"""A device: one runtime in one place, which takes the requests that runners take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgekit.errors import NotInstalled
from edgekit.process import Limits
from edgekit.targets.devices import environment
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.devices.names import NATIVE, DeviceName, parse
from edgekit.targets.devices.scheme import scheme_of
from edgekit.targets.devices.transport import RunnerSession, Transport
from edgekit.targets.runners import RUNNERS
from edgekit.types import Json, Progress, Silent


@dataclass(frozen=True)
class Workplace:
    """What opening a device needs of the host.

    Requests and the like lie in ``folder``, runners write to ``log``. ``benchmark_model`` is the
    path of the platform's own benchmark, where one is named.
    """

    folder: Path
    log: Path
    limits: Limits
    progress: Progress
    benchmark_model: str = ""


@dataclass(frozen=True)
class Device:
    """What ``--device`` names: its name, the runtime and its version, and how it is reached.

    ``transport`` is as in its :class:`DeviceName`; ``address`` what the name stands for, where it
    is one of the user's own; ``emulated`` how that is known, where no latency is the device's.
    """

    name: str
    runtime: str
    version: str
    reached: Transport
    transport: str = "local"
    address: str = ""
    emulated: str = ""

    def facts(self) -> Mapping[str, Json]:
        """What the machine is, with the runtime."""
        stated = {"emulated": self.emulated} if self.emulated else {}
        about = {"runtime": self.runtime, "version": self.version}
        return {**stated, **self.reached.facts(), **about}

    def state(self, core: int | None = None) -> Mapping[str, Json]:
        """What changes there: temperature, frequency, load, counters."""
        return self.reached.state(core)

    def core(self) -> int | None:
        """The core that runners with one thread are pinned to."""
        return self.reached.core()

    def now(self) -> float:
        """Seconds of a clock that goes forward only."""
        return self.reached.now()

    def run(self, request: Mapping[str, Json]) -> Mapping[str, Json]:
        """Run one request to its end; raises what :meth:`Transport.run` raises."""
        return self.reached.run({**request, "runtime": self.runtime})

    def open(self, request: Mapping[str, Json]) -> RunnerSession:
        """Start a runner that keeps the request's models loaded."""
        return self.reached.open({**request, "runtime": self.runtime})

    def close(self) -> None:
        """End the connection, and all that still runs there."""
        self.reached.close()


def open_device(
    name: str, folder: Path, log: Path, limits: Limits | None = None,
    progress: Progress | None = None, benchmark_model: str = "",
) -> Device:  # fmt: skip
    """The device of a name; requests lie in ``folder``, runners write to ``log``.

    A release that is named is installed into an environment of its own where it is not there yet,
    which ``progress`` is told. A device with an address is connected to: close it. Raises
    :class:`DeviceError` where there is no such device, its runtime is not installed, or the release
    cannot be had there.
    """
    parsed = parse(name)
    place = Workplace(folder, log, limits or Limits(), progress or Silent(), benchmark_model)
    if parsed.address:
        return scheme_of(name).open(parsed, place)
    return _open_local(parsed, place)


def _open_local(name: DeviceName, place: Workplace) -> Device:
    if name.runtime == NATIVE:
        # Which imports this module: it opens devices too.
        from edgekit.targets.devices.local_native import open_local_native

        return open_local_native(name, place)
    if name.version:
        made = environment.obtain(name, place.folder, place.progress)
        reached = LocalDevice(place.folder, place.log, place.limits, python=made.python)
        return Device(name.text, name.runtime, made.version, reached)
    distribution = RUNNERS[name.runtime].distribution
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError as error:
        hint = f"{distribution} is not installed: pip install {distribution}"
        raise NotInstalled("EK-DEVICE-002", f"{name.text} is unavailable", hint) from error
    reached = LocalDevice(place.folder, place.log, place.limits)
    return Device(name.text, name.runtime, version, reached)
