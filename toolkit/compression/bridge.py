"""Rebuild a Keras 3 model in tf_keras, layer by layer, and prove that both answer alike.

TFMOT takes tf_keras models only. A layer crosses only by this table: what is not in it, or what
carries a setting that tf_keras does not know, is refused by name.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import CompressionError
from edgekit.models.load import is_keras3

LAYERS = frozenset(
    {
        "Activation", "Add", "AveragePooling2D", "BatchNormalization", "Conv2D", "Dense", "Dropout",
        "Flatten", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "InputLayer", "LeakyReLU",
        "MaxPooling2D", "ReLU", "Softmax", "ELU",
    }
)  # fmt: skip
# Functions of the same name and the same values in both: hard_sigmoid, for one, has other values.
ACTIVATIONS = frozenset(
    {
        "elu", "exponential", "gelu", "leaky_relu", "linear", "log_softmax", "mish", "relu",
        "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh",
    }
)  # fmt: skip
# Settings that tf_keras has under another name.
RENAMED = {("LeakyReLU", "negative_slope"): "alpha"}
RELATIVE_TOLERANCE = 1e-4


def to_tf_keras(model: Any) -> Any:
    """The tf_keras twin of a model; a tf_keras model is checked and returned as it is.

    Raises :class:`CompressionError` that names the layer that cannot cross, and why.
    """
    if not hasattr(model, "layers") or not _is_graph(model):
        hint = "rebuild it with the Sequential or functional API, or convert without --prune"
        raise CompressionError(
            "EK-COMPRESS-001", f"{type(model).__name__} is a subclassed model", hint
        )
    keras3 = is_keras3(model)
    # With keras.ops in the graph, Keras 3's operations are more than its layers.
    for layer in _functional(model)._operations if keras3 else model.layers:
        kind = type(layer).__name__
        if kind not in LAYERS or type(layer) is not getattr(_layers(keras3), kind):
            hint = f"layers that can be pruned over today: {', '.join(sorted(LAYERS))}"
            if kind in LAYERS:
                kind = f"{type(layer).__module__}.{kind}, not Keras's layer {kind}"
            raise CompressionError(
                "EK-COMPRESS-002", f"layer {layer.name!r} ({kind}) cannot be pruned over", hint
            )
    return _rebuild(model) if keras3 else model


def prove_equal(model: Any, twin: Any, samples: npt.NDArray[np.float32] | None) -> float:
    """The largest difference of the twins' outputs, relative to the outputs' range.

    Compared on random inputs and, for a model of one input, on ``samples`` (preprocessed,
    ``[n, ...]``) where there are any.
    Raises :class:`CompressionError` above a relative difference of 1e-4.
    """
    rng = np.random.default_rng(0)
    shapes = [tuple(1 if s is None else s for s in tensor.shape[1:]) for tensor in model.inputs]
    random = [rng.normal(size=(16, *shape)).astype(np.float32) for shape in shapes]
    differences = []
    for batch in [random] if samples is None else [random, [samples]]:
        expected = _answers(model, batch)
        got = _answers(twin, batch)
        for left, right in zip(expected, got, strict=True):
            scale = max(float(np.max(np.abs(left))), 1e-6)
            differences.append(float(np.max(np.abs(left - right))) / scale)
    # np.max keeps a NaN, max() may lose it.
    worst = float(np.max(differences))
    if not worst <= RELATIVE_TOLERANCE:
        raise CompressionError(
            "EK-COMPRESS-003",
            f"the model rebuilt in tf_keras answers differently: by {worst:.1e} of the range",
            "this is a fault of edgekit's bridge: please report the model; convert without --prune",
        )
    return worst


def _is_graph(model: Any) -> bool:
    return (
        bool(getattr(model, "inputs", None))
        and hasattr(model, "_nodes_by_depth" if type(model).__name__ == "Functional" else "layers")
        and type(model).__name__ in ("Functional", "Sequential")
    )


def _functional(model: Any) -> Any:
    """The graph of a Keras 3 model: a Sequential keeps one inside."""
    return getattr(model, "_functional", None) or model


def _layers(keras3: bool) -> Any:
    if keras3:
        import keras

        return keras.layers
    import tf_keras

    return tf_keras.layers


def _answers(model: Any, batch: list[npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
    answers = model(batch[0] if len(batch) == 1 else batch, training=False)
    many = answers if isinstance(answers, (list, tuple)) else [answers]
    return [np.asarray(a) for a in many]


def _rebuild(model: Any) -> Any:
    import tf_keras

    functional = _functional(model)
    layers: dict[str, Any] = {}
    tensors: dict[int, Any] = {}
    for tensor in functional.inputs:
        shape, dtype = tuple(tensor.shape)[1:], str(tensor.dtype)
        tensors[id(tensor)] = tf_keras.Input(shape, dtype=dtype, name=tensor.name)
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        for node in functional._nodes_by_depth[depth]:
            layer = node.operation
            if type(layer).__name__ == "InputLayer":
                continue
            _check_call(node)
            if layer.name not in layers:
                layers[layer.name] = _rebuild_layer(layer)
            arguments = [tensors[id(t)] for t in node.input_tensors]
            answer = layers[layer.name](arguments[0] if len(arguments) == 1 else arguments)
            tensors[id(node.output_tensors[0])] = answer
    inputs = [tensors[id(t)] for t in functional.inputs]
    outputs = [tensors[id(t)] for t in functional.outputs]
    twin = tf_keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0], name="model")
    for name, layer in layers.items():
        layer.set_weights(model.get_layer(name).get_weights())
    return twin


def _check_call(node: Any) -> None:
    """Refuse a call such as ``layer(x, training=True)``: the twin calls with tensors only."""
    said = {k: v for k, v in node.arguments.kwargs.items() if v is not None and v is not False}
    if said:
        layer, hint = node.operation, "call it without, or convert without --prune"
        message = f"layer {layer.name!r} ({type(layer).__name__}) is called with {', '.join(said)}"
        raise CompressionError("EK-COMPRESS-004", message, hint)


def _rebuild_layer(layer: Any) -> Any:
    import tf_keras

    kind = getattr(tf_keras.layers, type(layer).__name__)
    accepted = set(inspect.signature(kind.__init__).parameters) | {"name", "trainable", "dtype"}
    config: dict[str, Any] = {}
    for key, value in layer.get_config().items():
        value = _plain(value)
        twins = RENAMED.get((kind.__name__, key), key)
        if key == "activation" and not (isinstance(value, str) and value in ACTIVATIONS):
            hint = f"activations that can cross today: {', '.join(sorted(ACTIVATIONS))}"
            message = f"layer {layer.name!r} ({kind.__name__}) sets activation = {value!r}"
            raise CompressionError("EK-COMPRESS-004", message, hint)
        if twins in accepted:
            config[twins] = value
        elif value != _default(layer, key):
            hint = "tf_keras has no such setting, so the twin would not be the same model"
            message = f"layer {layer.name!r} ({kind.__name__}) sets {key} = {value!r}"
            raise CompressionError("EK-COMPRESS-004", message, hint)
    try:
        return kind.from_config(config)
    except (TypeError, ValueError) as error:
        message = f"layer {layer.name!r} ({kind.__name__}) cannot be rebuilt in tf_keras"
        raise CompressionError("EK-COMPRESS-004", message, " ".join(str(error).split())) from error


def _default(layer: Any, key: str) -> Any:
    """What Keras 3 takes a setting to be where nothing is said: dropping that loses nothing."""
    for kind in type(layer).__mro__:
        parameter = inspect.signature(kind.__init__).parameters.get(key)  # type: ignore[misc]
        if parameter is not None:
            return parameter.default
    # Settings that Keras writes without taking them, such as quantization_config.
    return None


def _plain(value: Any) -> Any:
    """Keras 3's serialized objects as tf_keras reads them."""
    if isinstance(value, dict) and value.get("class_name") == "DTypePolicy":
        return value["config"]["name"]
    if isinstance(value, dict) and "class_name" in value:
        import keras

        known = {"input_axes", "output_axes"}
        config = {k: v for k, v in value["config"].items() if k not in known or v is not None}
        if not hasattr(keras.initializers, value["class_name"]):
            return {"class_name": value["class_name"], "config": config}
        return {"class_name": value["class_name"], "config": _without_axes(config)}
    return value


def _without_axes(config: dict[str, Any]) -> dict[str, Any]:
    """An initializer's configuration without the axes, which only fresh weights need."""
    return {k: v for k, v in config.items() if k not in ("input_axes", "output_axes")}
