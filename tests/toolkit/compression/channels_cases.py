"""Cut one small model of each family in both generations; write outcomes.json to a folder.

The reference is made without edgekit: which channels went is read off the smaller model's bias and
normalisation vectors, whose random values are all different; the copy of the whole model has these
channels' weights at zero, so that the channels are zero wherever they go.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tf_keras

from edgekit.compression.channels import ChannelSettings, macs, plan, shrink

VECTORS = ("bias", "gamma", "beta")
ASKED = {"opaque": 0.08, "mobilenet_v2": 0.5, "mobilenet_v3": 0.5, "efficientnet": 0.5}
CUSTOM: dict[str, Any] = {}


def normed(k: Any, h: Any) -> Any:
    return k.layers.ReLU()(k.layers.BatchNormalization()(h))


def plain(k: Any) -> Any:
    L, I = k.layers, k.Input  # noqa: E741
    return k.Sequential(
        [
            I((12, 12, 3)),
            L.Conv2D(16, 3, activation="relu"),
            L.MaxPooling2D(),
            L.Conv2D(32, 3, activation="relu"),
            L.GlobalAveragePooling2D(),
            L.Dense(24, activation="relu"),
            L.Dropout(0.2),
            L.Dense(10, activation="softmax"),
        ]
    )


def resnet(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((16, 16, 3))
    h = normed(k, L.Conv2D(16, 3, padding="same", use_bias=False)(i))
    for width, strides in ((16, 1), (32, 2), (64, 2)):
        x = h
        h = normed(k, L.Conv2D(width, 3, strides, padding="same", use_bias=False)(h))
        h = L.BatchNormalization()(L.Conv2D(width, 3, padding="same", use_bias=False)(h))
        if strides == 2:
            x = L.Conv2D(width, 1, strides)(x)
        h = L.ReLU()(L.Add()([x, h]))
    return M(i, L.Dense(10)(L.GlobalAveragePooling2D()(h)))


def dscnn(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((25, 10, 1))
    h = normed(k, L.Conv2D(64, (10, 4), 2, padding="same")(i))
    for _ in range(2):
        h = normed(k, L.DepthwiseConv2D(3, padding="same", use_bias=False)(h))
        h = normed(k, L.Conv2D(64, 1)(h))
    h = L.Flatten()(L.AveragePooling2D((4, 5))(h))
    return M(i, L.Dense(12)(h))


def inception(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((10, 10, 3))
    h = L.Conv2D(16, 3)(i)
    one = L.Conv2D(16, 1, activation="relu")(h)
    three = L.Conv2D(24, 3, padding="same", activation="relu")(h)
    pooled = L.Conv2D(8, 1)(L.MaxPooling2D(3, 1, padding="same")(h))
    h = L.Conv2D(32, 3)(normed(k, L.Concatenate()([one, three, pooled])))
    return M(i, L.Dense(5)(L.Flatten()(h)))


def squeeze_excite(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((10, 10, 3))
    h = normed(k, L.Conv2D(32, 3)(i))
    g = L.Reshape((1, 1, 32))(L.GlobalAveragePooling2D()(h))
    g = L.Dense(32, activation="sigmoid")(L.Dense(16, activation="relu")(g))
    h = L.Multiply()([h, g])
    g = L.Conv2D(16, 1, activation="relu")(L.GlobalAveragePooling2D(keepdims=True)(h))
    h = L.Multiply()([h, L.Conv2D(32, 1, activation="hard_sigmoid")(g)])
    return M(i, L.Dense(5)(L.GlobalMaxPooling2D()(L.Conv2D(16, 3)(h))))


def flattened(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((8, 8, 2))
    h = L.PReLU(shared_axes=[1, 2])(L.Conv2D(16, 3)(i))
    h = L.Dense(32, activation="relu")(L.BatchNormalization()(L.Flatten()(h)))
    return M(i, L.Dense(4)(h))


def densenet(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((10, 10, 3))
    h = L.Conv2D(16, 3, padding="same")(i)
    for _ in range(2):
        b = normed(k, L.Conv2D(32, 1)(normed(k, h)))
        h = L.Concatenate()([h, L.Conv2D(16, 3, padding="same")(b)])
    return M(i, L.Dense(5)(L.GlobalAveragePooling2D()(normed(k, h))))


def sequence(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((40, 4))
    h = L.Conv1D(16, 5, padding="causal", activation="relu")(i)
    h = L.SeparableConv1D(24, 3, activation="relu")(h)
    h = L.SpatialDropout1D(0.1)(L.UpSampling1D()(L.MaxPooling1D()(h)))
    h = L.Conv1D(16, 3)(L.ZeroPadding1D(1)(L.Conv1DTranspose(16, 3, strides=2)(h)))
    return M(i, L.Dense(3)(L.GlobalAveragePooling1D()(h)))


def volume(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((4, 8, 8, 1))
    h = L.MaxPooling3D()(L.Conv3D(16, 3, activation="relu", padding="same")(i))
    h = L.Conv3D(24, 3)(L.Conv3DTranspose(16, 2, strides=2)(h))
    return M(i, L.Dense(3)(L.GlobalAveragePooling3D()(h)))


def mixed(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((10, 10, 3))
    h = L.SeparableConv2D(16, 3, depth_multiplier=2)(L.Rescaling(1 / 2)(i))
    h = L.DepthwiseConv2D(3, depth_multiplier=2, activation="relu6")(h)
    h = L.Conv2DTranspose(24, 3, strides=2, activation="relu")(h)
    a, b, c = (L.Conv2D(16, 1)(h) for _ in range(3))
    h = L.Average()([L.Maximum()([a, b]), L.Subtract()([b, c])])
    h = L.PReLU()(L.LeakyReLU()(L.Activation("tanh")(h)))
    h = L.GroupNormalization(16)(L.Conv2D(16, 1)(h))
    h = L.Conv2D(16, 1)(h)
    h = L.Reshape((-1, 16))(L.Permute((2, 1, 3))(h))
    h = L.Reshape((-1,))(L.Dense(24, activation="gelu")(h))
    return M(i, L.Dense(3)(h))


def shared(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((8, 8, 3))
    twice = L.Conv2D(16, 3, padding="same", activation="relu", name="twice")
    h = twice(twice(L.Conv2D(16, 3, padding="same")(i)))
    return M(i, L.Dense(3)(L.GlobalAveragePooling2D()(L.Conv2D(16, 3)(h))))


def nested(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    j = I((8, 8, 16))
    inner = M(j, normed(k, L.Conv2D(24, 3, padding="same", name="c")(j)), name="inner")
    rest = [L.Conv2D(16, 3, name="c"), L.GlobalAveragePooling2D()]
    tail = k.Sequential([I((8, 8, 24)), *rest], name="tail")
    i = I((10, 10, 3))
    return M(i, L.Dense(3)(tail(inner(L.Conv2D(16, 3, activation="relu")(i)))))


def two_heads(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i, j = I((10, 10, 3), name="image"), I((6,), name="facts")
    d = L.Dense(16, activation="relu")(j)
    h = L.Multiply()([L.Conv2D(16, 3)(i), L.Reshape((1, 1, 16))(d)])
    g = L.GlobalAveragePooling2D()(L.Conv2D(24, 3, activation="relu")(h))
    return M([i, j], [L.Dense(3, name="x")(g), L.Dense(2, name="y")(L.Concatenate()([g, d]))])


def uneven(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((6, 6, 3))
    a, b, c = L.Conv2D(16, 1)(i), L.Conv2D(24, 1)(i), L.Conv2D(24, 1)(i)
    h = L.Add()([L.Concatenate()([a, a, a]), L.Concatenate()([b, c])])
    return M(i, L.Dense(3)(L.GlobalAveragePooling2D()(L.Conv2D(16, 1)(h))))


def operations(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((8, 8, 3))
    h, g = L.Conv2D(16, 3)(i), L.Conv2D(16, 3)(i)
    if k is keras:
        h = keras.ops.relu(h + 3.0) * g / 2.0
    else:
        import tensorflow as tf

        h = tf.nn.relu(h + 3.0) * g / 2.0
    return M(i, L.Dense(3)(L.GlobalAveragePooling2D()(L.Conv2D(24, 3)(h))))


def opaque(k: Any) -> Any:
    L, I, M = k.layers, k.Input, k.Model  # noqa: E741
    i = I((12, 12, 3))
    h = L.Conv2D(16, 3, groups=2, name="grouped")(L.Conv2D(16, 3)(i))
    h = L.LayerNormalization(name="across")(L.Conv2D(32, 3)(h))
    h = L.GroupNormalization(-1)(L.Conv2D(32, 1)(h))
    h = CUSTOM[k.__name__]["Doubled"](name="own")(L.Conv2D(16, 1)(h))
    h = L.MultiHeadAttention(2, 8, name="attention")(*[L.Reshape((-1, 16))(h)] * 2)
    return M(i, L.Dense(3)(L.GlobalAveragePooling1D()(h)))


SMALL = (
    plain,
    resnet,
    dscnn,
    inception,
    squeeze_excite,
    flattened,
    densenet,
    sequence,
    volume,
    mixed,
    shared,
    nested,
    two_heads,
    uneven,
    operations,
    opaque,
)


def families(k: Any) -> dict[str, Callable[[], Any]]:
    class Doubled(k.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x * 2

    CUSTOM[k.__name__] = {"Doubled": Doubled}
    apps = k.applications
    options = {"input_shape": (64, 64, 3), "weights": None, "classes": 10}
    return {
        **{make.__name__: partial(make, k) for make in SMALL},
        "mobilenet_v2": lambda: apps.MobileNetV2(alpha=0.35, **options),
        "mobilenet_v3": lambda: apps.MobileNetV3Small(**options),
        "efficientnet": lambda: apps.EfficientNetB0(**options),
    }


def randomise(model: Any) -> None:
    """Give every weight values that are all different, and sane to normalise by."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        value, name = np.asarray(variable), getattr(variable, "path", variable.name)
        if "variance" in name or "gamma" in name:
            value = rng.uniform(0.5, 1.5, value.shape)
        elif value.dtype.kind == "f":
            fan_in = np.prod(value.shape[:-1]) if value.ndim > 1 else 10
            value = rng.normal(0, np.sqrt(2 / fan_in), value.shape)
        variable.assign(value)


