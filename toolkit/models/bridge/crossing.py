"""Build the flat tf_keras twin of a model of either generation.

The graph is walked call by call, into nested models; the cost is the size of the flattened model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.errors import CompressionError
from edgekit.models.bridge.builder import OperationBuilder
from edgekit.models.bridge.graph import LayerCall, exchange, inner_model, is_model, read, tensors
from edgekit.models.bridge.layers import Translation, check_layer
from edgekit.models.bridge.operations import ACTIVATIONS as COMPUTED
from edgekit.models.bridge.operations import cross
from edgekit.models.bridge.weights import transfer
from edgekit.models.load import is_keras3

NO_TWINS: Mapping[str, type] = {}
# Arguments of a call besides its tensors; any other is refused.
ARGUMENTS = frozenset(
    "attention_mask initial_state key mask return_attention_scores use_causal_mask value".split()
)


@dataclass(frozen=True)
class Crossing:
    """A flat functional tf_keras model that answers as the original does.

    ``layers`` leads from each layer of the twin to the path of layer names in the original;
    ``dropped`` names the settings left behind because they held their default.
    """

    twin: Any
    layers: Mapping[str, tuple[str, ...]]
    dropped: tuple[str, ...]


def to_tf_keras(model: Any, twins: Mapping[str, type] = NO_TWINS) -> Crossing:
    """Build the tf_keras twin of a Sequential or functional model of either generation.

    ``twins`` maps the class name of a user's own Keras 3 layer to a tf_keras layer class with the
    same ``get_config`` keys and the same order of weights. The original is not changed.
    Raises :class:`CompressionError`: EK-COMPRESS-001 for a model without a layer graph, 002 for a
    layer or operation that has no counterpart, 004 for a setting that cannot be carried.
    """
    import tf_keras

    graph = read(model)
    walk = _TwinBuilder(is_keras3(model), twins, frozenset(layer.name for layer in model.layers))
    inputs = [walk.input(tensor) for tensor in graph.inputs]
    outputs = walk.run(model, inputs, (), frozen=False)
    twin = tf_keras.Model(
        inputs if len(inputs) > 1 else inputs[0],
        outputs if len(outputs) > 1 else outputs[0],
        name=model.name.replace("/", "_"),
    )
    for original, counterpart in walk.made.values():
        transfer(original, counterpart.layer)
    return Crossing(twin, walk.layers, tuple(walk.dropped))


@dataclass(frozen=True)
class _Counterpart:
    """A layer's twin, and the activation that must follow it: a name or a layer of its own."""

    layer: Any
    after: Any = None


