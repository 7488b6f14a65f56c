"""What works on this machine: every runtime runs a model, for an import proves nothing."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit import __version__, scratch
from edgekit.compression import schemes
from edgekit.converters.micro import edge_tpu, vela
from edgekit.errors import DeviceError, EdgekitError
from edgekit.evaluation.metrics import METRICS
from edgekit.process import Limits
from edgekit.sandbox import state
from edgekit.targets import catalog
from edgekit.targets.bundles import LAYOUTS
from edgekit.targets.devices import inventory, parse, transports
from edgekit.targets.runners import RUNNERS
from edgekit.types import Status
from edgekit.worker import Worker

PATIENCE = 120.0


@dataclass(frozen=True)
class SystemCheck:
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


def examine() -> Iterator[SystemCheck]:
    """Look at Python, the host, its sandbox, TensorFlow, runtimes, NPU compilers and plug-ins."""
    version = sys.version_info
    supported = (3, 10) <= version[:2] < (3, 14)
    status = Status.PASSED if supported else Status.FAILED
    yield SystemCheck("python", status, platform.python_version(), "3.10 to 3.13", True)
    host = catalog.host()
    yield SystemCheck(
        "host",
        Status.PASSED if host else Status.UNAVAILABLE,
        host or f"{platform.system()} {platform.machine()}",
        "a target of the catalog" if host else "no target of the catalog: name one with --target",
        False,
    )
    yield SystemCheck("edgekit", Status.PASSED, __version__, "", True)
    yield _sandbox()
    with scratch.held(prefix="edgekit-doctor-") as folder:
        yield _tensorflow(folder)
        for runtime, needed in (("litert", True), ("tflite-runtime", False), ("tflm", False)):
            yield _runtime(runtime, needed, folder)
    yield _compiler(vela.PACKAGE, vela.version, "compiles for Ethos-U")
    yield _compiler(edge_tpu.COMMAND, edge_tpu.version, "compiles for the Edge TPU")
    yield from plugged()


def plugged() -> Iterator[SystemCheck]:
    """Import what other packages add, one by one: edgekit itself works without any of it."""
    for table in (METRICS, RUNNERS, schemes.SCHEMES, catalog.TARGETS, LAYOUTS, transports.SCHEMES):
        for plugin, error in table.plugged():
            status = Status.PASSED if error is None else Status.FAILED
            message = f"plugged in: {plugin.value}" if error is None else error.hint.splitlines()[0]
            name = f"{plugin.group.removeprefix('edgekit.')}: {plugin.name}"
            version = f"{plugin.distribution} {plugin.version}"
            yield SystemCheck(name, status, version, message, False)


def _sandbox() -> SystemCheck:
    """Check for Landlock: without it all works, but a hostile model file is not confined."""
    sandbox = state()
    if not sandbox.open:
        return SystemCheck(
            "sandbox", Status.PASSED, sandbox.title, "around all that opens a model", False
        )
    message = f"{sandbox.reason}: {sandbox.open}; {sandbox.fix}"
    return SystemCheck("sandbox", Status.UNAVAILABLE, sandbox.title, message, False)


def _compiler(name: str, version: Callable[[], str], what: str) -> SystemCheck:
    try:
        return SystemCheck(name, Status.PASSED, version(), what, False)
    except DeviceError as error:
        return SystemCheck(name, Status.UNAVAILABLE, "absent", error.hint, False)


def _tensorflow(folder: Path) -> SystemCheck:
    with Worker(folder / "worker.log", limits=Limits(seconds=PATIENCE)) as worker:
        try:
            version = worker.call(tensorflow_version)
        except EdgekitError as error:
            reason = f"{error.message}: {error.hint.splitlines()[0]}"
            return SystemCheck("tensorflow", Status.FAILED, "", reason, True)
    return SystemCheck("tensorflow", Status.PASSED, version, "imports in a worker", True)


def _runtime(name: str, needed: bool, folder: Path) -> SystemCheck:
    entry = inventory.examine(parse(f"local:{name}"), folder / name)
    status = Status.FAILED if needed and entry.status is not Status.PASSED else entry.status
    return SystemCheck(name, status, entry.version or "absent", entry.message, needed)
