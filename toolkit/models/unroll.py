"""Unroll recurrent layers, because calibration cannot enter loops. In the worker."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from edgekit.errors import ModelError


def unroll(model: Any) -> tuple[str, ...]:
    """Unroll every recurrent layer of a Keras model, and return their names.

    The function stays the same; the graph grows with the number of steps.
    """
    layers = [layer for layer in model._flatten_layers() if _recurrent(layer)]
    for layer in layers:
        layer.unroll = True
        # tf_keras decides when a layer is made whether its fused kernel may run instead.
        if hasattr(layer, "_could_use_gpu_kernel"):
            layer._could_use_gpu_kernel = False
    return tuple(layer.name for layer in layers)


@contextlib.contextmanager
def fixed_steps(layers: tuple[str, ...]) -> Iterator[None]:
    """Explain Keras's error for an unrolled layer whose number of steps is free.

    Raises :class:`ModelError` then.
    """
    try:
        yield
    except ValueError as error:
        if not layers or "unroll" not in str(error):
            raise
        message = f"{', '.join(layers)} cannot be unrolled: the number of steps is free"
        hint = "give the Input its length, Input((50, features)), or data of that length"
        raise ModelError("EK-MODEL-020", message, hint) from error


def _recurrent(layer: Any) -> bool:
    return hasattr(layer, "cell") and hasattr(layer, "unroll")