def answers(model: Any, inputs: list[Any]) -> list[Any]:
    given = model(inputs[0] if len(inputs) == 1 else inputs, training=False)
    return [np.asarray(a) for a in (given if isinstance(given, (list, tuple)) else [given])]


def difference(left: list[Any], right: list[Any]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(left, right, strict=True))


def leaves(model: Any) -> list[Any]:
    """A model's layers, those of nested models in place."""
    found = []
    for layer in model.layers:
        found += leaves(layer) if hasattr(layer, "layers") else [layer]
    return found


def channels_gone(layer: Any, twin: Any) -> Any:
    """Which channels a layer lost, by the values of a vector whose values are all different."""
    for name in VECTORS:
        vector = getattr(layer, name, None)
        if vector is not None:
            whole, rest = np.asarray(vector), np.asarray(getattr(twin, name))
            gone = ~np.isin(whole, rest)
            assert (whole[~gone] == rest).all(), layer.name
            return gone
    return np.zeros(0, bool)


def zero(layer: Any, gone: Any) -> None:
    """Make these channels of a layer's output zero, whatever it reads."""
    if len(gone) == 0 or not gone.any():
        return
    names = ("kernel", "depthwise_kernel", "pointwise_kernel", *VECTORS, "moving_mean")
    for name in names:
        variable = getattr(layer, name, None)
        if variable is None or (name == "depthwise_kernel" and hasattr(layer, "pointwise_kernel")):
            continue
        value = np.array(variable)
        if "Depthwise" in type(layer).__name__ and name.endswith("kernel"):
            value.reshape(*value.shape[:-2], -1)[..., gone] = 0
        elif type(layer).__name__.endswith("Transpose") and name == "kernel":
            value[..., gone, :] = 0
        else:
            value[..., gone] = 0
        variable.assign(value)


