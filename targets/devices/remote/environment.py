"""The runtime that a device runs: what is proven there, what it has, or what is pushed to it.

A runtime counts once it has run the probe there; a stamp on the device says so, and later uses only
read it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgekit.errors import ConnectionLost, DeviceError, EdgekitError, NoWheels
from edgekit.process import Limits
from edgekit.targets.devices.device import DeviceName, Workplace
from edgekit.targets.devices.entry import on_one_line
from edgekit.targets.devices.installer import order
from edgekit.targets.devices.proof import PATIENCE, prove
from edgekit.targets.devices.remote.client import Agent, Refusal
from edgekit.targets.devices.remote.device import Prepared, RemoteDevice
from edgekit.targets.devices.remote.wheels import Wheels, fetch, fitting, platform_of
from edgekit.targets.runners import RUNNERS
from edgekit.types import Json

# The runtimes that a device may choose from, in this order.
CHOICE = ("litert", "tflite-runtime")
# Environments that hold nothing: the stamp of what the device has of its own.
OWN = "own-"


@dataclass(frozen=True)
class Found:
    """A runtime on a device, proven or not.

    ``name`` is that of its environment, ``path`` as in :class:`Prepared`, ``proven`` the runtimes
    of the package that have run the probe, ``numpy`` the device's own that it uses, if it does.
    """

    name: str
    package: str
    version: str
    path: tuple[str, ...]
    proven: tuple[str, ...]
    numpy: str


def prepare(
    agent: Agent, name: DeviceName, place: Workplace, source: Path | None = None
) -> Prepared:
    """Return the runtime that a name asks for on a device, installed there where it has none.

    Without one in the name: the first of ``CHOICE`` that is proven there, else that the device has
    of its own and runs the probe, else that can be installed. ``source`` is a folder of wheels to
    take instead of those of the package index. Raises :class:`DeviceError`: EK-DEVICE-050 with
    every reason where none works, or the one reason that there is.
    """
    runtimes = (name.runtime,) if name.runtime else CHOICE
    if ready := _ready(agent, runtimes, name):
        return ready
    agent.occupy()
    # Whoever had the device before may have made it.
    if ready := _ready(agent, runtimes, name):
        return ready
    reasons: list[EdgekitError] = []
    for attempt in _attempts(agent, runtimes, name, place, source):
        if reasons:
            place.progress.stage(f"{on_one_line(reasons[-1])}; trying another way")
        try:
            return attempt()
        except ConnectionLost:
            raise
        except EdgekitError as error:
            reasons.append(error)
    raise _none(agent, name, place, reasons)


def _ready(agent: Agent, runtimes: Sequence[str], name: DeviceName) -> Prepared | None:
    for runtime in runtimes:
        for one in matching(agent, runtime, name):
            if runtime in one.proven:
                return prepared(agent, runtime, one)
    return None


def _attempts(
    agent: Agent, runtimes: Sequence[str], name: DeviceName, place: Workplace, source: Path | None
) -> Iterator[Callable[[], Prepared]]:
    """Return the ways to a runtime, those that move nothing first."""
    for runtime in runtimes:
        for one in matching(agent, runtime, name):
            yield partial(prove_there, agent, runtime, one, place)
    for runtime in runtimes:
        yield partial(install, agent, runtime, name.version, place, source)


def environments(agent: Agent) -> tuple[Found, ...]:
    """Return what the device has: environments that still hold there, then packages of its own."""
    stamps = agent.call("environments.made")["environments"]
    held = [_read(stamp) for stamp in stamps if holds(stamp, agent.hello)]
    known = {one.name for one in held}
    for package in dict.fromkeys(RUNNERS[runtime].distribution for runtime in CHOICE):
        if version := str(agent.hello["packages"].get(package, "")):
            own = Found(name_of(agent, f"{OWN}{package}", version), package, version, (), (), "")
            if own.name not in known:
                held.append(own)
    # The newest first, and the device's own last.
    return tuple(sorted(held, key=lambda one: (bool(one.path), order(one.version)), reverse=True))


def matching(agent: Agent, runtime: str, name: DeviceName) -> tuple[Found, ...]:
    """Return what a device has of a runtime, in the release that a name asks for, proven or not."""
    package = RUNNERS[runtime].distribution
    return tuple(
        environment
        for environment in environments(agent)
        if environment.package == package and name.version in ("", environment.version)
    )


def name_of(agent: Agent, package: str, version: str) -> str:
    """Return an environment's name on a device."""
    return f"{package}-{version}-py{_minor(agent.hello)}"


def _minor(facts: Mapping[str, Json]) -> str:
    return ".".join(str(facts["python"]).split(".")[:2])


