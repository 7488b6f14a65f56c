"""One small Keras 3 model for each layer, and for settings that change what a layer computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

L = keras.layers
Build = Callable[[], Any]


class Halves(keras.initializers.Initializer):
    """A user's own initializer."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return keras.ops.full(shape, 0.5, dtype=dtype)


LINE, IMAGE, VOLUME, VIDEO = (8, 3), (8, 8, 2), (6, 6, 6, 2), (3, 6, 6, 2)


def on(shape: tuple[int, ...], *layers: Callable[[], Any], dtype: str = "float32") -> Build:
    """A Sequential of fresh layers, so that no two models share one."""
    return lambda: keras.Sequential([keras.Input(shape, dtype=dtype), *(make() for make in layers)])


def layer(kind: str, shape: tuple[int, ...], *arguments: Any, **settings: Any) -> Build:
    return on(shape, lambda: getattr(L, kind)(*arguments, name="one", **settings))


def several(build: Callable[..., Any], *shapes: tuple[int, ...], dtype: str = "float32") -> Build:
    def make() -> Any:
        inputs = [keras.Input(s, dtype=dtype, name=f"in_{n}") for n, s in enumerate(shapes)]
        return keras.Model(inputs, build(*inputs))

    return make


def scrambled(build: Build) -> Build:
    """The model with weights as training leaves them: a fresh BatchNormalization does nothing."""

    def make() -> Any:
        model, rng = build(), np.random.default_rng(0)
        model.set_weights([rng.uniform(0.5, 2, w.shape) for w in model.get_weights()])
        return model

    return make


def adapted() -> Any:
    model = layer("Normalization", (3,))()
    model.get_layer("one").adapt(np.random.default_rng(0).normal(3, 2, size=(50, 3)))
    return model


def attention(**call: Any) -> Build:
    return several(
        lambda q, v, k: L.MultiHeadAttention(2, 3, value_dim=4, name="one")(q, v, key=k, **call),
        (5, 4),
        (8, 4),
        (8, 4),
    )


def masked(*layers: Callable[[], Any]) -> Build:
    return on((7,), lambda: L.Embedding(5, 3, mask_zero=True), *layers, dtype="int32")


def masked_attention() -> Any:
    words = keras.Input((7,), dtype="int32")
    h = L.Embedding(5, 4, mask_zero=True)(words)
    return keras.Model(words, L.MultiHeadAttention(2, 3)(h, h))


def states() -> Any:
    i = keras.Input(LINE)
    last, hidden, cell = L.LSTM(4, return_state=True, name="encoder")(i)
    more = L.LSTM(4, return_sequences=True, name="decoder")(i, initial_state=[hidden, cell])
    return keras.Model(i, [last, more])


def cells() -> Any:
    cell = L.StackedRNNCells([L.LSTMCell(3), L.GRUCell(4), L.SimpleRNNCell(2)])
    return keras.Sequential([keras.Input(LINE), L.RNN(cell, return_sequences=True, name="one")])


def convolution(kind: str, shape: tuple[int, ...], *arguments: Any) -> dict[str, Build]:
    bare = lambda **settings: layer(kind, shape, *arguments, **settings)  # noqa: E731
    return {
        kind: bare(),
        f"{kind} options": bare(
            strides=2, padding="same", use_bias=False, activation="relu", trainable=False
        ),
        f"{kind} dilated": bare(dilation_rate=2, bias_initializer="ones"),
    }


def transposed(kind: str, shape: tuple[int, ...]) -> dict[str, Build]:
    return {
        kind: layer(kind, shape, 3, 3),
        f"{kind} options": layer(kind, shape, 3, 3, strides=2, padding="same", use_bias=False),
    }


