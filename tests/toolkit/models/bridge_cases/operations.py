"""One small Keras 3 model for each operation of keras.ops that crosses, and some that do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

O = keras.ops  # noqa: E741
ROW = np.arange(3, dtype="float32")


def of(build: Callable[[Any], Any], shape: tuple[int, ...] = (4, 3), dtype: str = "float32") -> Any:
    def make() -> Any:
        i = keras.Input(shape, dtype=dtype, name="image")
        return keras.Model(i, build(i))

    return make


def two(build: Callable[[Any, Any], Any]) -> Any:
    def make() -> Any:
        a, b = keras.Input((4, 3), name="a"), keras.Input((4, 3), name="b")
        return keras.Model([a, b], build(a, b))

    return make


A = keras.activations
MODELS = {
    **{
        f"activation {name}": of(getattr(A, name))
        for name in (
            "celu",
            "exponential",
            "gelu",
            "hard_shrink",
            "hard_sigmoid",
            "log_softmax",
            "relu",
            "soft_shrink",
            "sparse_plus",
            "sparse_sigmoid",
            "squareplus",
            "tanh_shrink",
        )
    },
    "activation glu": of(A.glu, (4, 4)),
    "activation celu with alpha": of(lambda x: A.celu(x, alpha=0.5)),
    "activation relu with all": of(
        lambda x: A.relu(x, negative_slope=0.1, max_value=2.0, threshold=0.2)
    ),
    "scale and shift": of(lambda x: x * 2 + 1),
    "constant first": of(lambda x: 1 - x),
    "constant divided": of(lambda x: 1 / (x * x + 1)),
    "array": of(lambda x: x * ROW - ROW),
    "array first": of(lambda x: O.subtract(ROW, x)),
    "negative": of(lambda x: -x),
    "power": of(lambda x: x**2),
    "integers": of(lambda x: x * 2.5, dtype="int32"),
    "integers divided": of(lambda x: x / 4, dtype="uint8"),
    "integers floor": of(lambda x: x // 3, dtype="int32"),
    "cast": of(lambda x: O.cast(x, "float32") / 255, dtype="uint8"),
    "add": two(lambda a, b: a + b),
    "subtract": two(lambda a, b: O.subtract(a, b)),
    "multiply": two(lambda a, b: O.multiply(a, b)),
    "divide": two(lambda a, b: O.divide(a, b + 10)),
    "maximum": two(lambda a, b: O.maximum(a, b)),
    "minimum": two(lambda a, b: O.minimum(a, O.minimum(0.5, b))),
    "matmul": two(lambda a, b: O.matmul(a, O.transpose(b, (0, 2, 1)))),
    "add broadcast": two(lambda a, b: a + b[:, :1]),
    "add of ranks": two(lambda a, b: a + O.mean(b, axis=(1, 2))[0]),
    "concatenate": two(lambda a, b: O.concatenate([a, b], axis=-1)),
    "stack": two(lambda a, b: O.stack([a, b], axis=1)),
    "where": two(lambda a, b: O.where(O.logical_and(a > 0, b <= 0.5), a, 0.0)),
    "comparisons": two(lambda a, b: O.cast(O.logical_or(a < b, O.logical_not(a >= 0)), "float32")),
    "equal": of(lambda x: O.cast(O.equal(x, 3), "float32") + (x != 2), dtype="int32"),
    "reshape": of(lambda x: O.reshape(x, (-1, 12))),
    "reshape of all": of(lambda x: O.reshape(x, (-1, 3))),
    "transpose": of(lambda x: O.transpose(x, (0, 2, 1))),
    "transpose of all": of(lambda x: O.transpose(x)),
    "swapaxes": of(lambda x: O.swapaxes(x, 1, -1)),
    "expand and squeeze": of(lambda x: O.squeeze(O.expand_dims(x, 1), 1)),
    "expanded": of(lambda x: O.expand_dims(x, -1)),
    "slice": of(lambda x: x[:, 1:3]),
    "slice with steps": of(lambda x: x[..., ::-1]),
    "slice of one": of(lambda x: x[:, -1]),
    "slice with new axis": of(lambda x: x[:, None, 0:2, 1]),
    "split": of(lambda x: O.add(*O.split(x, 2, axis=1))),
    "split uneven": of(lambda x: O.split(x, [1, 3], axis=1)),
    "tile": of(lambda x: O.tile(x, (1, 2, 1))),
    "pad": of(lambda x: O.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=3)),
    "pad reflect": of(lambda x: O.pad(x, ((0, 0), (1, 1), (0, 0)), mode="reflect")),
    "clip": of(lambda x: O.clip(x, -0.5, 0.5)),
    **{
        f"{name} {axis} {keep}": of(
            lambda x, n=name, a=axis, k=keep: getattr(O, n)(x, axis=a, keepdims=k), (4, 5, 3)
        )
        for name in ("mean", "sum", "max", "min", "prod")
        for axis, keep in ((-1, True), ((1, 2), False))
    },
    "mean of all": of(lambda x: O.mean(x, axis=None, keepdims=True)),
    "mean of integers": of(lambda x: O.mean(x, axis=1), dtype="int32"),
    "argmax": of(lambda x: O.argmax(x, axis=-1)),
    **{
        name: of(lambda x, n=name: getattr(O, n)(x))
        for name in (
            "relu",
            "relu6",
            "sigmoid",
            "tanh",
            "silu",
            "softplus",
            "softsign",
            "selu",
            "elu",
            "gelu",
            "leaky_relu",
            "log_sigmoid",
            "hard_silu",
            "hard_swish",
            "hard_sigmoid",
            "hard_tanh",
            "softmax",
            "abs",
            "exp",
            "square",
            "sin",
            "cos",
            "floor",
            "ceil",
            "sign",
            "erf",
        )
    },
    "softmax axis": of(lambda x: O.softmax(x, axis=1)),
    "sqrt": of(lambda x: O.sqrt(O.abs(x)) + O.rsqrt(O.abs(x) + 1) + O.reciprocal(O.exp(x))),
    "log": of(lambda x: O.log(O.abs(x) + 1)),
    "named twice": of(lambda x: keras.layers.Dense(3)(x + 1) + 1),
}

REFUSED = {
    "convolution": of(lambda x: O.conv(x, np.ones((2, 3, 3), "float32"))),
    "cumsum": of(lambda x: O.cumsum(x, axis=1)),
    "take": of(lambda x: O.take(x, [0, 1], axis=1)),
    "max of initial": of(lambda x: O.max(x, axis=1, initial=2.0)),
}
