"""Weights from a layer to its twin of the other generation, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.errors import CompressionError
from edgekit.models.bridge.graph import inner_model, is_model, layers_by_path
from edgekit.models.float32 import rebuilt


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


def carry_back(twin: Any, original: Any, layers: Mapping[str, tuple[str, ...]]) -> Any:
    """Return a copy of the original with its twin's weights; the original is not changed.

    ``layers`` is of :class:`Crossing`; the twin's layers keep their names and shapes.
    Raises :class:`CompressionError`: EK-COMPRESS-006 where the original cannot be rebuilt from its
    own configuration, or the twin has lost a layer.
    """
    twins = _twin_layers(twin)
    names = {path: name for name, path in layers.items()}
    originals = list(layers_by_path(original))
    # A layer that two nested models share has two paths and one twin.
    by_layer = {id(layer): names[path] for path, layer in originals if path in names}
    copy = _copy(original)
    copies = dict(layers_by_path(copy))
    for path, layer in originals:
        if inner_model(layer) is not None or not layer.weights:
            continue
        name = by_layer.get(id(layer))
        if name is not None and name not in twins:
            raise _refusal(f"the compressed model has no layer {name!r} any more")
        transfer(layer if name is None else twins[name], copies[path])
    return copy


def _twin_layers(twin: Any) -> dict[str, Any]:
    """Map the names that :func:`to_tf_keras` gives to layers, also those in ``TimeDistributed``."""
    return {"/".join(path): layer for path, layer in layers_by_path(twin)}


def _copy(original: Any) -> Any:
    """Build a model of the original's structure, with fresh weights."""
    try:
        return rebuilt(original, original.get_config())
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise _refusal(
            f"{original.name!r} cannot be rebuilt from its configuration: {reason}"
        ) from error


def _refusal(message: str) -> CompressionError:
    hint = "the compressed model exists as tf_keras; please report the model"
    return CompressionError("EK-COMPRESS-006", message, hint)
