"""``tpu``: the cores of a TPU. Never run on one by edgekit's tests."""

from __future__ import annotations

from typing import Any

from edgekit.errors import ProjectError
from edgekit.project.train import TrainTable
from edgekit.training.distribution.place import Place


def strategy(settings: TrainTable, place: Place) -> Any:
    """Connect to the TPU, and make the strategy. Raises :class:`ProjectError` without one."""
    import tensorflow as tf

    name = settings.tpu or ""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError, OSError) as error:
        raise _explained(name, error) from error
    return tf.distribute.TPUStrategy(resolver)


def _explained(name: str, error: Exception) -> ProjectError:
    said = " ".join(str(error).split())[:300]
    if "provide a TPU Name" in said:
        message = "strategy = 'tpu' is not told which TPU, and the environment names none"
        hint = '[train] tpu = "local" on a TPU machine, else its name or grpc://ADDRESS:8470'
    elif name == "local":
        message = "[train] tpu = 'local': this machine has no TPU that TensorFlow can use"
        hint = "run it on a TPU machine, with the build of TensorFlow that has its driver (libtpu)"
    else:
        message = f"[train] tpu = {name!r}: there is no answer from such a TPU"
        hint = "is it running, in this project and zone, and reachable from here?"
    return ProjectError("EK-TRAIN-023", message, f"{hint}\n{type(error).__name__}: {said}")
