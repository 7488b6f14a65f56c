"""``multi_worker``: several processes, the same weights in each."""

from __future__ import annotations

import os
from typing import Any

from edgekit.project.train import TrainTable
from edgekit.training.distribution.place import VARIABLE, Place


def strategy(settings: TrainTable, place: Place) -> Any:
    """Make the strategy, and wait until all workers are there."""
    import tensorflow as tf

    os.environ[VARIABLE] = place.text
    return tf.distribute.MultiWorkerMirroredStrategy()