def recurrent(kind: str, **settings: Any) -> dict[str, Build]:
    return {
        kind: layer(kind, LINE, 4, **settings),
        f"{kind} sequences": layer(
            kind, LINE, 4, return_sequences=True, go_backwards=True, dropout=0.2, use_bias=False
        ),
        f"{kind} free length": layer(kind, (None, 3), 4),
        f"{kind} masked": masked(lambda: getattr(L, kind)(4)),
        f"Bidirectional {kind}": on(
            LINE, lambda: L.Bidirectional(getattr(L, kind)(4, return_sequences=True), "sum")
        ),
    }


PLAIN: dict[str, Build] = {
    **convolution("Conv1D", LINE, 4, 3),
    "Conv1D causal": layer("Conv1D", LINE, 4, 3, padding="causal"),
    **convolution("Conv2D", IMAGE, 4, 3),
    "Conv2D groups": layer(
        "Conv2D",
        IMAGE,
        4,
        3,
        groups=2,
        kernel_regularizer="l2",
        kernel_constraint="max_norm",
        kernel_initializer="he_normal",
    ),
    "Conv2D free size": layer("Conv2D", (None, None, 2), 4, 3),
    **convolution("Conv3D", VOLUME, 2, 2),
    **convolution("DepthwiseConv1D", LINE, 3),
    **convolution("DepthwiseConv2D", IMAGE, 3),
    "DepthwiseConv2D multiplier": layer("DepthwiseConv2D", IMAGE, 3, depth_multiplier=2),
    **convolution("SeparableConv1D", LINE, 4, 3),
    **convolution("SeparableConv2D", IMAGE, 4, 3),
    **transposed("Conv1DTranspose", LINE),
    **transposed("Conv2DTranspose", IMAGE),
    **transposed("Conv3DTranspose", VOLUME),
    "Dense": layer("Dense", LINE, 4, activation="tanh"),
    "EinsumDense": layer("EinsumDense", LINE, "abc,cd->abd", output_shape=(None, 4), bias_axes="d"),
    "Embedding": on((7,), lambda: L.Embedding(5, 3), dtype="int32"),
    "Embedding of floats": on((7,), lambda: L.Embedding(5, 3)),
    **recurrent("LSTM", unit_forget_bias=False),
    **recurrent("GRU", reset_after=False),
    **recurrent("SimpleRNN", activation="relu"),
    "GRU reset after": layer("GRU", LINE, 4, reset_after=True),
    "LSTM states": states,
    "RNN cells": cells,
    "LSTM masked zero": masked(lambda: L.LSTM(3, zero_output_for_mask=True, return_sequences=True)),
    "Bidirectional masked": masked(lambda: L.Bidirectional(L.LSTM(3))),
    "Masking": on(LINE, lambda: L.Masking(0.0), lambda: L.LSTM(3)),
    **{f"ConvLSTM{n}D": layer(f"ConvLSTM{n}D", (3, *(5,) * n, 2), 2, 2) for n in (1, 2, 3)},
    "TimeDistributed": on(VIDEO, lambda: L.TimeDistributed(L.Conv2D(3, 3))),
    "TimeDistributed normalized": scrambled(
        on(VIDEO, lambda: L.TimeDistributed(L.BatchNormalization()))
    ),
    "MultiHeadAttention": attention(),
    "MultiHeadAttention causal": attention(use_causal_mask=True),
    "MultiHeadAttention scores": attention(return_attention_scores=True),
    "MultiHeadAttention masked": masked_attention,
    "MultiHeadAttention axes": several(
        lambda q: L.MultiHeadAttention(2, 3, attention_axes=(1, 2), output_shape=5)(q, q), (3, 4, 2)
    ),
    "MultiHeadAttention mask": several(
        lambda q, m: L.MultiHeadAttention(2, 3)(q, q, attention_mask=keras.ops.greater(m, 0.3)),
        (5, 4),
        (5, 5),
    ),
    "Attention": several(lambda q, v: L.Attention(use_scale=True)([q, v]), (5, 4), (8, 4)),
    "Attention scores": several(
        lambda q, v: L.Attention()([q, v], return_attention_scores=True), (5, 4), (8, 4)
    ),
    "AdditiveAttention": several(lambda q, v: L.AdditiveAttention()([q, v]), (5, 4), (8, 4)),
    "BatchNormalization": scrambled(layer("BatchNormalization", IMAGE)),
    "BatchNormalization options": scrambled(
        layer("BatchNormalization", IMAGE, momentum=0.7, epsilon=0.1, center=False)
    ),
    "LayerNormalization": scrambled(layer("LayerNormalization", IMAGE, axis=[1, -1])),
    "GroupNormalization": scrambled(layer("GroupNormalization", (8, 8, 4), groups=2)),
    "UnitNormalization": layer("UnitNormalization", IMAGE),
    "Normalization": adapted,
    "Normalization given": layer("Normalization", (3,), mean=[1.0, 2, 3], variance=[4.0, 5, 6]),
    "Normalization inverted": layer("Normalization", (2,), mean=1.0, variance=4.0, invert=True),
    **{
        kind: several(lambda *x, k=kind: getattr(L, k)()(list(x)), LINE, LINE)
        for kind in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
    },
    "Add broadcast": several(lambda a, b: L.Add()([a, b]), (8, 3), (1, 3)),
    "Concatenate": several(lambda a, b: L.Concatenate(axis=1)([a, b]), (8, 3), (2, 3)),
    "Dot": several(lambda a, b: L.Dot(axes=2, normalize=True)([a, b]), LINE, LINE),
    **{
        f"{kind}Pooling{n}D": layer(
            f"{kind}Pooling{n}D", (7,) * n + (2,), 3, strides=2, padding="same"
        )
        for kind in ("Average", "Max")
        for n in (1, 2, 3)
    },
    **{
        f"Global{kind}Pooling{n}D": layer(
            f"Global{kind}Pooling{n}D", (7,) * n + (2,), keepdims=n == 2
        )
        for kind in ("Average", "Max")
        for n in (1, 2, 3)
    },
    "GlobalAveragePooling1D masked": masked(lambda: L.GlobalAveragePooling1D()),
    **{
        f"{kind}{n}D": layer(f"{kind}{n}D", (7,) * n + (2,), 2)
        for kind in ("Cropping", "ZeroPadding", "UpSampling")
        for n in (1, 2, 3)
    },
    "ZeroPadding2D uneven": layer("ZeroPadding2D", IMAGE, ((0, 1), (2, 0))),
    "UpSampling2D bilinear": layer("UpSampling2D", IMAGE, 2, interpolation="bilinear"),
    "Flatten": layer("Flatten", IMAGE),
    "Permute": layer("Permute", IMAGE, (2, 1, 3)),
    "Reshape": layer("Reshape", IMAGE, (-1, 4)),
    "RepeatVector": layer("RepeatVector", (4,), 3),
    "Identity": layer("Identity", LINE),
    "ReLU": layer("ReLU", LINE, max_value=1.5, negative_slope=0.1, threshold=0.2),
    "LeakyReLU": layer("LeakyReLU", LINE, negative_slope=0.05),
    "LeakyReLU default": layer("LeakyReLU", LINE),
    "PReLU": scrambled(layer("PReLU", IMAGE, shared_axes=[1, 2])),
    "ELU": layer("ELU", LINE, alpha=0.5),
    "Softmax": layer("Softmax", LINE, axis=1),
    "ActivityRegularization": layer("ActivityRegularization", LINE, l2=0.1),
    **{
        kind: layer(kind, LINE, 0.3, seed=1)
        for kind in (
            "AlphaDropout",
            "Dropout",
            "GaussianDropout",
            "GaussianNoise",
            "SpatialDropout1D",
        )
    },
    "SpatialDropout2D": layer("SpatialDropout2D", IMAGE, 0.3),
    "SpatialDropout3D": layer("SpatialDropout3D", VOLUME, 0.3),
    "Rescaling": layer("Rescaling", IMAGE, 1 / 127.5, offset=-1),
    "Resizing": layer("Resizing", IMAGE, 5, 7),
    "Resizing cropped": layer(
        "Resizing", (8, 6, 2), 4, 4, crop_to_aspect_ratio=True, interpolation="nearest"
    ),
    "CenterCrop": layer("CenterCrop", IMAGE, 5, 4),
    "RandomBrightness": layer("RandomBrightness", IMAGE, 0.2),
    "RandomContrast": layer("RandomContrast", IMAGE, 0.2),
    "RandomFlip": layer("RandomFlip", IMAGE, "horizontal", seed=3),
    "RandomRotation": layer("RandomRotation", IMAGE, 0.1, fill_mode="constant"),
    "RandomTranslation": layer("RandomTranslation", IMAGE, 0.1, 0.1),
    "RandomZoom": layer("RandomZoom", IMAGE, 0.1),
    "CategoryEncoding": on((5,), lambda: L.CategoryEncoding(4), dtype="int32"),
    "Discretization": layer("Discretization", (5,), [-0.5, 0.0, 0.5]),
    **{
        f"activation {name}": layer("Activation", LINE, name)
        for name in (
            "elu",
            "exponential",
            "gelu",
            "leaky_relu",
            "linear",
            "log_softmax",
            "mish",
            "relu",
            "relu6",
            "selu",
            "sigmoid",
            "silu",
            "softmax",
            "softplus",
            "softsign",
            "swish",
            "tanh",
            "hard_sigmoid",
            "hard_silu",
            "hard_swish",
            "hard_tanh",
            "log_sigmoid",
        )
    },
    "activation in Conv2D": layer("Conv2D", IMAGE, 3, 3, activation="hard_silu"),
    "activation layer": layer("Dense", LINE, 3, activation=L.LeakyReLU(0.1)),
    "activation layer of one": layer("Dense", LINE, 3, activation=L.Activation("hard_silu")),
    "activation wrapped": on(LINE, lambda: L.TimeDistributed(L.Dense(3, activation="hard_silu"))),
}

