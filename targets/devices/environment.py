"""Isolated environments: one release of one runtime with the numpy it needs, made once in a cache.

An environment counts as made once its runtime has run the probe and the stamp is written: whatever
ends the making before that leaves a folder that is never taken for one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgekit.errors import DeviceError, EdgekitError
from edgekit.process import Limits
from edgekit.targets.devices import installer
from edgekit.targets.devices.device import DeviceName
from edgekit.targets.devices.local import LocalDevice, surroundings
from edgekit.targets.devices.names import parse
from edgekit.targets.devices.proof import PATIENCE, prove
from edgekit.targets.devices.steps import step, turn
from edgekit.targets.runners import RUNNERS
from edgekit.types import Progress

STAMP = "edgekit.json"
CODE = "EK-DEVICE-013"
PYTHON = f"py{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class Environment:
    """A virtual environment that holds one release of a runtime: its device's name, its folder."""

    name: DeviceName
    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def log(self) -> Path:
        """What the installer and the probe's runner have said."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def version(self) -> str:
        """The runtime's exact version as it was proven to work; empty where it is not made."""
        try:
            stamp = json.loads((self.folder / STAMP).read_text())
        except (OSError, ValueError):
            return ""
        # A Python that was removed since leaves a link to nothing.
        return str(stamp["version"]) if self.python.exists() else ""


def environment(name: DeviceName) -> Environment:
    """Return the environment of a name with a release, made or not."""
    return Environment(
        name, installer.cache("environments") / f"{name.package}-{name.version}-{PYTHON}"
    )


def made() -> tuple[Environment, ...]:
    """Return the environments of this Python that are made, by name."""
    environments = []
    for stamp in sorted(installer.cache("environments").glob(f"*-{PYTHON}/{STAMP}")):
        with contextlib.suppress(OSError, ValueError, KeyError, DeviceError):
            environments.append(
                Environment(parse(json.loads(stamp.read_text())["name"]), stamp.parent)
            )
    return tuple(one for one in environments if one.version)


def obtain(name: DeviceName, folder: Path, progress: Progress) -> Environment:
    """Return the environment of a name with a release, made where it is not; ``folder`` is to work
    in.

    Raises :class:`DeviceError` where the release cannot be installed, or does not run the probe.
    """
    wanted = environment(name)
    if not wanted.version:
        with turn(installer.cache("environments"), "an environment", CODE, progress) as lock:
            # Whoever had the turn before may have made it.
            if not wanted.version:
                _make(wanted, folder, progress, lock)
    return wanted


def remove(name: DeviceName, progress: Progress) -> Path:
    """Delete the environment of a name, made or half-made; the folder that is gone.

    Raises :class:`DeviceError` where there is none.
    """
    unwanted = environment(name)
    if not unwanted.folder.exists():
        hint = "edgekit devices lists the environments that are made"
        raise DeviceError("EK-DEVICE-021", f"there is no environment of {name.text}", hint)
    with turn(installer.cache("environments"), "an environment", CODE, progress):
        shutil.rmtree(unwanted.folder, ignore_errors=True)
        unwanted.log.unlink(missing_ok=True)
    return unwanted.folder


def _make(wanted: Environment, folder: Path, progress: Progress, lock: IO[bytes]) -> None:
    name, runner = wanted.name, RUNNERS[wanted.name.runtime]
    requirements = (f"{name.package}=={name.version}", installer.numpy_for(runner, name.version))
    shutil.rmtree(wanted.folder, ignore_errors=True)
    wanted.log.unlink(missing_ok=True)
    try:
        progress.stage(f"installing {' and '.join(requirements)} into {wanted.folder}")
        for command in installer.commands(wanted.folder, wanted.python, requirements):
            _call(command, wanted, progress, lock)
        progress.stage(f"running a model on {name.text[len('local:') :]}")
        version = _prove(wanted, folder)
        stamp = {"name": name.text, "version": version, "requirements": requirements}
        (wanted.folder / STAMP).write_text(json.dumps(stamp))
    except BaseException:
        shutil.rmtree(wanted.folder, ignore_errors=True)
        raise


def _call(command: list[str], wanted: Environment, progress: Progress, lock: IO[bytes]) -> None:
    """Run one step to its end, line by line; raises :class:`DeviceError` where it fails."""
    code, lines = step(command, wanted.log, progress, lock, surroundings(isolated=True))
    if code:
        hint = installer.reason(lines, wanted.name.package, wanted.log)
        raise DeviceError(CODE, f"{wanted.name.text} cannot be made here", hint)


def _prove(wanted: Environment, folder: Path) -> str:
    device = LocalDevice(folder, wanted.log, Limits(seconds=PATIENCE), python=wanted.python)
    proof = folder / f"proof-{os.getpid()}"
    try:
        return prove(device, wanted.name.runtime, proof)
    except EdgekitError as error:
        hint = f"{error.message}\n{error.hint}\nname another release"
        message = f"{wanted.name.text} is installed, but runs no model"
        raise DeviceError("EK-DEVICE-020", message, hint) from error
    finally:
        shutil.rmtree(proof, ignore_errors=True)
