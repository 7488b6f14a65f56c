"""The operations of keras.ops that cross, as tf_keras layers or as TensorFlow operations.

Where a tf_keras layer does the same it is taken, because TFMOT knows layers better than operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.models.bridge.activations import FUNCTIONS
from edgekit.models.bridge.refusal import unknown_operation


@dataclass(frozen=True)
class OperationBuilder:
    """Builds an operation's counterparts in the twin, with its names and its dtype."""

    name: Callable[[], str]
    dtype: str

    def layer(self, kind: str, *args: Any, **config: Any) -> Any:
        """Call a tf_keras layer on ``args``."""
        import tf_keras

        return getattr(tf_keras.layers, kind)(name=self.name(), **config)(*args)

    def function(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a TensorFlow function as a layer of the graph."""
        from tf_keras.src.layers.core.tf_op_layer import TFOpLambda

        return TFOpLambda(function, name=self.name())(*args, **kwargs)

    def cast(self, value: Any, dtype: str | None = None) -> Any:
        """Convert a tensor, or a constant, to the dtype that Keras 3 computes in."""
        import tensorflow as tf

        dtype = dtype or self.dtype
        if is_symbolic(value):
            return value if value.dtype == dtype else self.function(tf.cast, value, dtype)
        array = np.asarray(value, dtype=tf.as_dtype(dtype).as_numpy_dtype)
        return array.item() if array.ndim == 0 else array


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


def is_symbolic(value: Any) -> bool:
    """Tell whether an argument is a tensor of the graph, else a constant."""
    return hasattr(value, "_keras_history")


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
        x, axis = builder.cast(x), _ints(op.axis)
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


def _reshape(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    shape, rest = _ints(op.newshape), list(x.shape[1:])
    keeps_batch = shape[:1] == [-1] and None not in rest and -1 not in shape[1:]
    if keeps_batch and np.prod(shape[1:], dtype=int) == np.prod(rest, dtype=int):
        return builder.layer("Reshape", x, target_shape=shape[1:])
    return builder.function(tf.reshape, x, shape)


def _transpose(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    axes = _ints(op.axes) if op.axes is not None else list(reversed(range(x.shape.rank)))
    axes = [axis % x.shape.rank for axis in axes]
    if axes[0] == 0 and len(axes) > 1:
        return builder.layer("Permute", x, dims=axes[1:])
    return builder.function(tf.transpose, x, perm=axes)


def _swapaxes(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    axes = list(range(x.shape.rank))
    axes[op.axis1], axes[op.axis2] = axes[op.axis2], axes[op.axis1]
    return builder.function(tf.transpose, x, perm=axes)


def _concatenate(builder: OperationBuilder, op: Any, xs: Any) -> Any:
    import tensorflow as tf

    parts = [builder.cast(x) for x in xs]
    plain = all(is_symbolic(x) and getattr(x, "_keras_mask", None) is None for x in parts)
    if plain and len(parts) > 1 and op.axis % parts[0].shape.rank != 0:
        return builder.layer("Concatenate", parts, axis=int(op.axis))
    return builder.function(tf.concat, parts, axis=int(op.axis))


def _stack(builder: OperationBuilder, op: Any, xs: Any) -> Any:
    import tensorflow as tf

    return builder.function(tf.stack, [builder.cast(x) for x in xs], axis=int(op.axis))


def _split(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    parts = op.indices_or_sections
    if not isinstance(parts, int):
        size = x.shape[op.axis]
        parts = np.diff([0, *_ints(parts), size]).tolist()
    return builder.function(tf.split, x, parts, axis=int(op.axis))


def _expand_dims(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    if isinstance(op.axis, (list, tuple)) and len(op.axis) != 1:
        raise ValueError("several axes")
    (axis,) = np.atleast_1d(op.axis).tolist()
    return builder.function(tf.expand_dims, x, axis)


def _squeeze(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    return builder.function(tf.squeeze, x, axis=_ints(op.axis))


def _cast(builder: OperationBuilder, _: Any, x: Any) -> Any:
    import tensorflow as tf

    return builder.function(tf.cast, x, builder.dtype)


def _clip(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    low, high = (builder.cast(limit) for limit in (op.x_min, op.x_max))
    return builder.function(tf.clip_by_value, builder.cast(x), low, high)


def _pad(builder: OperationBuilder, op: Any, x: Any, constant_values: Any = None) -> Any:
    import tensorflow as tf

    if op.mode not in ("constant", "reflect", "symmetric"):
        raise ValueError(f"mode {op.mode}")
    widths = np.broadcast_to(np.asarray(op.pad_width, int), (x.shape.rank, 2)).tolist()
    value = builder.cast(0 if constant_values is None else constant_values)
    return builder.function(tf.pad, x, widths, mode=op.mode.upper(), constant_values=value)


def _tile(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    repeats = np.atleast_1d(op.repeats).tolist()
    if len(repeats) != x.shape.rank:
        raise ValueError(f"{len(repeats)} repeats for {x.shape.rank} axes")
    return builder.function(tf.tile, x, repeats)


def _where(builder: OperationBuilder, _: Any, condition: Any, x1: Any, x2: Any) -> Any:
    import tensorflow as tf

    condition = builder.cast(condition, "bool")
    return builder.function(tf.where, condition, builder.cast(x1), builder.cast(x2))


def _get_item(builder: OperationBuilder, _: Any, x: Any, key: Any) -> Any:
    """Build a slice, as the operation that TensorFlow's own slicing becomes."""
    import tensorflow as tf

    begin, end, step = [], [], []
    masks = dict.fromkeys(("begin", "end", "ellipsis", "new_axis", "shrink_axis"), 0)
    for position, item in enumerate(key if isinstance(key, tuple) else (key,)):
        bit, low, high, stride = 1 << position, 0, 0, 1
        if item is Ellipsis:
            masks["ellipsis"] |= bit
        elif item is None:
            masks["new_axis"] |= bit
        elif isinstance(item, slice):
            low, high = (0 if limit is None else int(limit) for limit in (item.start, item.stop))
            stride = 1 if item.step is None else int(item.step)
            masks["begin"] |= bit if item.start is None else 0
            masks["end"] |= bit if item.stop is None else 0
        elif isinstance(item, (int, np.integer)):
            low, high = int(item), int(item) + 1
            masks["shrink_axis"] |= bit
        else:
            raise ValueError(f"an index of type {type(item).__name__}")
        begin.append(low)
        end.append(high)
        step.append(stride)
    named = {f"{name}_mask": mask for name, mask in masks.items()}
    return builder.function(tf.strided_slice, x, begin, end, strides=step, **named)


def _softmax(builder: OperationBuilder, op: Any, x: Any) -> Any:
    return builder.layer("Softmax", builder.cast(x), axis=_ints(op.axis))


def _leaky_relu(builder: OperationBuilder, op: Any, x: Any) -> Any:
    return builder.layer("LeakyReLU", builder.cast(x), alpha=float(op.negative_slope))


def _gelu(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    return builder.function(tf.nn.gelu, builder.cast(x), approximate=bool(op.approximate))


def _elu(builder: OperationBuilder, op: Any, x: Any) -> Any:
    return builder.layer("ELU", builder.cast(x), alpha=float(op.alpha))


def _ints(value: Any) -> Any:
    """Convert an axis or axes to plain integers, which survive a configuration."""
    if value is None or isinstance(value, (int, np.integer)):
        return value if value is None else int(value)
    return [int(item) for item in value]


def _operations() -> Mapping[str, Cross]:
    """Return the counterparts by the class of the operation in keras.ops."""
    import tensorflow as tf

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
        "Softmax": _softmax,
        "LeakyRelu": _leaky_relu,
        "Gelu": _gelu,
        "Elu": _elu,
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
        "Mean": _mean,
        "Sum": _reduction(tf.math.reduce_sum),
        "Max": _reduction(tf.math.reduce_max),
        "Min": _reduction(tf.math.reduce_min),
        "Amax": _reduction(tf.math.reduce_max),
        "Amin": _reduction(tf.math.reduce_min),
        "Prod": _reduction(tf.math.reduce_prod),
        "Argmax": _arg(tf.math.argmax),
        "Argmin": _arg(tf.math.argmin),
        "Reshape": _reshape,
        "Transpose": _transpose,
        "Swapaxes": _swapaxes,
        "ExpandDims": _expand_dims,
        "Squeeze": _squeeze,
        "Concatenate": _concatenate,
        "Stack": _stack,
        "Split": _split,
        "Tile": _tile,
        "Pad": _pad,
        "Clip": _clip,
        "Cast": _cast,
        "GetItem": _get_item,
    }