class _TwinBuilder:
    """The twin while it is built. Layers are known by identity: one shared by models stays one."""

    def __init__(self, keras3: bool, twins: Mapping[str, type], reserved: frozenset[str]) -> None:
        self.keras3 = keras3
        self.twins = twins
        self.reserved = reserved
        self.made: dict[int, tuple[Any, _Counterpart]] = {}
        self.layers: dict[str, tuple[str, ...]] = {}
        self.dropped: list[str] = []

    def input(self, tensor: Any) -> Any:
        """Build the twin's input for an input tensor of the original."""
        import tf_keras

        name = tensor._keras_history[0].name
        if getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False):
            hint = "give the model a dense input, or convert without compression"
            message = f"input {name!r} is sparse or ragged, which the bridge does not support"
            raise CompressionError("EK-COMPRESS-004", message, hint)
        dtype = getattr(tensor.dtype, "name", tensor.dtype)
        self.layers[name] = (name,)
        return tf_keras.Input(batch_shape=tuple(tensor.shape), dtype=dtype, name=name)

    def run(
        self, model: Any, inputs: Sequence[Any], path: tuple[str, ...], frozen: bool
    ) -> list[Any]:
        """Build the twin's tensors for a model's outputs; ``frozen`` calls it with
        training=False.
        """
        graph = read(model)
        known = {
            id(reference): self._conform(tensor, reference, path)
            for tensor, reference in zip(inputs, graph.inputs, strict=True)
        }
        for call in graph.calls:
            answers = self._call(call, known, (*path, call.layer.name), frozen)
            known.update({id(t): answer for t, answer in zip(call.outputs, answers, strict=True)})
        return [known[id(tensor)] for tensor in graph.outputs]

    def _call(
        self, call: LayerCall, known: Mapping[int, Any], path: tuple[str, ...], frozen: bool
    ) -> list[Any]:
        import tensorflow as tf

        args, kwargs = exchange(call.args, known), dict(exchange(call.kwargs, known))
        if is_model(call.layer):
            frozen = self._is_frozen(call, kwargs, frozen)
            self._check_arguments(call, kwargs)
            return self.run(call.layer, tensors(args), path, frozen)
        if self.keras3 and not _is_layer(call.layer):
            builder = OperationBuilder(lambda: self._name(path), call.outputs[0].dtype)
            return list(tf.nest.flatten(cross(call.layer, builder, args, kwargs)))
        if id(call.layer) not in self.made:
            self.made[id(call.layer)] = (call.layer, self._make(call.layer, path))
        twin = self.made[id(call.layer)][1]
        frozen = self._is_frozen(call, kwargs, frozen)
        if self.keras3:
            self._check_arguments(call, kwargs)
        if frozen and twin.layer._expects_training_arg:
            kwargs["training"] = False
        try:
            answers = tf.nest.flatten(twin.layer(*args, **kwargs))
        except Exception as error:
            raise _refusal(call.layer, "called", error) from error
        return (
            answers
            if twin.after is None
            else [self._activate(answers[0], twin.after, call.layer, path)]
        )

    def _is_frozen(self, call: LayerCall, kwargs: dict[str, Any], frozen: bool) -> bool:
        """Take ``training`` out of a call's arguments. False is kept: transfer learning sets it."""
        training = kwargs.pop("training", None)
        if training is None or training is False:
            return frozen or training is False
        raise self._refuse_call(call, "training")

    def _check_arguments(self, call: LayerCall, kwargs: Mapping[str, Any]) -> None:
        for key in kwargs:
            own = type(call.layer).__name__ in self.twins
            if not own and (key not in ARGUMENTS or is_model(call.layer)):
                raise self._refuse_call(call, key)

    def _refuse_call(self, call: LayerCall, key: str) -> CompressionError:
        layer = call.layer
        message = f"layer {layer.name!r} ({type(layer).__name__}) is called with {key}"
        hint = (
            "the twin calls layers with tensors only: leave it out, or convert without compression"
        )
        return CompressionError("EK-COMPRESS-004", message, hint)

    def _make(self, layer: Any, path: tuple[str, ...]) -> _Counterpart:
        kind, name = type(layer).__name__, self._name(path)
        if inner_model(layer) is not None:
            return _Counterpart(self._time_distributed(layer, name, path))
        if not self.keras3:
            return _Counterpart(_rebuilt(type(layer), {**_config(layer), "name": name}, layer))
        check_layer(layer, layer.name, self.twins)
        translation = Translation(self.twins, layer.name)
        config = {**translation.config(kind, _config(layer)), "name": name}
        self.dropped += translation.dropped
        import tf_keras

        made = self.twins.get(kind) or getattr(tf_keras.layers, kind)
        with tf_keras.utils.custom_object_scope(dict(self.twins)):
            return _Counterpart(_rebuilt(made, config, layer), translation.after)

    def _time_distributed(self, layer: Any, name: str, path: tuple[str, ...]) -> Any:
        """Build the twin of a model that is applied to every step, inside its wrapper."""
        import tf_keras

        inner = to_tf_keras(layer.layer, self.twins)
        self.layers |= {
            f"{name}/{key}": (*path, *inner_path) for key, inner_path in inner.layers.items()
        }
        self.dropped += inner.dropped
        return tf_keras.layers.TimeDistributed(inner.twin, name=name, trainable=layer.trainable)

    def _activate(self, tensor: Any, after: Any, layer: Any, path: tuple[str, ...]) -> Any:
        """Apply an activation that the twin needs as a layer or operations of its own."""
        import tf_keras

        if isinstance(after, str):
            dtype = tensor.dtype.name
            return COMPUTED[after](
                OperationBuilder(lambda: self._name((*path, after)), dtype), tensor
            )
        kind, inner = after["class_name"], (*path, after["config"]["name"])
        translation = Translation(self.twins, layer.name)
        config = {**translation.config(kind, after["config"]), "name": self._name(inner)}
        self.dropped += translation.dropped
        answer = _rebuilt(getattr(tf_keras.layers, kind), config, layer)(tensor)
        if translation.after is None:
            return answer
        return self._activate(answer, translation.after, layer, inner)

    def _conform(self, tensor: Any, reference: Any, path: tuple[str, ...]) -> Any:
        """Convert an input to a nested model's dtype, and to a last axis of 1 more or less."""
        import tensorflow as tf

        dtype = getattr(reference.dtype, "name", reference.dtype)
        builder = OperationBuilder(lambda: self._name((*path, "input")), dtype)
        tensor = builder.cast(tensor)
        have, want = tensor.shape.rank, len(reference.shape)
        if have == want + 1:
            return builder.function(tf.squeeze, tensor, axis=-1)
        return builder.function(tf.expand_dims, tensor, -1) if have == want - 1 else tensor

    def _name(self, path: tuple[str, ...]) -> str:
        """Return a free name: the layer's own if possible, else with the names that lead to it."""
        own, joined = path[-1], "_".join(path)
        number = 0
        free = own if len(path) == 1 or own not in self.reserved else joined
        while free in self.layers or (len(path) > 1 and free in self.reserved):
            free = joined if number == 0 else f"{joined}_{number}"
            number += 1
        self.layers[free] = path
        return free


def _is_layer(operation: Any) -> bool:
    import keras

    return isinstance(operation, keras.layers.Layer)


def _config(layer: Any) -> Mapping[str, Any]:
    try:
        return dict(layer.get_config())
    except NotImplementedError as error:
        raise _refusal(layer, "rebuilt", error) from error


def _rebuilt(kind: type, config: Mapping[str, Any], layer: Any) -> Any:
    try:
        return kind.from_config(config)  # type: ignore[attr-defined]
    except Exception as error:
        raise _refusal(layer, "rebuilt", error) from error


def _refusal(layer: Any, action: str, error: Exception) -> CompressionError:
    message = f"layer {layer.name!r} ({type(layer).__name__}) cannot be {action} in tf_keras"
    reason = " ".join(str(error).split())[:300]
    hint = f"tf_keras says: {reason}; convert without compression"
    return CompressionError("EK-COMPRESS-004", message, hint)
