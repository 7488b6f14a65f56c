"""The operations of keras.ops that move, cut and join values, and compute none."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.models.bridge.builder import OperationBuilder, ints, is_symbolic


def reshape(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    shape, rest = ints(op.newshape), list(x.shape[1:])
    keeps_batch = shape[:1] == [-1] and None not in rest and -1 not in shape[1:]
    if keeps_batch and np.prod(shape[1:], dtype=int) == np.prod(rest, dtype=int):
        return builder.layer("Reshape", x, target_shape=shape[1:])
    return builder.function(tf.reshape, x, shape)


def transpose(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    axes = ints(op.axes) if op.axes is not None else list(reversed(range(x.shape.rank)))
    axes = [axis % x.shape.rank for axis in axes]
    if axes[0] == 0 and len(axes) > 1:
        return builder.layer("Permute", x, dims=axes[1:])
    return builder.function(tf.transpose, x, perm=axes)


def swapaxes(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    axes = list(range(x.shape.rank))
    axes[op.axis1], axes[op.axis2] = axes[op.axis2], axes[op.axis1]
    return builder.function(tf.transpose, x, perm=axes)


def concatenate(builder: OperationBuilder, op: Any, xs: Any) -> Any:
    import tensorflow as tf

    parts = [builder.cast(x) for x in xs]
    plain = all(is_symbolic(x) and getattr(x, "_keras_mask", None) is None for x in parts)
    if plain and len(parts) > 1 and op.axis % parts[0].shape.rank != 0:
        return builder.layer("Concatenate", parts, axis=int(op.axis))
    return builder.function(tf.concat, parts, axis=int(op.axis))


def stack(builder: OperationBuilder, op: Any, xs: Any) -> Any:
    import tensorflow as tf

    return builder.function(tf.stack, [builder.cast(x) for x in xs], axis=int(op.axis))


def split(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    parts = op.indices_or_sections
    if not isinstance(parts, int):
        size = x.shape[op.axis]
        parts = np.diff([0, *ints(parts), size]).tolist()
    return builder.function(tf.split, x, parts, axis=int(op.axis))


def expand_dims(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    if isinstance(op.axis, (list, tuple)) and len(op.axis) != 1:
        raise ValueError("several axes")
    (axis,) = np.atleast_1d(op.axis).tolist()
    return builder.function(tf.expand_dims, x, axis)


def squeeze(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    return builder.function(tf.squeeze, x, axis=ints(op.axis))


def pad(builder: OperationBuilder, op: Any, x: Any, constant_values: Any = None) -> Any:
    import tensorflow as tf

    if op.mode not in ("constant", "reflect", "symmetric"):
        raise ValueError(f"mode {op.mode}")
    widths = np.broadcast_to(np.asarray(op.pad_width, int), (x.shape.rank, 2)).tolist()
    value = builder.cast(0 if constant_values is None else constant_values)
    return builder.function(tf.pad, x, widths, mode=op.mode.upper(), constant_values=value)


def tile(builder: OperationBuilder, op: Any, x: Any) -> Any:
    import tensorflow as tf

    repeats = np.atleast_1d(op.repeats).tolist()
    if len(repeats) != x.shape.rank:
        raise ValueError(f"{len(repeats)} repeats for {x.shape.rank} axes")
    return builder.function(tf.tile, x, repeats)


def get_item(builder: OperationBuilder, _: Any, x: Any, key: Any) -> Any:
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
