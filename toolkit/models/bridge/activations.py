"""Operations of keras.activations that no tf_keras layer has, from simple parts.

Source: the same functions in ``keras/src/backend/tensorflow/nn.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.models.bridge.operations import OperationBuilder

Cross = Callable[["OperationBuilder", Any, Any], Any]


def relu(place: OperationBuilder, op: Any, x: Any) -> Any:
    """``keras.activations.relu``, with its slope, limit and threshold."""
    limit = None if op.max_value is None else float(op.max_value)
    slope, threshold = float(op.negative_slope), float(op.threshold)
    return place.layer(
        "ReLU", place.cast(x), max_value=limit, negative_slope=slope, threshold=threshold
    )


def _celu(place: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    alpha = float(op.alpha)
    inner = place.function(tf.math.divide, place.cast(x), alpha)
    return place.function(tf.math.multiply, place.function(tf.nn.elu, inner), alpha)


def _glu(place: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    linear, gate = place.function(tf.split, place.cast(x), 2, axis=int(op.axis))
    return place.function(tf.math.multiply, linear, place.function(tf.math.sigmoid, gate))


def _hard_shrink(place: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    x = place.cast(x)
    far = place.function(tf.math.greater, place.function(tf.math.abs, x), float(op.threshold))
    return place.function(tf.math.multiply, x, place.function(tf.cast, far, place.dtype))


def _soft_shrink(place: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    x = place.cast(x)
    over = place.function(tf.math.subtract, place.function(tf.math.abs, x), float(op.threshold))
    sign = place.function(tf.math.sign, x)
    return place.function(tf.math.multiply, sign, place.function(tf.nn.relu, over))


def _tanh_shrink(place: OperationBuilder, _: Any, x: Any) -> Any:
    import tensorflow as tf

    x = place.cast(x)
    return place.function(tf.math.subtract, x, place.function(tf.math.tanh, x))


def _squareplus(place: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    x = place.cast(x)
    square = place.function(tf.math.add, place.function(tf.math.square, x), float(op.b))
    total = place.function(tf.math.add, x, place.function(tf.math.sqrt, square))
    return place.function(tf.math.divide, total, 2.0)


def _sparse_sigmoid(place: OperationBuilder, _: Any, x: Any) -> Any:
    import tensorflow as tf

    shifted = place.function(tf.math.add, place.cast(x), 1.0)
    return place.function(tf.clip_by_value, place.function(tf.math.divide, shifted, 2.0), 0.0, 1.0)


def _sparse_plus(place: OperationBuilder, _: Any, x: Any) -> Any:
    """Return a parabola between -1 and 1, and the value itself above."""
    import tensorflow as tf

    x = place.cast(x)
    near = place.function(tf.clip_by_value, place.function(tf.math.add, x, 1.0), 0.0, 2.0)
    curve = place.function(tf.math.divide, place.function(tf.math.square, near), 4.0)
    above = place.function(tf.nn.relu, place.function(tf.math.subtract, x, 1.0))
    return place.function(tf.math.add, curve, above)


def _log_softmax(place: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    return place.function(tf.nn.log_softmax, place.cast(x), axis=int(op.axis))


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
