"""Twins that are not their originals, each with a planted fault that the proof must see."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tf_keras
from graphs import attention, block, head, nested_ends, over_image

from edgekit.errors import CompressionError
from edgekit.models.bridge import prove_equal, to_tf_keras

L = keras.layers


def judged(model: Any, twin: Any, samples: Any = None) -> dict[str, Any]:
    try:
        proof = prove_equal(model, twin, samples)
    except CompressionError as error:
        return {"code": error.code, "message": error.message}
    return {"random": proof.random, "real": proof.real, "items": proof.items}


def weight(value: float) -> dict[str, Any]:
    model = over_image(lambda k, i: head(k, block(k)(i)))(keras)
    twin = to_tf_keras(model).twin
    weights = twin.get_weights()
    weights[0][0, 0, 0, 0] += value
    twin.set_weights(weights)
    return judged(model, twin)


def crossed_as(
    model_layer: Any, twin_layer: Any, samples: Any = None, shape: Any = (8,)
) -> dict[str, Any]:
    """A model judged against the twin of another."""
    model = keras.Sequential([keras.Input(shape), model_layer])
    other = keras.Sequential([keras.Input(shape), twin_layer])
    return judged(model, to_tf_keras(other).twin, samples)


def in_training() -> dict[str, Any]:
    """The proof holds in inference mode, where dropout does nothing."""
    return crossed_as(L.Dropout(0.5), L.Dropout(0.1))


def ends_exchanged() -> dict[str, Any]:
    model = nested_ends(keras)
    twin = to_tf_keras(model).twin
    return judged(model, tf_keras.Model(twin.inputs, twin.outputs[::-1]))


def nothing_finite() -> dict[str, Any]:
    model = keras.Sequential([keras.Input((3,)), L.Rescaling(float("nan"))])
    return judged(model, to_tf_keras(model).twin)


def infinite_alike() -> dict[str, Any]:
    """Logarithms of random numbers: where the original has no number, the twin has none either."""
    i = keras.Input((8,))
    model = keras.Model(i, keras.ops.log(i))
    return judged(model, to_tf_keras(model).twin)


def real(items: int, scale: float) -> dict[str, Any]:
    model = attention(keras)
    samples = [np.random.default_rng(0).normal(size=(items, 5, 4)).astype("float32") * scale]
    return judged(model, to_tf_keras(model).twin, samples)


def vocabulary() -> dict[str, Any]:
    """Random words stay inside the vocabulary, also through layers without weights."""
    i, j = keras.Input((4,)), keras.Input((3,), dtype="int32")
    words = L.Flatten()(L.Embedding(3, 2)(L.Reshape((2, 2))(i)))
    codes = L.CategoryEncoding(5, "multi_hot")(j)
    model = keras.Model([i, j], L.Concatenate()([words, codes]))
    return judged(model, to_tf_keras(model).twin)


def too_small() -> dict[str, Any]:
    """A model of free size that only runs on images of at least 60."""
    i = keras.Input((None, None, 1))
    model = keras.Model(i, L.MaxPooling2D(60)(i))
    return judged(model, to_tf_keras(model).twin)


def long_loop() -> dict[str, Any]:
    model = keras.Sequential([keras.Input((60, 2)), L.SimpleRNN(2)])
    return judged(model, to_tf_keras(model).twin)


def fixed_batch() -> dict[str, Any]:
    model = keras.Sequential([keras.Input(batch_shape=(2, 3)), L.Dense(2)])
    return judged(model, to_tf_keras(model).twin, [np.ones((5, 3), "float32")])


LARGE = [np.full((3, 8), 200, "float32")]
FAULTS = {
    "weight": lambda: weight(0.05),
    "nan": lambda: weight(float("nan")),
    "activation": lambda: crossed_as(L.Activation("relu"), L.Activation("relu6")),
    "hard_sigmoid": lambda: judged(
        keras.Sequential([keras.Input((8,)), L.Activation("hard_sigmoid")]),
        tf_keras.Sequential([tf_keras.Input((8,)), tf_keras.layers.Activation("hard_sigmoid")]),
    ),
    "only real items": lambda: crossed_as(L.ReLU(), L.ReLU(max_value=100.0), LARGE),
    "ends exchanged": ends_exchanged,
    "nothing finite": nothing_finite,
}
SOUND = {
    "untouched": lambda: weight(0.0),
    "without the real items": lambda: crossed_as(L.ReLU(), L.ReLU(max_value=100.0)),
    "dropout": in_training,
    "infinite alike": infinite_alike,
    "real": lambda: real(5, 1.0),
    "many real": lambda: real(300, 2.0),
    "vocabulary": vocabulary,
    "free size": too_small,
    "long loop": long_loop,
    "fixed batch": fixed_batch,
}


def lost_layer() -> dict[str, Any]:
    """A twin whose wrappers were not taken off, as TFMOT's are called."""
    from edgekit.models.bridge import carry_back

    model = keras.Sequential([keras.Input((3,)), L.Dense(2, name="dense")])
    crossing = to_tf_keras(model)
    crossing.twin.get_layer("dense")._name = "prune_low_magnitude_dense"
    try:
        carry_back(crossing.twin, model, crossing.layers)
    except CompressionError as error:
        return {"code": error.code, "message": error.message}
    return {}
