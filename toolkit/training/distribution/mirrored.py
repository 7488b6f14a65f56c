"""``mirrored``: the same weights on each device of this process."""

from __future__ import annotations

from typing import Any

from edgekit.project.train import TrainTable
from edgekit.training.distribution.devices import devices
from edgekit.training.distribution.place import Place


def strategy(settings: TrainTable, place: Place) -> Any:
    """Make the strategy."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices(settings.replicas))
