"""Native devices for tests: the C runner behind shells of this machine, whole or with faults."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shells import Shell as Connection

from edgekit.contracts.runner import typed
from edgekit.process import Limits
from edgekit.targets.devices import Workplace
from edgekit.targets.devices.remote import native, native_build, native_library
from edgekit.targets.devices.remote.machine import Kind
from edgekit.targets.devices.remote.native_process import Program
from edgekit.targets.devices.remote.shell import Console
from edgekit.targets.devices.remote.shell_files import ShellFiles
from edgekit.types import Silent

COMPILER = pytest.mark.skipif(
    shutil.which("cc") is None, reason="there is no C compiler: apt-get install gcc libc6-dev"
)
HOST = Kind("Linux", os.uname().machine, "glibc")


@dataclass(frozen=True)
class Cut(Connection):
    """A connection that breaks after so many bytes of answers, the first times."""

    bytes: int = 0
    left: list[int] = field(default_factory=list)

    def command(self, script: str) -> list[str]:
        whole = super().command(script)
        if "edgekit-runner" not in script or not self.left:
            return whole
        self.left.pop()
        return [
            "sh",
            "-c",
            f'"$@" | {{ dd bs=1 count={self.bytes} 2>/dev/null; kill -9 $$; }}',
            "sh",
            *whole,
        ]


def made(
    connection: Connection,
    folder: Path,
    limits: Limits | None = None,
    runner: Path | None = None,
    library: Path | None = None,
) -> native.NativeDevice:
    """The native device at the end of a connection, with another runner where one is given."""
    files = ShellFiles(connection, connection.folder)
    there = files.push([runner or native_build.obtain(HOST)], executable=True)
    library = library or native_library.obtain(HOST, Silent()).path
    program = Program(*there.values(), files.push([library])[library])
    folder.mkdir(parents=True, exist_ok=True)
    place = Workplace(folder, folder.parent / "log.txt", limits or Limits(), Silent())
    return native.NativeDevice(files, Console(files.shell), program, HOST, "2.3", place)


def asked(model: Path, folder: Path, inputs: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A request to evaluate arrays of items."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, items in inputs.items():
        np.save(folder / f"{name}.npy", items)
    entry = {"id": "model", "path": str(model), "outputs": str(folder / "outputs")}
    return {
        "schema": 1,
        "mode": "evaluate",
        "runtime": "native",
        "models": [entry],
        "inputs": {name: str(folder / f"{name}.npy") for name in inputs},
        "batch": 1,
        "processes": 1,
        **changes,
    }


def answered(device: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Every output by its file's name."""
    device.run(typed(request))
    folder = Path(request["models"][0]["outputs"])
    return {path.name: np.load(path) for path in folder.glob("*.npy")}
