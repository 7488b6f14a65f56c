"""Seeds, and TensorFlow's deterministic kernels. In the worker."""

from __future__ import annotations


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and TensorFlow."""
    import keras

    keras.utils.set_random_seed(seed)


def deterministic() -> None:
    """Let the same training end with the same bits: for the rest of the process.

    The layers of tf_keras built from now on draw from generators whose state can be saved.
    """
    import tensorflow as tf
    import tf_keras

    tf.config.experimental.enable_op_determinism()
    tf_keras.backend.experimental.enable_tf_random_generator()


def is_deterministic() -> bool:
    """Tell whether TensorFlow takes deterministic kernels."""
    from tensorflow.python.framework.config import is_op_determinism_enabled

    return bool(is_op_determinism_enabled())
