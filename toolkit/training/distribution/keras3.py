"""What Keras 3's ``fit`` gets wrong under a strategy, put right for one exact version.

Two places in ``keras/src/backend/tensorflow/trainer.py``: ``_maybe_symbolic_build`` hands a whole
batch to ``strategy.reduce``, which takes one value, and whose parts may differ in size; and
``reduce_per_replica`` takes the mean of scalars along their first axis, which they do not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgekit.errors import ProjectError

VERSION = "3.15.1"


@contextmanager
def mended() -> Iterator[None]:
    """Put both right meanwhile. Raises :class:`ProjectError` with another version of Keras."""
    import keras
    from keras.src.backend.tensorflow import trainer

    if keras.__version__ != VERSION:
        message = (
            f"a strategy needs two faults of Keras {VERSION} put right, and this is Keras"
            f" {keras.__version__}, of which edgekit does not know them"
        )
        hint = f"install keras=={VERSION}, or build the model with tf_keras"
        raise ProjectError("EK-TRAIN-025", message, hint)
    stock = trainer.reduce_per_replica, trainer.TensorFlowTrainer._maybe_symbolic_build

    def reduce_per_replica(values: Any, strategy: Any, reduction: str) -> Any:
        means = reduction in ("auto", "mean")
        if not (means and trainer._collective_all_reduce_multi_worker(strategy)):
            return stock[0](values, strategy, reduction)
        return keras.tree.map_structure(lambda v: strategy.reduce("MEAN", v, axis=None), values)

    def build(model: Any, iterator: Any = None, data_batch: Any = None) -> None:
        strategy = model._distribute_strategy
        if strategy is None:
            return
        local = strategy.experimental_local_results
        for _, _, batches in iterator or ():
            data_batch = keras.tree.map_structure(lambda v: local(v)[0], next(batches))
            break
        with strategy.scope():
            model._symbolic_build(data_batch=data_batch)

    trainer.reduce_per_replica = reduce_per_replica
    trainer.TensorFlowTrainer._maybe_symbolic_build = build
    try:
        yield
    finally:
        trainer.reduce_per_replica, trainer.TensorFlowTrainer._maybe_symbolic_build = stock