def holds(stamp: Mapping[str, Json], hello: Mapping[str, Json]) -> bool:
    """Tell whether what was proven is still what is there: Python, machine, and what it takes of
    them.

    A home folder may be shared by machines.
    """
    try:
        own = {"numpy": stamp["numpy"]} if stamp["numpy"] else {}
        if not stamp["path"]:
            own[stamp["package"]] = stamp["version"]
        same = _minor(stamp) == _minor(hello) and stamp["machine"] == hello["machine"]
    except (KeyError, TypeError):
        return False
    return same and all(hello["packages"].get(one) == version for one, version in own.items())


def _read(stamp: Mapping[str, Json]) -> Found:
    return Found(
        stamp["name"],
        stamp["package"],
        stamp["version"],
        tuple(stamp["path"]),
        tuple(stamp["runtimes"]),
        stamp["numpy"],
    )


def prepared(agent: Agent, runtime: str, found: Found) -> Prepared:
    """Return a runtime that a device has, as it is run."""
    return Prepared(runtime, found.version, str(agent.hello["executable"]), found.path)


def install(
    agent: Agent, runtime: str, version: str, place: Workplace, source: Path | None = None
) -> Prepared:
    """Push the wheels of a runtime, unpack and prove them there.

    Raises :class:`DeviceError` where it cannot be had, and what the proof raises where it does not
    work there: nothing of it stays then.
    """
    platform = platform_of(agent.call("interpreter.interpreter"))
    place.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wheels-", dir=place.folder) as folder:
        wheels = fetch(runtime, version, platform, Path(folder), place.progress, source)
        name = name_of(agent, wheels.package, wheels.version)
        if any(one.name == name for one in environments(agent)):
            # Making it anew would take it from the runtimes that it serves.
            hint = f"name another release: {agent.address}#{wheels.package}==VERSION"
            message = f"{wheels.package} {wheels.version} is there, and does not run {runtime}"
            raise DeviceError("EK-DEVICE-020", message, hint)
        place.progress.stage(f"installing {wheels.package} {wheels.version} on {agent.address}")
        agent.occupy()
        try:
            path = (_unpacked(agent, name, wheels),)
            found = Found(name, wheels.package, wheels.version, path, (), wheels.numpy)
            made = prove_there(agent, runtime, found, place)
        except ConnectionLost:
            raise
        except EdgekitError:
            agent.call("environments.remove", name=name)
            agent.discard(wheels.files)
            raise
        agent.discard(wheels.files)
        return made


def _unpacked(agent: Agent, name: str, wheels: Wheels) -> str:
    """Push wheels and unpack them as an environment; the folder of its packages."""
    pushed = agent.push(wheels.files)
    files = {path.name: there for path, there in pushed.items()}
    try:
        return str(agent.call("environments.make", name=name, wheels=files)["site"])
    except Refusal as error:
        if error.kind != "wheel":
            raise
        hint = "fetch it anew: delete it where it came from, and set the device up again"
        raise DeviceError("EK-DEVICE-053", error.message, hint) from error


def prove_there(agent: Agent, runtime: str, environment: Found, place: Workplace) -> Prepared:
    """Run the probe on what a device has, and stamp it. Raises what :func:`prove` raises."""
    proven = prepared(agent, runtime, environment)
    run_probe(agent, proven, place)
    numpy = environment.numpy if environment.path else str(agent.hello["packages"].get("numpy", ""))
    facts = {
        "package": environment.package,
        "version": environment.version,
        "path": list(environment.path),
        "runtimes": [*environment.proven, runtime],
        "python": agent.hello["python"],
        "machine": agent.hello["machine"],
        "numpy": numpy,
    }
    agent.call("environments.stamp", name=environment.name, facts=facts)
    return proven


def run_probe(agent: Agent, prepared: Prepared, place: Workplace) -> None:
    """Run the probe on a device. Raises what :func:`prove` raises."""
    where = f"{prepared.runtime} {prepared.version} of {agent.address}"
    place.progress.stage(f"running a model on {where}")
    place.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="proof-", dir=place.folder) as folder:
        device = RemoteDevice(agent, prepared, Path(folder) / "requests", Limits(PATIENCE))
        prove(device, prepared.runtime, Path(folder))


def _none(
    agent: Agent, name: DeviceName, place: Workplace, reasons: Sequence[EdgekitError]
) -> EdgekitError:
    """Return the error for a device on which no runtime works."""
    if len(reasons) > 1 or not isinstance(reasons[0], DeviceError):
        wanted = name.package or name.runtime or "runtime"
        hint = "\n".join(on_one_line(error) for error in reasons)
        return DeviceError("EK-DEVICE-050", f"no {wanted} works on {agent.address}", hint)
    (error,) = reasons
    if isinstance(error, NoWheels) and name.runtime in CHOICE:
        (other,) = (one for one in CHOICE if one != name.runtime)
        platform = platform_of(agent.call("interpreter.interpreter"))
        with tempfile.TemporaryDirectory(prefix="wheels-", dir=place.folder) as folder:
            if release := fitting(other, platform, Path(folder)):
                works = f"{agent.address}#{other} can have {release}"
                return NoWheels(error.code, error.message, f"{error.hint}\n{works}")
    return error
