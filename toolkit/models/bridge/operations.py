"""The operations of keras.ops that cross, as tf_keras layers or as TensorFlow operations.

Where a tf_keras layer does the same it is taken, because TFMOT knows layers better than operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgekit.models.bridge.activations import FUNCTIONS
from edgekit.models.bridge.builder import OperationBuilder, ints, is_symbolic
from edgekit.models.bridge.refusal import unknown_operation
from edgekit.models.bridge.shape_operations import (
    concatenate,
    expand_dims,
    get_item,
    pad,
    reshape,
    split,
    squeeze,
    stack,
    swapaxes,
    tile,
    transpose,
)

Cross = Callable[..., Any]


def cross(
    operation: Any, builder: OperationBuilder, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Build an operation's counterpart in the twin, called on the twin's tensors.

    Raises :class:`CompressionError` by the node's name where there is none.
    """
    kind, name = type(operation).__name__, operation.name
    counterpart = _operations().get(kind)
    if counterpart is None or not type(operation).__module__.startswith("keras."):
        raise unknown_operation(name, kind)
    try:
        return counterpart(builder, operation, *args, **kwargs)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise unknown_operation(name, f"{kind}: {' '.join(str(error).split())[:300]}") from error


def _hard_sigmoid(builder: OperationBuilder, x: Any) -> Any:
    import tensorflow as tf

    shifted = builder.function(tf.math.add, x, 3.0)
    return builder.function(tf.math.multiply, builder.layer("ReLU", shifted, max_value=6.0), 1 / 6)


def _hard_silu(builder: OperationBuilder, x: Any) -> Any:
    return builder.layer("Multiply", [x, _hard_sigmoid(builder, x)])


def _hard_tanh(builder: OperationBuilder, x: Any) -> Any:
    import tensorflow as tf

    return builder.function(tf.clip_by_value, x, -1.0, 1.0)


def _log_sigmoid(builder: OperationBuilder, x: Any) -> Any:
    import tensorflow as tf

    return builder.function(tf.math.log_sigmoid, x)


# Activations that tf_keras lacks, or has with other values (hard_sigmoid), from simple parts.
ACTIVATIONS: Mapping[str, Callable[[OperationBuilder, Any], Any]] = {
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "hard_swish": _hard_silu,
    "hard_tanh": _hard_tanh,
    "log_sigmoid": _log_sigmoid,
}


def _activation(name: str) -> Cross:
    return lambda builder, _, x: builder.layer("Activation", builder.cast(x), activation=name)


def _computed(name: str) -> Cross:
    return lambda builder, _, x: ACTIVATIONS[name](builder, builder.cast(x))


def _unary(function: Any) -> Cross:
    return lambda builder, _, x: builder.function(function, builder.cast(x))


def _binary(function: Any, merge: str | None = None) -> Cross:
    """Build arithmetic on two arguments, in the dtype of the result."""

    def counterpart(builder: OperationBuilder, _: Any, x1: Any, x2: Any) -> Any:
        both = [builder.cast(x1), builder.cast(x2)]
        if merge is not None and _mergeable(both):
            return builder.layer(merge, both)
        return builder.function(function, *both)

    return counterpart


def _mergeable(both: list[Any]) -> bool:
    """Tell whether a merge layer does the same: it joins masks too, which an operation drops."""
    return (
        all(is_symbolic(x) and getattr(x, "_keras_mask", None) is None for x in both)
        and both[0].shape.rank == both[1].shape.rank
        and both[0].shape.rank > 1
    )


def _comparison(function: Any) -> Cross:
    """Build a comparison, in the dtype of its tensor arguments."""

    def counterpart(builder: OperationBuilder, _: Any, x1: Any, x2: Any) -> Any:
        types = {x.dtype.name for x in (x1, x2) if is_symbolic(x)}
        if len(types) != 1:
            raise ValueError(f"compares {' with '.join(sorted(types))}")
        (dtype,) = types
        for constant in (x for x in (x1, x2) if not is_symbolic(x)):
            if np.asarray(constant).dtype.kind == "f" and np.dtype(dtype).kind != "f":
                raise ValueError(f"compares {dtype} with {constant}")
        return builder.function(function, builder.cast(x1, dtype), builder.cast(x2, dtype))

    return counterpart


def _logical(function: Any) -> Cross:
    return lambda builder, _, *x: builder.function(
        function, *(builder.cast(one, "bool") for one in x)
    )


def _reduction(function: Any) -> Cross:
    def counterpart(builder: OperationBuilder, op: Any, x: Any) -> Any:
        if getattr(op, "initial", None) is not None or getattr(op, "where", None) is not None:
            raise ValueError("with initial or where")
        x, axis = builder.cast(x), ints(op.axis)
        return builder.function(function, x, axis=axis, keepdims=bool(op.keepdims))

    return counterpart


