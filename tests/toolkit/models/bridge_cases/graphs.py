"""Small models of many graphs, in both generations: nested, shared, of several ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras

IMAGE = (8, 8, 2)


def block(k: Any, name: str | None = "inside", **options: Any) -> Any:
    """A small functional model over an image, the same shape out."""
    i = k.Input(IMAGE)
    h = k.layers.Conv2D(2, 3, padding="same", name="convolution", **options)(i)
    return k.Model(i, k.layers.BatchNormalization(name="normalization")(h), name=name)


def over_image(build: Callable[..., Any]) -> Callable[[Any], Any]:
    def make(k: Any) -> Any:
        i = k.Input(IMAGE, name="image")
        return k.Model(i, build(k, i), name="whole")

    return make


def head(k: Any, h: Any) -> Any:
    return k.layers.Dense(3, activation="softmax", name="answer")(k.layers.Flatten()(h))


def sequential(k: Any) -> Any:
    layers = [k.layers.Conv2D(3, 3, name="convolution"), k.layers.BatchNormalization()]
    return k.Sequential(
        [
            k.Input(IMAGE, name="image"),
            *layers,
            k.layers.ReLU(),
            k.layers.Flatten(),
            k.layers.Dense(2),
        ],
        name="whole",
    )


def shared(k: Any, i: Any) -> Any:
    conv = k.layers.Conv2D(2, 3, padding="same", name="twice")
    return head(k, k.layers.Add()([conv(i), conv(conv(i))]))


def nested_sequential(k: Any) -> Any:
    inner = k.Sequential([k.Input(IMAGE), block(k), k.layers.ReLU(), k.layers.Flatten()])
    return k.Sequential([k.Input(IMAGE, name="image"), inner, k.layers.Dense(2)], name="whole")


def nested_twice(k: Any, i: Any) -> Any:
    inner = block(k)
    return head(k, k.layers.Concatenate()([inner(i), inner(inner(i))]))


def nested_deep(k: Any, i: Any) -> Any:
    model = block(k, "level_0")
    for level in range(1, 6):
        j = k.Input(IMAGE)
        model = k.Model(j, k.layers.ReLU(name="relu")(model(j)), name=f"level_{level}")
    return head(k, model(i))


def nested_ends(k: Any) -> Any:
    a, b = k.Input((4,), name="a"), k.Input((3,), name="b")
    h = k.layers.Concatenate()([a, b])
    inner = k.Model([a, b], [k.layers.Dense(2, name="x")(h), k.layers.Dense(3, name="y")(h)])
    left, right = k.Input((4,), name="left"), k.Input((3,), name="right")
    x, y = inner([left, right])
    again, _ = inner([k.layers.Dense(4, name="x")(x), y])
    return k.Model([left, right], [again, y], name="whole")


def same_names(k: Any, i: Any) -> Any:
    h = k.layers.Conv2D(2, 3, padding="same", name="convolution")(i)
    return head(k, k.layers.Add()([block(k, "one")(h), block(k, "two")(h)]))


def features(k: Any, i: Any) -> Any:
    """Two nested models that share layers: the parts of one."""
    whole = block(k, "all")
    part = k.Model(whole.inputs, whole.get_layer("convolution").output, name="part")
    return head(k, k.layers.Concatenate()([whole(i), part(i)]))


def frozen(k: Any, i: Any) -> Any:
    """Transfer learning as its guide writes it."""
    base = block(k)
    base.trainable = False
    return head(k, base(i, training=False))


def rank(k: Any) -> Any:
    i = k.Input((8, 8), name="image")
    j = k.Input((8, 8, 1))
    inner = k.Model(j, k.layers.Conv2D(2, 3)(j), name="inside")
    return k.Model(i, head(k, inner(i)))


def types(k: Any) -> Any:
    i = k.Input(IMAGE, dtype="uint8", name="image")
    return k.Model(i, head(k, block(k)(i)))


def dictionaries(k: Any) -> Any:
    z, a = k.Input((4,), name="z"), k.Input((3,), name="a")
    h = k.layers.Concatenate()([a, k.layers.Dense(2)(z)])
    outputs = {
        "second": k.layers.Dense(2, name="second")(h),
        "first": k.layers.Dense(3, name="first")(h),
    }
    return k.Model({"z": z, "a": a}, outputs, name="whole")


def one_in_list(k: Any) -> Any:
    i = k.Input((4,), name="only")
    return k.Model([i], [k.layers.Dense(2)(i)])


def passed_through(k: Any) -> Any:
    i = k.Input((4,), name="only")
    return k.Model(i, [i, k.layers.Dense(2)(i)])


def recurrent(k: Any) -> Any:
    words = k.Input((6,), dtype="int32", name="words")
    h = k.layers.Embedding(9, 4, mask_zero=True)(words)
    h = k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True), name="both")(h)
    return k.Model(words, k.layers.Dense(2)(k.layers.GRU(3)(h)), name="whole")


def attention(k: Any) -> Any:
    i = k.Input((5, 4), name="steps")
    h = k.layers.MultiHeadAttention(2, 3, name="attention")(i, i, use_causal_mask=True)
    h = k.layers.LayerNormalization()(k.layers.Add()([h, i]))
    return k.Model(i, k.layers.Dense(2)(k.layers.GlobalAveragePooling1D()(h)), name="whole")


def video(k: Any) -> Any:
    """A model over every frame: it stays one inside its wrapper."""
    i = k.Input((3, *IMAGE), name="frames")
    h = k.layers.TimeDistributed(k.Sequential([k.Input(IMAGE), block(k), k.layers.Flatten()]))(i)
    return k.Model(i, k.layers.LSTM(2)(h), name="whole")


def cells(k: Any) -> Any:
    stacked = k.layers.RNN([k.layers.LSTMCell(3), k.layers.GRUCell(2)], name="stacked")
    return k.Sequential([k.Input((4, 3), name="steps"), stacked, k.layers.Dense(2)], name="whole")


def transfer(k: Any) -> Any:
    base = k.applications.MobileNetV2((32, 32, 3), alpha=0.35, include_top=False, weights=None)
    i = k.Input((32, 32, 3), name="image")
    h = k.layers.GlobalAveragePooling2D()(base(i, training=False))
    return k.Model(i, k.layers.Dense(3, name="answer")(h), name="whole")


BOTH: dict[str, Callable[[Any], Any]] = {
    "sequential": sequential,
    "shared": over_image(shared),
    "nested": over_image(lambda k, i: head(k, block(k)(i))),
    "nested sequential": nested_sequential,
    "nested twice": over_image(nested_twice),
    "nested deep": over_image(nested_deep),
    "nested ends": nested_ends,
    "same names": over_image(same_names),
    "parts shared": over_image(features),
    "frozen": over_image(frozen),
    "types": types,
    "dictionaries": dictionaries,
    "one in list": one_in_list,
    "passed through": passed_through,
    "recurrent": recurrent,
    "attention": attention,
    "video": video,
    "cells": cells,
    "transfer": transfer,
}


@keras.saving.register_keras_serializable("tests")
class Score(keras.layers.Layer):
    """A user's own layer in Keras 3."""

    def __init__(self, units: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.units = units

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, x: Any) -> Any:
        return keras.ops.tanh(keras.ops.matmul(x, self.kernel))

    def compute_output_shape(self, shape: Any) -> Any:
        return (*shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class ScoreTwin(tf_keras.layers.Layer):
    """The same in tf_keras."""

    def __init__(self, units: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.units = units

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, x: Any) -> Any:
        return tf.tanh(tf.matmul(x, self.kernel))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class Dense(keras.layers.Dense):
    """A user's layer under a known name."""


class Own(keras.Model):
    def __init__(self) -> None:
        super().__init__(name="own")
        self.dense = keras.layers.Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def subclassed() -> Any:
    model = Own()
    model(np.zeros((1, 4), "float32"))
    return model


def own_layer(kind: Any) -> Any:
    return keras.Sequential([keras.Input((5, 4)), kind(3, name="own"), keras.layers.Flatten()])


def own_wrapped(kind: Any) -> Any:
    i = keras.Input((5, 4))
    return keras.Model(i, keras.layers.TimeDistributed(kind(3), name="wrapper")(i))


def called(**arguments: Any) -> Callable[[], Any]:
    return lambda: over_image(
        lambda k, i: head(k, k.layers.BatchNormalization(name="batch")(i, **arguments))
    )(keras)


def nested_called() -> Any:
    return over_image(lambda k, i: head(k, block(k)(i, training=True)))(keras)


def tf_operations() -> Any:
    i = tf_keras.Input(IMAGE, name="image")
    h = tf_keras.layers.Conv2D(2, 3)(i)
    h = tf.nn.relu(h * 2 + 1)[:, 1:, ::2]
    inner = tf_keras.Model(i, tf.concat([h, 1 - h], axis=-1), name="inside")
    j = tf_keras.Input(IMAGE, name="image")
    return tf_keras.Model(j, tf_keras.layers.Dense(2)(tf.reduce_mean(inner(j), axis=[1, 2])))


def renormed() -> Any:
    """A setting that this version of Keras does not write yet."""
    model = over_image(lambda k, i: head(k, k.layers.BatchNormalization(name="new")(i)))(keras)
    one = model.get_layer("new")
    config = {**one.get_config(), "novelty": 2}
    one.get_config = lambda: config
    return model


TWINS = {"Score": ScoreTwin}
MODELS = {
    **{f"keras3 {name}": lambda b=build: b(keras) for name, build in BOTH.items()},
    **{f"keras2 {name}": lambda b=build: b(tf_keras) for name, build in BOTH.items()},
    "keras2 operations": tf_operations,
    "keras2 rank": lambda: rank(tf_keras),
    "keras3 own layer": lambda: own_layer(Score),
    "keras3 own wrapped": lambda: own_wrapped(Score),
}
REFUSED = {
    "subclassed": subclassed,
    "other layer wrapped": lambda: own_wrapped(Dense),
    "other layer": lambda: own_layer(Dense),
    "training": called(training=True),
    "nested training": nested_called,
    "unbuilt": lambda: keras.Sequential([keras.layers.Dense(2)], name="unbuilt"),
    "new setting": renormed,
}
# In both generations for the first few; the others take seconds or say little in the other one.
FAST = frozenset(
    {
        *(f"keras3 {name}" for name in BOTH),
        "keras3 own layer",
        "keras3 own wrapped",
        "keras2 sequential",
        "keras2 nested twice",
        "keras2 nested ends",
        "keras2 dictionaries",
        "keras2 operations",
        "keras2 rank",
        "keras2 parts shared",
    }
    - {"keras3 recurrent", "keras3 transfer", "keras3 video", "keras3 cells"}
)
