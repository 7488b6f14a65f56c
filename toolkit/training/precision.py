"""Half precision while a model is built. In the worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def half_precision(dtype: str | None) -> Iterator[None]:
    """Let layers that are built meanwhile compute in a half precision, with float32 weights.

    Source: Keras guide "Mixed precision". Nothing is done without a dtype.
    """
    if dtype is None:
        yield
        return
    import keras
    import tf_keras

    keras.config.set_dtype_policy(f"mixed_{dtype}")
    tf_keras.mixed_precision.set_global_policy(f"mixed_{dtype}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")
        tf_keras.mixed_precision.set_global_policy("float32")
