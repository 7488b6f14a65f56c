"""What works on this machine: every runtime runs a model, for an import proves nothing."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from edgekit import __version__
from edgekit.converters.micro import edge_tpu, vela
from edgekit.converters.probe import probe_model
from edgekit.errors import DeviceError, EdgekitError
from edgekit.process import Limits
from edgekit.targets import catalog
from edgekit.targets.devices.local import LocalDevice
from edgekit.types import Status
from edgekit.worker import Worker

PATIENCE = 120.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it works, its version, and what to do where it does not.

    ``needed`` says that edgekit cannot do its main job without it.
    """

    name: str
    status: Status
    version: str
    message: str
    needed: bool


def tensorflow_version() -> str:
    """Import what conversion needs; TensorFlow's version (in the worker)."""
    import keras
    import tensorflow as tf
    import tf_keras

    return f"{tf.__version__}, keras {keras.__version__}, tf_keras {tf_keras.__version__}"


def examine() -> Iterator[Finding]:
    """Look at Python, the host, TensorFlow, every runtime and NPU compiler, one after the other."""
    version = sys.version_info
    supported = (3, 10) <= version[:2] < (3, 14)
    status = Status.PASSED if supported else Status.FAILED
    yield Finding("python", status, platform.python_version(), "3.10 to 3.13", True)
    host = catalog.host()
    yield Finding(
        "host",
        Status.PASSED if host else Status.UNAVAILABLE,
        host or f"{platform.system()} {platform.machine()}",
        "a target of the catalog" if host else "no target of the catalog: name one with --target",
        False,
    )
    yield Finding("edgekit", Status.PASSED, __version__, "", True)
    with tempfile.TemporaryDirectory(prefix="edgekit-doctor-") as folder:
        yield _tensorflow(Path(folder))
        for runtime, package, needed in (
            ("litert", "ai-edge-litert", True),
            ("tflite-runtime", "tflite-runtime", False),
        ):
            yield _runtime(runtime, package, needed, Path(folder))
    yield _compiler(vela.PACKAGE, vela.version, "compiles for Ethos-U")
    yield _compiler(edge_tpu.COMMAND, edge_tpu.version, "compiles for the Edge TPU")


def _compiler(name: str, version: Callable[[], str], what: str) -> Finding:
    try:
        return Finding(name, Status.PASSED, version(), what, False)
    except DeviceError as error:
        return Finding(name, Status.UNAVAILABLE, "absent", error.hint, False)


def _tensorflow(folder: Path) -> Finding:
    with Worker(folder / "worker.log", limits=Limits(seconds=PATIENCE)) as worker:
        try:
            found = worker.call(tensorflow_version)
        except EdgekitError as error:
            reason = f"{error.message}: {error.hint.splitlines()[0]}"
            return Finding("tensorflow", Status.FAILED, "", reason, True)
    return Finding("tensorflow", Status.PASSED, found, "imports in a worker", True)


def _runtime(runtime: str, package: str, needed: bool, folder: Path) -> Finding:
    model, data = folder / "probe.tflite", folder / "x.npy"
    model.write_bytes(probe_model())
    np.save(data, np.ones((1, 4), np.float32))
    golden = folder / "y.npy"
    np.save(golden, np.full((1, 4), 2, np.float32))
    device = LocalDevice(folder, folder / "runner.log", Limits(seconds=PATIENCE))
    request = {
        "schema": 1, "mode": "selftest", "runtime": runtime, "inputs": {"x": str(data)},
        "models": [{"id": "probe", "path": str(model)}],
        "golden": {"y": {"path": str(golden), "tolerance": 0.0}},
    }  # fmt: skip
    try:
        result = device.run(request)
    except EdgekitError as error:
        status = Status.FAILED if needed else Status.UNAVAILABLE
        return Finding(runtime, status, _version(package), error.hint or error.message, needed)
    right = result["models"]["probe"]["passed"]
    status = Status.PASSED if right else Status.FAILED
    message = "runs a model" if right else "gives wrong answers"
    return Finding(runtime, status, result["version"], message, needed)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
