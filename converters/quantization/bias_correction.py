"""Bias correction of an int8 ``.tflite`` file: layers' outputs keep their float means.

Rounding weights shifts the mean of a layer's outputs, channel by channel. Source: M. Nagel et al.,
"Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, section 4.2, the
empirical way: layer by layer from the input on, the mean difference from the float file's layer is
taken off the bias. An activation may be fused into the layer, so that only
its result is seen; then the shift of the bias is the shift of the mean over the share of values
that are not clipped, which is the slope of the one in the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.converters.quantization.editing import (
    EditableOperator,
    constant,
    main_operators,
    pack,
    set_input,
    unpack,
)
from edgekit.converters.quantization.observation import Observer

FILE = "model.tflite"
ITEMS = 64
LAYERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
# A channel that is nearly always clipped tells little about its mean.
FEWEST_UNCLIPPED = 0.1
INT8, INT32 = 9, 2
LOWEST, HIGHEST = -128, 127


def correct(
    model: Path,
    quantized: Path,
    feeds: Mapping[str, Path],
    folder: Path,
    progress: Callable[[float, float, str], None] | None = None,
) -> Mapping[str, Any]:
    """Write ``model.tflite``, the quantized file with corrected biases, into ``folder``.

    ``model`` is the float file it was made of, ``feeds`` preprocessed items as
    :func:`calibration.calibrate` takes them. The facts are ``layers``, and the mean absolute
    difference of their channels' means from the float ones, ``before`` and ``after``, each as a
    share of the largest absolute output of the channel's layer.
    """
    expected = _means(model.read_bytes(), feeds)
    content = quantized.read_bytes()
    before = _difference(content, expected, feeds)
    names = [step.name for step, *_ in _layers(unpack(content)) if step.name in expected]
    for number, name in enumerate(names):
        if progress:
            progress(number, len(names), "bias correction")
        content = _corrected(content, name, expected[name][0], feeds)
    (folder / FILE).write_bytes(content)
    after = _difference(content, expected, feeds)
    return {"layers": len(names), "before": before, "after": after}


def _layers(model: Any) -> Iterator[tuple[EditableOperator, Any, npt.NDArray[Any]]]:
    """Yield each int8 layer with its bias: the tensor, and its int32 values ``[channels]``."""
    graph = model.subgraphs[0]
    for step in main_operators(model):
        inputs = step.operator.inputs
        if step.kind not in LAYERS or len(inputs) < 3 or int(inputs[2]) < 0:
            continue
        tensor = graph.tensors[inputs[2]]
        values = constant(model, tensor)
        if values is not None and tensor.type == INT32 and graph.tensors[inputs[0]].type == INT8:
            yield step, tensor, values


def _means(content: bytes, feeds: Mapping[str, Path]) -> dict[str, tuple[npt.NDArray[Any], float]]:
    """Compute each layer's mean output ``[channels]`` and its largest absolute output, in float."""
    names = [step.name for step in main_operators(unpack(content)) if step.kind in LAYERS]
    observer = Observer(content)
    sums: dict[str, npt.NDArray[Any]] = {}
    largest: dict[str, float] = {}
    count = 0
    for _ in observer.run(feeds, ITEMS):
        count += 1
        for name in names:
            value = observer.read(name)
            sums[name] = sums.get(name, 0.0) + _channel_mean(value)
            largest[name] = max(largest.get(name, 0.0), float(np.abs(value).max()))
    return {name: (sums[name] / count, largest[name]) for name in sums}


def _channel_mean(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(value.reshape(-1, value.shape[-1]).mean(axis=0, dtype=np.float64))


def _corrected(
    content: bytes, name: str, expected: npt.NDArray[Any], feeds: Mapping[str, Path]
) -> bytes:
    """Return the file with one layer's bias moved so that its mean output is the expected one."""
    observer = Observer(content)
    total, unclipped, count = np.zeros_like(expected), np.zeros_like(expected), 0
    for _ in observer.run(feeds, ITEMS):
        count += 1
        total += _channel_mean(observer.read(name))
        raw = observer.raw(name)
        unclipped += _channel_mean((raw > LOWEST) & (raw < HIGHEST))
    slope = unclipped / count
    is_reliable = slope >= FEWEST_UNCLIPPED
    shift = np.where(
        is_reliable, (expected - total / count) / np.where(is_reliable, slope, 1.0), 0.0
    )
    model = unpack(content)
    for step, tensor, values in _layers(model):
        if step.name == name:
            scales = np.asarray(tensor.quantization.scale, np.float64)
            set_input(model, step.operator, 2, values + np.round(shift / scales).astype(np.int64))
    return pack(model)


def _difference(
    content: bytes,
    expected: Mapping[str, tuple[npt.NDArray[Any], float]],
    feeds: Mapping[str, Path],
) -> float:
    observer = Observer(content)
    names = observer.holds(step.name for step, *_ in _layers(unpack(content)))
    names = [name for name in names if name in expected]
    sums = {name: np.zeros_like(expected[name][0]) for name in names}
    count = 0
    for _ in observer.run(feeds, ITEMS):
        count += 1
        for name in names:
            sums[name] += _channel_mean(observer.read(name))
    shares = [
        float(np.abs(sums[name] / count - expected[name][0]).mean()) / expected[name][1]
        for name in names
        if expected[name][1] > 0
    ]
    return sum(shares) / len(shares) if shares else 0.0
