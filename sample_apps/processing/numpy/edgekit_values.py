"""Rescale and quantize inputs, dequantize outputs, scores and the best of them.

The reference of the same functions in other languages. Needs numpy alone; works on Python 3.9 and
later.
"""

from __future__ import annotations

from typing import Any, Dict

import numpy as np


def encode(item: Dict[str, Any], raw: Any) -> Any:
    """Return the raw values of one item as the model's input ``item`` holds them."""
    flat = np.asarray(raw).reshape(-1).astype(np.float32)
    channel = np.arange(flat.size) // item["channel_stride"] % len(item["factors"])
    factors = np.asarray(item["factors"], np.float32)[channel]
    real = flat * factors + np.asarray(item["offsets"], np.float32)[channel]
    if item["scale"]:
        # Halves are rounded to even.
        real = np.rint(real / np.float32(item["scale"])) + np.float32(item["zero_point"])
    return saturated(real, item["dtype"]).reshape(item["shape"])


def saturated(real: Any, dtype: str) -> Any:
    """Return real values in a dtype: of integers the nearest that there is; NaN is the lowest."""
    if dtype.startswith("float"):
        return real.astype(dtype)
    limits = np.iinfo(dtype)
    inside = np.clip(real.astype(np.float64), limits.min, limits.max)
    return np.where(np.isnan(inside), limits.min, inside).astype(dtype)


def decode(item: Dict[str, Any], values: Any) -> Any:
    """Return what the model's output ``item`` holds as real numbers, float32."""
    reals = np.asarray(values).astype(np.float32)
    if item["scale"]:
        reals = (reals - np.float32(item["zero_point"])) * np.float32(item["scale"])
    return reals


def softmax(values: Any) -> Any:
    """Return values as shares of 1, by their exponentials."""
    powers = np.exp(np.asarray(values, np.float64) - np.max(values))
    return (powers / powers.sum()).astype(np.float32)


def sigmoid(values: Any) -> Any:
    """Return each value between 0 and 1, by the logistic function."""
    # Beyond 700 the exponential overflows; the result is 0 to float32 long before.
    return (1 / (1 + np.exp(-np.clip(np.asarray(values, np.float64), -700, 700)))).astype(
        np.float32
    )


def activate(activation: str, values: Any) -> Any:
    """Return values after what makes scores of an output: none, softmax or sigmoid."""
    chosen = {"softmax": softmax, "sigmoid": sigmoid}.get(activation)
    return chosen(values) if chosen else np.asarray(values, np.float32)


def top(scores: Any, limit: int) -> Any:
    """Return the places of the best scores, best first: of equal ones the first, NaN last."""
    return np.argsort(-np.asarray(scores).reshape(-1), kind="stable")[:limit]
