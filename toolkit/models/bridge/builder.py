"""The builder of an operation's counterpart in the twin: a layer, or a TensorFlow function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


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


def is_symbolic(value: Any) -> bool:
    """Tell whether an argument is a tensor of the graph, else a constant."""
    return hasattr(value, "_keras_history")


def ints(value: Any) -> Any:
    """Convert an axis or axes to plain integers, which survive a configuration."""
    if value is None or isinstance(value, (int, np.integer)):
        return value if value is None else int(value)
    return [int(item) for item in value]
