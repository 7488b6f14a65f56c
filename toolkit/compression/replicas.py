"""What TFMOT's wrappers need under a strategy, so that replicas do what one device does.

Their variables are made without saying how replicas agree on them, and quantization-aware training
would take the mean of the replicas' ranges, or the first one's: that of a batch is the widest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgekit.models.wrappers import import_tfmot

# TFMOT's quantizers by what they see of batches, and how far a range moves in a step by default.
MOVING, WIDEST = "MovingAvgQuantize", "AllValuesQuantize"
DECAY = 0.999


@contextmanager
def agreeing() -> Iterator[None]:
    """Let wrappers that are made and trained meanwhile hold the same values in all replicas.

    Without a strategy it changes nothing.
    """
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        yield
        return
    import_tfmot()
    from tensorflow_model_optimization.python.core.quantization.keras import quant_ops

    stock = {name: getattr(quant_ops, name) for name in (MOVING, WIDEST)}
    for name in stock:
        setattr(quant_ops, name, _over_all(name, stock[name], quant_ops._FakeQuantWithMinMaxVars))
    try:
        with tf.variable_creator_scope(_agreed):
            yield
    finally:
        for name, function in stock.items():
            setattr(quant_ops, name, function)


def _agreed(make: Callable[..., Any], **said: Any) -> Any:
    """Make a variable that takes the first replica's value, where nothing else is said."""
    import tensorflow as tf

    if said.get("aggregation") in (None, tf.VariableAggregation.NONE):
        said["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return make(**said)


def _over_all(name: str, stock: Callable[..., Any], quantized: Callable[..., Any]) -> Any:
    """Return TFMOT's quantizer by the ranges of batches, which sees that of all replicas."""
    import tensorflow as tf

    def quantize(inputs: Any, min_var: Any, max_var: Any, **how: Any) -> Any:
        context = tf.distribute.get_replica_context()
        if not how.get("is_training", True) or context is None:
            return stock(inputs, min_var, max_var, **how)
        low, high = _ends(inputs, context)
        if name == MOVING:
            share = 1 - how.get("ema_decay", DECAY)
            low, high = (v - (v - end) * share for v, end in ((min_var, low), (max_var, high)))
        else:
            low, high = tf.minimum(min_var, low), tf.maximum(max_var, high)
        moved = min_var.assign(low), max_var.assign(high)
        kept = {key: how[key] for key in ("num_bits", "narrow_range")}
        return quantized(inputs, *moved, per_channel=False, **kept)

    return quantize


def _ends(inputs: Any, context: Any) -> tuple[Any, Any]:
    """Return the least and the largest value of all replicas, with 0 between them."""
    import tensorflow as tf

    own = tf.stack([tf.reduce_min(inputs), tf.reduce_max(inputs)])
    place = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync)
    rows = context.all_reduce(tf.distribute.ReduceOp.SUM, place[:, None] * tf.stop_gradient(own))
    low, high = tf.reduce_min(rows[:, 0]), tf.reduce_max(rows[:, 1])
    return tf.minimum(low, 0.0), tf.maximum(high, 0.0)
