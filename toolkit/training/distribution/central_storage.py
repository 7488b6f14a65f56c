"""``central_storage``: weights on the CPU, computed with on each device of this process."""

from __future__ import annotations

from typing import Any

from edgekit.errors import ProjectError
from edgekit.models.load import is_keras3, library
from edgekit.project.train import TrainTable
from edgekit.training.distribution.devices import devices
from edgekit.training.distribution.place import Place
from edgekit.training.distribution.synchronised import flat


def strategy(settings: TrainTable, place: Place) -> Any:
    """Make the strategy."""
    import tensorflow as tf

    named = devices(settings.replicas)
    return tf.distribute.experimental.CentralStorageStrategy(named, "CPU:0")


def check(model: Any) -> None:
    """Raise :class:`ProjectError` for what Keras 3 cannot train so, by the layer's name."""
    if not is_keras3(model):
        return
    kind = library(model).layers.BatchNormalization
    named = [layer.name for layer in flat(model) if isinstance(layer, kind)]
    if named:
        message = (
            f"strategy = 'central_storage': Keras 3 cannot update the statistics of {named[0]}"
            " (BatchNormalization) where variables are stored centrally"
        )
        hint = "take strategy = 'mirrored', or a model of tf_keras"
        raise ProjectError("EK-TRAIN-022", message, hint)
