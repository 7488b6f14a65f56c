"""One view of a model's layer graph for both Keras generations.

Only the model's own nodes are read (``_nodes_by_depth``): a layer's list of nodes also holds the
calls that other models make of it. A graph is never rebuilt from a rewritten configuration: Keras 3
counts the calls of a nested model from 0, tf_keras from 1, and tf_keras's loader waits for ever for
a call that it cannot find (``reconstruct_from_config``).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.errors import CompressionError
from edgekit.models.load import is_keras3


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer or operation: its arguments and its outputs.

    ``kwargs`` holds what the caller passed; what the framework fills in itself (defaults, masks
    that travel with a tensor) is left out.
    """

    layer: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[Any, ...]


@dataclass(frozen=True)
class LayerGraph:
    """A model's input and output tensors, flat, and the calls between them in order."""

    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    calls: tuple[LayerCall, ...]


def is_model(layer: Any) -> bool:
    """Tell whether a layer is itself a model with a graph: Sequential or functional."""
    graph_like = type(layer).__name__ in ("Functional", "Sequential")
    return graph_like and hasattr(functional(layer), "_nodes_by_depth")


def read(model: Any) -> LayerGraph:
    """Read the layer graph of a Sequential or functional model.

    Raises :class:`CompressionError` for a subclassed model, or one never built.
    """
    graph = functional(model)
    if not is_model(model) or not getattr(graph, "inputs", None):
        kind = type(model).__name__
        problem = "has no Input" if kind == "Sequential" else "is a subclassed model"
        hint = (
            "its layers are not known before it runs: rebuild it with the Sequential or functional "
            "API, beginning with an Input, or convert without compression"
        )
        raise CompressionError("EK-COMPRESS-001", f"{model.name!r} ({kind}) {problem}", hint)
    keras3 = is_keras3(model)
    outputs = tuple(graph.outputs)
    needed = {id(tensor) for tensor in outputs}
    calls: list[LayerCall] = []
    # From the outputs upwards: a node that only feeds a dropped mask is not needed.
    for depth in sorted(graph._nodes_by_depth):
        for node in reversed(graph._nodes_by_depth[depth]):
            if node.is_input:
                continue
            call = _keras3_call(node) if keras3 else _tf_keras_call(node)
            if any(id(tensor) in needed for tensor in call.outputs):
                needed.update(id(t) for t in tensors([call.args, dict(call.kwargs)]))
                calls.append(call)
    return LayerGraph(tuple(graph.inputs), outputs, tuple(reversed(calls)))


def layers_by_path(model: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every layer of a model with the names that lead to it, through nested models."""
    for layer in model.layers:
        yield (layer.name,), layer
        inner = inner_model(layer)
        if inner is not None:
            for path, nested in layers_by_path(inner):
                yield (layer.name, *path), nested


def inner_model(layer: Any) -> Any | None:
    """Return the model that a layer is, or that it wraps, as ``TimeDistributed(model)`` does."""
    if is_model(layer):
        return layer
    wrapped = getattr(layer, "layer", None) if type(layer).__name__ == "TimeDistributed" else None
    return wrapped if wrapped is not None and is_model(wrapped) else None


def tensors(value: Any) -> list[Any]:
    """Return the graph's tensors anywhere inside an argument."""
    if isinstance(value, Mapping):
        return [found for item in value.values() for found in tensors(item)]
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in tensors(item)]
    return [value] if hasattr(value, "_keras_history") else []


def exchange(value: Any, known: Mapping[int, Any]) -> Any:
    """Replace each of the graph's tensors in an argument with its counterpart."""
    if isinstance(value, Mapping):
        return {key: exchange(item, known) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [exchange(item, known) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    return known[id(value)] if hasattr(value, "_keras_history") else value


def functional(model: Any) -> Any:
    """Return the functional model, which a Keras 3 Sequential keeps inside."""
    return getattr(model, "_functional", None) or model


def _tf_keras_call(node: Any) -> LayerCall:
    import tensorflow as tf

    return LayerCall(
        node.layer, tuple(node.call_args), node.call_kwargs, tuple(tf.nest.flatten(node.outputs))
    )


def _keras3_call(node: Any) -> LayerCall:
    args, kwargs = tuple(node.arguments.args), dict(node.arguments.kwargs)
    outputs = tuple(node.outputs)
    import keras

    if not isinstance(node.operation, keras.layers.Layer):
        passed = {key: value for key, value in kwargs.items() if value is not None}
        return LayerCall(node.operation, args, passed, outputs)
    signature = inspect.signature(node.operation.call)
    if any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values()):
        return LayerCall(node.operation, args, kwargs, outputs)
    bound = signature.bind(*args, **kwargs).arguments
    extra = bound.pop("kwargs", {})
    (_, first), *rest = {**bound, **extra}.items()
    passed = {
        key: value
        for key, value in rest
        if not _is_default(signature, key, value) and not _is_own_mask(key, value, first, bound)
    }
    return LayerCall(node.operation, (first,), passed, outputs)


def _is_default(signature: inspect.Signature, key: str, value: Any) -> bool:
    parameter = signature.parameters.get(key)
    default = (
        None if parameter is None or parameter.default is parameter.empty else parameter.default
    )
    return value is None or value is default or (isinstance(value, bool) and value == default)


def _is_own_mask(key: str, value: Any, first: Any, bound: Mapping[str, Any]) -> bool:
    """Tell whether a mask is the one that its tensor carries, which tf_keras passes on anyway."""
    if key != "mask" and not key.endswith("_mask"):
        return False
    owner = first if key == "mask" else bound.get(key.removesuffix("_mask"))
    carried = [id(getattr(tensor, "_keras_mask", None)) for tensor in tensors(owner)]
    masks = value if isinstance(value, (list, tuple)) else [value]
    return [id(mask) for mask in masks] == carried