REFUSED: dict[str, Build] = {
    "lora": layer("Dense", LINE, 3, lora_rank=2),
    "gate": several(lambda q: L.MultiHeadAttention(2, 3, use_gate=True, name="one")(q, q), (5, 4)),
    "random crop": layer("RandomCrop", IMAGE, 5, 4),
    "stateful": lambda: keras.Sequential(
        [keras.Input(batch_shape=(2, *LINE)), L.LSTM(3, stateful=True, name="one")]
    ),
    "hard sigmoid inside": layer("LSTM", LINE, 3, recurrent_activation="hard_sigmoid"),
    "adaptive": layer("AdaptiveAveragePooling2D", IMAGE, 2),
    "wrapped": on(VIDEO, lambda: L.TimeDistributed(L.AdaptiveAveragePooling2D(2), name="one")),
    "lambda": layer("Lambda", LINE, lambda x: x),
    "celu": layer("Activation", LINE, "celu"),
    "weights in an activation": layer("Dense", LINE, 3, activation=L.PReLU()),
    "initializer": layer("Dense", LINE, 3, kernel_initializer=Halves()),
}

# What takes seconds: tf_keras builds a recurrent layer for every device that there may be.
SLOW = frozenset(
    {
        "Bidirectional GRU",
        "Bidirectional SimpleRNN",
        "Bidirectional masked",
        "ConvLSTM2D",
        "ConvLSTM3D",
        "Conv3DTranspose options",
        "GRU free length",
        "GRU masked",
        "GRU sequences",
        "LSTM free length",
        "LSTM masked",
        "LSTM masked zero",
        "Masking",
        "SimpleRNN free length",
        "SimpleRNN masked",
        "SimpleRNN sequences",
    }
)