def cut(k: Any, family: str, folder: Path) -> dict[str, Any]:
    k.utils.set_random_seed(1)
    model = families(k)[family]()
    randomise(model)
    asked = ASKED.get(family, 0.4)
    before = [np.array(w) for w in model.weights]
    start = time.process_time()
    chosen = plan(model, ChannelSettings(asked))
    seconds = time.process_time() - start
    smaller = shrink(model, chosen)
    rng = np.random.default_rng(1)
    inputs = [rng.normal(size=(4, *i.shape[1:])).astype("float32") for i in model.inputs]
    got = answers(smaller, inputs)
    unchanged = all((np.asarray(w) == b).all() for w, b in zip(model.weights, before, strict=True))
    smaller.save(folder / f"{k.__name__}-{family}.keras")
    reloaded = k.models.load_model(
        folder / f"{k.__name__}-{family}.keras",
        compile=False,
        custom_objects=CUSTOM[k.__name__],
    )
    pairs = list(zip(leaves(model), leaves(smaller), strict=True))
    gone = [channels_gone(*pair) for pair in pairs]
    facts = {
        "asked": asked,
        "removed": chosen.removed,
        "seconds": seconds,
        "unchanged": unchanged,
        "macs_after": chosen.macs_after,
        "recounted": sum(macs(smaller).values()),
        "parameters_before": chosen.parameters_before,
        "count_params": smaller.count_params(),
        "parameters_after": chosen.parameters_after,
        "free": sum(not group.frozen for group in chosen.groups),
        "widths": [g.after for g in chosen.groups if g.after != g.before],
        "module": type(smaller).__module__,
        "zeroed": int(sum(g.sum() for g in gone)),
        "same_layers": all(a.name == b.name and type(a) is type(b) for a, b in pairs),
        "reloaded": difference(answers(reloaded, inputs), got),
        "spread": max(float(np.ptp(a, axis=0).max()) for a in got),
    }
    for (layer, _), lost in zip(pairs, gone, strict=True):
        zero(layer, lost)
    facts["difference"] = difference(answers(model, inputs), got)
    # Planted: half of what stays at zero too, in the last layer that lost any.
    last = max(at for at, lost in enumerate(gone) if lost.any())
    gone[last][np.flatnonzero(~gone[last])[::2]] = True
    zero(pairs[last][0], gone[last])
    facts["fault"] = difference(answers(model, inputs), got)
    return facts


def main(folder: Path, *names: str) -> None:
    """Each name is a family, of both generations unless it says ``keras:`` or ``tf_keras:``."""
    outcomes = {}
    for name in names:
        only, _, family = name.rpartition(":")
        for k in (keras, tf_keras):
            if only in ("", k.__name__):
                outcomes[f"{k.__name__} {family}"] = cut(k, family, folder)
    (folder / "outcomes.json").write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