def _mean(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    rank = x.shape.rank
    axes = sorted(axis % rank for axis in np.atleast_1d(op.axis)) if op.axis is not None else []
    unmasked = getattr(x, "_keras_mask", None) is None
    if unmasked and rank in (3, 4, 5) and axes == list(range(1, rank - 1)):
        kind = f"GlobalAveragePooling{rank - 2}D"
        config = {"keepdims": bool(op.keepdims), "data_format": "channels_last"}
        return builder.layer(kind, builder.cast(x), **config)
    return _reduction(tf.math.reduce_mean)(builder, op, x)


def _arg(function: Any) -> Cross:
    def counterpart(builder: OperationBuilder, op: Any, x: Any) -> Any:
        if op.axis is None or op.keepdims:
            raise ValueError("without an axis, or with keepdims")
        return builder.cast(builder.function(function, x, axis=int(op.axis)))

    return counterpart


def _cast(builder: OperationBuilder, _: Any, x: Any) -> Any:
    import tensorflow as tf

    return builder.function(tf.cast, x, builder.dtype)


def _clip(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    low, high = (builder.cast(limit) for limit in (op.x_min, op.x_max))
    return builder.function(tf.clip_by_value, builder.cast(x), low, high)


def _where(builder: OperationBuilder, _: Any, condition: Any, x1: Any, x2: Any) -> Any:
    import tensorflow as tf

    condition = builder.cast(condition, "bool")
    return builder.function(tf.where, condition, builder.cast(x1), builder.cast(x2))


def _leaky_relu(builder: OperationBuilder, op: Any, x: Any) -> Any:
    return builder.layer("LeakyReLU", builder.cast(x), alpha=float(op.negative_slope))


def _gelu(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    return builder.function(tf.nn.gelu, builder.cast(x), approximate=bool(op.approximate))


def _operations() -> Mapping[str, Cross]:
    """Return the counterparts by the class of the operation in keras.ops."""
    return {
        **_activations(),
        **_arithmetic(),
        **_conditions(),
        **_reductions(),
        "Reshape": reshape,
        "Transpose": transpose,
        "Swapaxes": swapaxes,
        "ExpandDims": expand_dims,
        "Squeeze": squeeze,
        "Concatenate": concatenate,
        "Stack": stack,
        "Split": split,
        "Tile": tile,
        "Pad": pad,
        "Clip": _clip,
        "Cast": _cast,
        "GetItem": get_item,
    }


def _activations() -> Mapping[str, Cross]:
    activations = ("relu", "sigmoid", "tanh", "silu", "softplus", "softsign", "selu", "relu6")
    return {
        **FUNCTIONS,
        **{name.capitalize(): _activation(name) for name in activations},
        "Relu": lambda builder, _, x: builder.layer("ReLU", builder.cast(x)),
        "Relu6": lambda builder, _, x: builder.layer("ReLU", builder.cast(x), max_value=6.0),
        "HardSilu": _computed("hard_silu"),
        "HardSigmoid": _computed("hard_sigmoid"),
        "HardTanh": _computed("hard_tanh"),
        "LogSigmoid": _computed("log_sigmoid"),
        "Softmax": lambda builder, op, x: builder.layer(
            "Softmax", builder.cast(x), axis=ints(op.axis)
        ),
        "LeakyRelu": _leaky_relu,
        "Gelu": _gelu,
        "Elu": lambda builder, op, x: builder.layer("ELU", builder.cast(x), alpha=float(op.alpha)),
    }


def _arithmetic() -> Mapping[str, Cross]:
    import tensorflow as tf

    return {
        "Add": _binary(tf.math.add, "Add"),
        "Subtract": _binary(tf.math.subtract, "Subtract"),
        "Multiply": _binary(tf.math.multiply, "Multiply"),
        "Divide": _binary(tf.math.divide),
        "TrueDivide": _binary(tf.math.divide),
        "Power": _binary(tf.math.pow),
        "FloorDivide": _binary(tf.math.floordiv),
        "Maximum": _binary(tf.math.maximum, "Maximum"),
        "Minimum": _binary(tf.math.minimum, "Minimum"),
        "Matmul": _binary(tf.linalg.matmul),
        "Absolute": _unary(tf.math.abs),
        "Abs": _unary(tf.math.abs),
        "Negative": _unary(tf.math.negative),
        "Exp": _unary(tf.math.exp),
        "Log": _unary(tf.math.log),
        "Sqrt": _unary(tf.math.sqrt),
        "Rsqrt": _unary(tf.math.rsqrt),
        "Square": _unary(tf.math.square),
        "Reciprocal": _unary(tf.math.reciprocal),
        "Sin": _unary(tf.math.sin),
        "Cos": _unary(tf.math.cos),
        "Floor": _unary(tf.math.floor),
        "Ceil": _unary(tf.math.ceil),
        "Sign": _unary(tf.math.sign),
        "Erf": _unary(tf.math.erf),
    }


def _conditions() -> Mapping[str, Cross]:
    import tensorflow as tf

    return {
        "Greater": _comparison(tf.math.greater),
        "Less": _comparison(tf.math.less),
        "GreaterEqual": _comparison(tf.math.greater_equal),
        "Equal": _comparison(tf.math.equal),
        "LessEqual": _comparison(tf.math.less_equal),
        "NotEqual": _comparison(tf.math.not_equal),
        "LogicalAnd": _logical(tf.math.logical_and),
        "LogicalOr": _logical(tf.math.logical_or),
        "LogicalNot": _logical(tf.math.logical_not),
        "Where": _where,
    }


def _reductions() -> Mapping[str, Cross]:
    import tensorflow as tf

    return {
        "Mean": _mean,
        "Sum": _reduction(tf.math.reduce_sum),
        "Max": _reduction(tf.math.reduce_max),
        "Min": _reduction(tf.math.reduce_min),
        "Amax": _reduction(tf.math.reduce_max),
        "Amin": _reduction(tf.math.reduce_min),
        "Prod": _reduction(tf.math.reduce_prod),
        "Argmax": _arg(tf.math.argmax),
        "Argmin": _arg(tf.math.argmin),
    }
