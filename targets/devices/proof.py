"""The proof that a runtime works: it builds and runs the probe, for an import proves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from edgekit.errors import DeviceError
from edgekit.process import Limits
from edgekit.targets.devices.transport import Transport
from edgekit.targets.runners.probe import probe_model
from edgekit.types import ExpectedOutput, Request, RunnerModel
from edgekit.worker import Worker

# Seconds for a runtime to start and run the smallest model; TensorFlow takes 20 on a slow disk.
PATIENCE = 120.0


@runtime_checkable
class HasModel(Protocol):
    """A device that may have a model of its own and takes no other, as a microcontroller does."""

    def proof(self) -> str:
        """Run that model; the runtime's version, empty where there is none.

        Raises what :meth:`Transport.run` raises.
        """


def prove(reached: Transport, runtime: str, folder: Path) -> str:
    """Return the version of a runtime that has run the probe, with files in ``folder``.

    A device that has a model of its own runs that one.

    Raises :class:`DeviceError` where the runtime is missing or answers wrongly, and
    :class:`RunnerError` where it crashes or hangs.
    """
    if isinstance(reached, HasModel) and (version := reached.proof()):
        return version
    folder.mkdir(parents=True, exist_ok=True)
    x, y = folder / "x.npy", folder / "y.npy"
    np.save(x, np.ones((1, 4), np.float32))
    np.save(y, np.full((1, 4), 2, np.float32))
    request = Request(
        mode="selftest",
        models=(RunnerModel("probe", _probe(runtime, folder)),),
        inputs={"x": x},
        runtime=runtime,
        golden={"y": ExpectedOutput(y, 0.0)},
    )
    result = reached.run(request)
    if not result["models"]["probe"]["passed"]:
        hint = f"one and one is not two on {runtime} {result['version']}: install another release"
        raise DeviceError("EK-DEVICE-020", f"{runtime} gives wrong answers", hint)
    return str(result["version"])


def _probe(runtime: str, folder: Path) -> Path:
    if runtime == "tensorflow":
        path = folder / "probe"
        with Worker(folder / "worker.log", limits=Limits(seconds=PATIENCE)) as worker:
            worker.call(write_saved_model, str(path))
        return path
    path = folder / "probe.tflite"
    path.write_bytes(probe_model())
    return path


def write_saved_model(folder: str) -> None:
    """Write the probe as a SavedModel: ``y = x + x``, float32 ``[1, 4]`` (in the worker)."""
    import tensorflow as tf

    module = tf.Module()
    double = tf.function(lambda x: {"y": x + x})
    concrete = double.get_concrete_function(x=tf.TensorSpec([1, 4], tf.float32, name="x"))
    module.double = double
    tf.saved_model.save(module, folder, signatures=concrete)
