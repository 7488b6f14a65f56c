"""Keras 3's argmax and argmin as TFLite has them. In the worker.

Source: ``keras/src/backend/tensorflow/numpy.py``: it tells -0.0 from 0.0 by their bits, for which
TFLite has no operators. Which of the two comes first is all that the plain ones answer otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

NAMES = ("argmax", "argmin")


@contextlib.contextmanager
def watch_argmax(replaced: bool) -> Iterator[set[str]]:
    """Record the names of those that a traced model calls on floats.

    ``replaced`` gives the model TensorFlow's own instead.
    """
    import tensorflow as tf
    from keras.src.backend.tensorflow import numpy as backend

    called: set[str] = set()

    def watched(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        own = getattr(tf, name)

        def call(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
            if not tf.is_tensor(x) or not x.dtype.is_floating or x.shape.rank in (None, 0):
                return original(x, axis, keepdims)
            called.add(name)
            if not replaced:
                return original(x, axis, keepdims)
            flat = tf.reshape(x, [-1]) if axis is None else x
            answer = own(flat, axis or 0 if axis is None else axis, output_type=tf.int32)
            if not keepdims:
                return answer
            if axis is None:
                return tf.reshape(answer, [1] * x.shape.rank)
            return tf.expand_dims(answer, axis)

        return call

    originals = {name: getattr(backend, name) for name in NAMES}
    for name, original in originals.items():
        setattr(backend, name, watched(name, original))
    try:
        yield called
    finally:
        for name, original in originals.items():
            setattr(backend, name, original)
