"""Weights from a layer to its twin of the other generation, and back."""

from __future__ import annotations

from typing import Any

from edgekit.errors import CompressionError
from edgekit.models.bridge.graph import is_model


def transfer(source: Any, target: Any) -> None:
    """Copy a layer's weights to its twin; both list a layer's own weights in one order.

    Raises :class:`CompressionError` where their number or shapes differ.
    """
    kind = type(source).__name__
    if kind == "TimeDistributed":
        # A model inside crosses by itself, and its layers are known by their own paths.
        if not is_model(source.layer):
            transfer(source.layer, target.layer)
        return
    values = source.get_weights()
    shapes = [tuple(weight.shape) for weight in target.weights]
    if [value.shape for value in values] != shapes:
        own = [value.shape for value in values]
        message = f"layer {source.name!r} ({kind}) holds weights of shapes {own}; its twin {shapes}"
        hint = "the twin would not be the same model: convert without compression"
        raise CompressionError("EK-COMPRESS-004", message, hint)
    if values:
        target.set_weights(values)
    if hasattr(target, "finalize_state"):
        target.finalize_state()
