"""The layers that cross from Keras 3 to tf_keras, and how their settings translate.

A setting that tf_keras does not know may be dropped only where it holds its default.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgekit.errors import CompressionError
from edgekit.models.bridge.operations import ACTIVATIONS as COMPUTED
from edgekit.models.bridge.refusal import unknown_layer

LAYERS = frozenset(
    (
        # Dense, convolution, embedding
        "Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose Dense "
        "DepthwiseConv1D DepthwiseConv2D EinsumDense Embedding SeparableConv1D SeparableConv2D "
        # Recurrent
        "Bidirectional ConvLSTM1D ConvLSTM2D ConvLSTM3D GRU GRUCell LSTM LSTMCell RNN SimpleRNN "
        "SimpleRNNCell StackedRNNCells TimeDistributed "
        # Attention and normalization
        "AdditiveAttention Attention BatchNormalization GroupNormalization LayerNormalization "
        "MultiHeadAttention UnitNormalization "
        # Merging
        "Add Average Concatenate Dot Maximum Minimum Multiply Subtract "
        # Pooling and shape
        "AveragePooling1D AveragePooling2D AveragePooling3D Cropping1D Cropping2D Cropping3D "
        "Flatten GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D "
        "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D MaxPooling1D MaxPooling2D "
        "MaxPooling3D Permute RepeatVector Reshape UpSampling1D UpSampling2D UpSampling3D "
        "ZeroPadding1D ZeroPadding2D ZeroPadding3D "
        # Activation and regularization
        "Activation ActivityRegularization AlphaDropout Dropout ELU GaussianDropout GaussianNoise "
        "Identity LeakyReLU Masking PReLU ReLU Softmax SpatialDropout1D SpatialDropout2D "
        "SpatialDropout3D "
        # Preprocessing and augmentation
        "CategoryEncoding CenterCrop Discretization Normalization RandomBrightness RandomContrast "
        "RandomFlip RandomRotation RandomTranslation RandomZoom Rescaling Resizing"
    ).split()
)
# Functions of one name and the same values in both: hard_sigmoid, for one, has other values.
ACTIVATIONS = frozenset(
    (
        "elu exponential gelu leaky_relu linear log_softmax mish relu relu6 selu sigmoid silu "
        "softmax softplus softsign swish tanh"
    ).split()
)
# Layers that apply their activation last, so that it can follow as a layer or operation of its own.
ACTIVATED_LAST = frozenset(
    (
        "Activation Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose Dense "
        "DepthwiseConv1D DepthwiseConv2D EinsumDense SeparableConv1D SeparableConv2D"
    ).split()
)
# Layers without weights that Keras 3 takes as another layer's activation.
ACTIVATION_LAYERS = frozenset({"Activation", "ELU", "LeakyReLU", "ReLU", "Softmax"})
# Settings that hold another layer.
HELD = frozenset({"backward_layer", "cell", "cells", "layer"})
# Settings that tf_keras reads and Keras 3 does not write; the first call settles them.
ADDED = {"MultiHeadAttention": {"query_shape": None, "key_shape": None, "value_shape": None}}
# Settings that tf_keras takes without naming them in a signature.
TAKEN = dict.fromkeys(("GRU", "LSTM", "RNN", "SimpleRNN"), frozenset({"zero_output_for_mask"}))
# Settings that tf_keras has under another name.
RENAMED = {("LeakyReLU", "negative_slope"): "alpha"}
# Serialized objects that both generations have, by the module that Keras 3 names.
OBJECTS = ("keras.initializers", "keras.regularizers", "keras.constraints")


@dataclass
class Translation:
    """One layer's settings on their way to tf_keras.

    ``after`` is an activation that must follow the layer: a name, or a serialized layer.
    """

    twins: Mapping[str, type]
    layer: str
    dropped: list[str] = field(default_factory=list)
    after: Any = None

    def config(self, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Translate a Keras 3 layer's configuration to tf_keras.

        Raises :class:`CompressionError` for a setting that cannot be carried.
        """
        import keras
        import tf_keras

        if kind in self.twins:
            return {key: self._value(kind, key, value) for key, value in config.items()}
        if config.get("stateful"):
            hint = "its state between calls would make the proof of equality depend on their order"
            raise self._refuse(kind, "stateful", True, hint)
        original, twin = getattr(keras.layers, kind), getattr(tf_keras.layers, kind)
        return self._settings(original, twin, kind, config)

    def _settings(
        self, original: Any, twin: Any, kind: str, config: Mapping[str, Any]
    ) -> dict[str, Any]:
        taken = TAKEN.get(kind, frozenset())
        accepted = _parameters(twin) | taken | {"name", "trainable", "dtype"}
        result: dict[str, Any] = dict(ADDED.get(kind, {}))
        for key, value in config.items():
            name = RENAMED.get((kind, key), key)
            if name not in accepted:
                self._drop(original, kind, key, config)
            elif key in ("activation", "recurrent_activation"):
                result[name] = self._activation(kind, key, value)
            else:
                result[name] = self._value(kind, key, value)
        return result

    def _drop(
        self, original: Any, kind: str, key: str, config: Mapping[str, Any], place: str = ""
    ) -> None:
        """Drop a setting that is the same in a layer made without it."""
        value = config[key]
        without = _copied({k: v for k, v in config.items() if k != key})
        try:
            default = original.from_config(without).get_config().get(key)
            same = bool(default == value)
        except (KeyError, TypeError, ValueError):
            same = value is None
        if not same:
            hint = "tf_keras has no such setting, so the twin would not be the same model"
            raise self._refuse(kind, place + key, value, hint)
        self.dropped.append(f"{self.layer}.{place}{key}")

    def _activation(self, kind: str, key: str, value: Any) -> Any:
        if value is None or (isinstance(value, str) and value in ACTIVATIONS):
            return value
        layer = isinstance(value, Mapping) and value.get("module") == "keras.layers"
        layer = layer and value["class_name"] in ACTIVATION_LAYERS
        if kind in ACTIVATED_LAST and (layer or (isinstance(value, str) and value in COMPUTED)):
            self.after = value
            return "linear"
        known = ", ".join(
            sorted(ACTIVATIONS | (COMPUTED.keys() if kind in ACTIVATED_LAST else set()))
        )
        hint = f"tf_keras has no function of the same values; activations that cross here: {known}"
        raise self._refuse(kind, key, value, hint)

    def _value(self, kind: str, key: str, value: Any) -> Any:
        """Translate a setting's value, with Keras 3's serialized objects as tf_keras reads them."""
        if isinstance(value, list | tuple):
            return type(value)(self._value(kind, key, item) for item in value)
        if not (isinstance(value, Mapping) and "class_name" in value):
            return value
        name, module = value["class_name"], value.get("module")
        if name == "DTypePolicy":
            return value["config"]["name"]
        if module == "keras.layers" or name in self.twins or key in HELD:
            # A user's own Dense has Keras's name and another module.
            if name not in self.twins and not (name in LAYERS and module == "keras.layers"):
                raise unknown_layer(f"layer {self.layer!r} holds a {name}, which", name)
            return {"class_name": name, "config": self.config(name, value["config"])}
        if module in OBJECTS and value.get("registered_name") is None:
            return self._object(kind, key, module, value)
        hint = "an object of this kind has no counterpart in tf_keras"
        raise self._refuse(kind, key, name, hint)

    def _object(self, kind: str, key: str, module: str, value: Mapping[str, Any]) -> Any:
        """Translate an initializer, regularizer or constraint."""
        import keras
        import tf_keras

        space, name = module.removeprefix("keras."), value["class_name"]
        original = getattr(getattr(keras, space), name, None)
        twin = getattr(getattr(tf_keras, space), name, None)
        if original is None or twin is None:
            raise self._refuse(kind, key, name, f"tf_keras.{space} has no {name}")
        accepted, result = _parameters(twin), {}
        for setting, content in value["config"].items():
            if setting in accepted:
                result[setting] = self._value(kind, f"{key}.{setting}", content)
            else:
                self._drop(original, kind, setting, value["config"], f"{key}.")
        return {"class_name": name, "config": result}

    def _refuse(self, kind: str, key: str, value: Any, hint: str) -> CompressionError:
        shown = (
            value["class_name"] if isinstance(value, Mapping) and "class_name" in value else value
        )
        message = (
            f"layer {self.layer!r} ({kind}) sets {key} = {shown!r}, which tf_keras does not support"
        )
        return CompressionError(
            "EK-COMPRESS-004", message, f"{hint}; or convert without compression"
        )


def check_layer(layer: Any, label: str, twins: Mapping[str, type]) -> None:
    """Refuse a Keras 3 layer that is not in the table and has no named twin."""
    import keras

    kind = type(layer).__name__
    if kind in twins or (kind in LAYERS and type(layer) is getattr(keras.layers, kind)):
        return
    shown = f"{type(layer).__module__}.{kind}, not Keras's layer {kind}" if kind in LAYERS else kind
    raise unknown_layer(f"layer {label!r} ({shown})", kind)


def _copied(value: Any) -> Any:
    """Copy a configuration, because ``from_config`` may take it apart."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if type(value) is list else value


def _parameters(kind: type) -> set[str]:
    """Return a class's constructor parameters, through the parents it passes keywords on to."""
    names: set[str] = set()
    for parent in kind.__mro__:
        if "__init__" not in vars(parent) or parent.__name__ in ("Layer", "object"):
            continue
        parameters = inspect.signature(vars(parent)["__init__"]).parameters
        names |= {name for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return names - {"self"}
