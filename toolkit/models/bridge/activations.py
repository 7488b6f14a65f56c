"""Operations of keras.activations that no tf_keras layer has, from simple parts.

Source: the same functions in ``keras/src/backend/tensorflow/nn.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgekit.models.bridge.builder import OperationBuilder

Cross = Callable[[OperationBuilder, Any, Any], Any]


def relu(builder: OperationBuilder, op: Any, x: Any) -> Any:
    """Translate ``keras.activations.relu``, with its slope, limit and threshold."""
    limit = None if op.max_value is None else float(op.max_value)
    slope, threshold = float(op.negative_slope), float(op.threshold)
    return builder.layer(
        "ReLU", builder.cast(x), max_value=limit, negative_slope=slope, threshold=threshold
    )


def _celu(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    alpha = float(op.alpha)
    inner = builder.function(tf.math.divide, builder.cast(x), alpha)
    return builder.function(tf.math.multiply, builder.function(tf.nn.elu, inner), alpha)


def _glu(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    linear, gate = builder.function(tf.split, builder.cast(x), 2, axis=int(op.axis))
    return builder.function(tf.math.multiply, linear, builder.function(tf.math.sigmoid, gate))


def _hard_shrink(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    x = builder.cast(x)
    far = builder.function(tf.math.greater, builder.function(tf.math.abs, x), float(op.threshold))
    return builder.function(tf.math.multiply, x, builder.function(tf.cast, far, builder.dtype))


def _soft_shrink(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    x = builder.cast(x)
    over = builder.function(tf.math.subtract, builder.function(tf.math.abs, x), float(op.threshold))
    sign = builder.function(tf.math.sign, x)
    return builder.function(tf.math.multiply, sign, builder.function(tf.nn.relu, over))


def _tanh_shrink(builder: OperationBuilder, _: Any, x: Any) -> Any:
    import tensorflow as tf

    x = builder.cast(x)
    return builder.function(tf.math.subtract, x, builder.function(tf.math.tanh, x))


def _squareplus(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    x = builder.cast(x)
    square = builder.function(tf.math.add, builder.function(tf.math.square, x), float(op.b))
    total = builder.function(tf.math.add, x, builder.function(tf.math.sqrt, square))
    return builder.function(tf.math.divide, total, 2.0)


def _sparse_sigmoid(builder: OperationBuilder, _: Any, x: Any) -> Any:
    import tensorflow as tf

    shifted = builder.function(tf.math.add, builder.cast(x), 1.0)
    return builder.function(
        tf.clip_by_value, builder.function(tf.math.divide, shifted, 2.0), 0.0, 1.0
    )


def _sparse_plus(builder: OperationBuilder, _: Any, x: Any) -> Any:
    """Compute a parabola between -1 and 1, and the value itself above."""
    import tensorflow as tf

    x = builder.cast(x)
    near = builder.function(tf.clip_by_value, builder.function(tf.math.add, x, 1.0), 0.0, 2.0)
    curve = builder.function(tf.math.divide, builder.function(tf.math.square, near), 4.0)
    above = builder.function(tf.nn.relu, builder.function(tf.math.subtract, x, 1.0))
    return builder.function(tf.math.add, curve, above)


def _log_softmax(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    return builder.function(tf.nn.log_softmax, builder.cast(x), axis=int(op.axis))


FUNCTIONS: Mapping[str, Cross] = {
    "Celu": _celu,
    "Glu": _glu,
    "HardShrink": _hard_shrink,
    "LogSoftmax": _log_softmax,
    "ReLU": relu,
    "SoftShrink": _soft_shrink,
    "SparsePlus": _sparse_plus,
    "SparseSigmoid": _sparse_sigmoid,
    "Squareplus": _squareplus,
    "TanhShrink": _tanh_shrink,
}
