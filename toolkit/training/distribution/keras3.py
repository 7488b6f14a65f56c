"""What Keras 3's ``fit`` gets wrong under a strategy, put right for one exact version.

Two places in ``keras/src/backend/tensorflow/trainer.py``: ``_maybe_symbolic_build`` hands a whole
batch to ``strategy.reduce``, which takes one value, and whose parts may differ in size; and
``reduce_per_replica`` takes the mean of scalars along their first axis, which they do not have. And
``keras/src/optimizers/base_optimizer.py`` clips the gradients of each replica, before they are
added up, and not their sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgekit.errors import ProjectError

VERSION = "3.15.1"


@contextmanager
def mended() -> Iterator[None]:
    """Put them right meanwhile. Raises :class:`ProjectError` with another version of Keras."""
    import keras
    from keras.src.backend.tensorflow import trainer

    if keras.__version__ != VERSION:
        message = (
            f"a strategy needs three faults of Keras {VERSION} put right, and this is Keras"
            f" {keras.__version__}, of which edgekit does not know them"
        )
        hint = f"install keras=={VERSION}, or build the model with tf_keras"
        raise ProjectError("EK-TRAIN-025", message, hint)
    stock = trainer.reduce_per_replica, trainer.TensorFlowTrainer._maybe_symbolic_build
    optimizers = keras.optimizers.Optimizer
    clip = optimizers._clip_gradients

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

    optimizers._clip_gradients = lambda own, gradients: _of_sum(clip, own, gradients)
    trainer.reduce_per_replica = reduce_per_replica
    trainer.TensorFlowTrainer._maybe_symbolic_build = build
    try:
        yield
    finally:
        optimizers._clip_gradients = clip
        trainer.reduce_per_replica, trainer.TensorFlowTrainer._maybe_symbolic_build = stock


def _of_sum(clip: Callable[[Any, Any], Any], optimizer: Any, gradients: Any) -> Any:
    """Clip the sum of all replicas' gradients, and return each replica's share of that."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    clips = optimizer.clipnorm or optimizer.global_clipnorm or optimizer.clipvalue
    if not clips or context is None or context.num_replicas_in_sync == 1:
        return clip(optimizer, gradients)
    added = clip(optimizer, context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients)))
    return [tf.math.scalar_mul(1.0 / context.num_replicas_in_sync, one) for one in added]
