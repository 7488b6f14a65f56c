"""Build the smaller model: the same layers and connections, with the weights that stay."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.compression.channels.analysis import Analysis, Mask, analysis
from edgekit.compression.channels.graph import input_layers, is_graph, network
from edgekit.compression.channels.proof import prove
from edgekit.compression.channels.settings import ChannelPlan
from edgekit.compression.channels.walk import LayerRecord
from edgekit.errors import CompressionError, EdgekitError
from edgekit.models.load import is_keras3


def shrink(model: Any, plan: ChannelPlan) -> Any:
    """Build a new model of the same generation without the channels that the plan drops.

    Its outputs equal the model's with these channels at zero where kernels read them: both are
    compared before it is returned. Layers keep their names, types and connections.
    Raises :class:`CompressionError` for another model's plan, a layer that cannot be rebuilt, or
    outputs that differ.
    """
    analysed = analysis(model)
    same = [(g.name, g.before) for g in analysed.groups] == [
        (g.name, g.before) for g in plan.groups
    ]
    if not same:
        raise CompressionError(
            "EK-COMPRESS-026",
            f"the plan was made for another model than {model.name!r}: their groups differ",
            "plan again for this model",
        )
    mask = analysed.mask([group.kept for group in plan.groups])
    smaller = _Surgeon(model, analysed, mask).operate()
    prove(model, analysed, mask, smaller)
    return smaller


class _Surgeon:
    def __init__(self, model: Any, analysed: Analysis, mask: Mask) -> None:
        self._model = model
        self._mask = mask
        self._records = {id(record.layer): record for record in analysed.records}
        self._made: dict[int, tuple[Any, Any]] = {}
        self._keras3 = is_keras3(model)

    def operate(self) -> Any:
        try:
            smaller = self._clone(self._model)
        except EdgekitError:
            raise
        except Exception as error:
            # A layer that is rebuilt may still refuse the call: an initializer of fixed shape, say.
            raise _cannot(self._model, error) from error
        for layer, twin in self._made.values():
            self._fill(layer, twin)
        return smaller

    def _clone(self, model: Any) -> Any:
        """Build a model of twins, over inputs of the channels that stay."""
        inputs = [
            self._input(tensor, layer)
            for tensor, layer in zip(network(model).inputs, input_layers(model), strict=True)
        ]
        if not self._keras3:
            import tf_keras

            return tf_keras.models.clone_model(model, inputs, self._layer)
        import keras

        # A Sequential's own input is a tensor; a functional model's may be a list or mapping.
        structure = network(model).input
        packed = keras.tree.pack_sequence_as(structure, inputs)
        return keras.models.clone_model(model, packed, self._layer)

    def _input(self, tensor: Any, layer: Any) -> Any:
        """Build the input layer's twin: Keras 3 would name one after the tensor."""
        config = layer.get_config()
        key = "batch_shape" if "batch_shape" in config else "batch_input_shape"
        config[key] = tuple(tensor.shape)
        record = self._records.get(id(layer))
        if record is not None:
            config[key] = (*config[key][:-1], int(self._mask[record.writes].sum()))
        twin_input = type(layer).from_config(config).output
        if self._keras3:
            twin_input.name = tensor.name
        return twin_input

    def _layer(self, layer: Any) -> Any:
        """Return the twin of a layer or nested model, always the same one."""
        if id(layer) not in self._made:
            twin = self._clone(layer) if is_graph(layer) else self._rebuild(layer)
            self._made[id(layer)] = (layer, twin)
        return self._made[id(layer)][1]

    def _rebuild(self, layer: Any) -> Any:
        record = self._records.get(id(layer))
        try:
            config = layer.get_config()
            for key, layout in record.settings if record else ():
                config[key] = _count(config[key], int(self._mask[layout].sum()))
            return type(layer).from_config(config)
        except Exception as error:
            raise _cannot(layer, error) from error

    def _fill(self, layer: Any, twin: Any) -> None:
        """Give a twin the layer's weights, without the removed channels."""
        if is_graph(layer) or not getattr(layer, "weights", None):
            return
        record = self._records.get(id(layer))
        cuts = self._cuts(record) if record else {}
        values = []
        for variable in layer.weights:
            value = np.asarray(variable)
            for axis, kept in cuts.get(id(variable), ()):
                value = np.take(value, kept, axis)
            values.append(value)
        try:
            twin.set_weights(values)
            if hasattr(twin, "finalize_state"):
                # Normalization keeps what it computes from its weights.
                twin.finalize_state()
        except Exception as error:
            raise _cannot(layer, error) from error

    def _cuts(self, record: LayerRecord) -> dict[int, list[tuple[int, Any]]]:
        return {
            id(getattr(record.layer, weight.name)): [
                (axis, np.flatnonzero(self._mask[layout])) for axis, layout in weight.axes
            ]
            for weight in record.weights
        }


def _count(value: Any, count: int) -> Any:
    """Replace the channel count of a setting; -1 ("as many as there are") stays."""
    if isinstance(value, (list, tuple)):
        return (*value[:-1], _count(value[-1], count))
    return value if value == -1 else count


def _cannot(layer: Any, error: Exception) -> CompressionError:
    reason = " ".join(str(error).split())[:400]
    return CompressionError(
        "EK-COMPRESS-025",
        f"{layer.name!r} ({type(layer).__name__}) cannot be rebuilt with fewer channels",
        f"Keras raised {type(error).__name__}: {reason}\n"
        "usual causes: an initializer or a constant of fixed shape, a layer without from_config",
    )
