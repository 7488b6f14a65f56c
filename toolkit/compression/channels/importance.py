"""The importance of each group's channels: their filters' L1 norm, or a Taylor expansion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.compression.channels.analysis import Analysis, analysis
from edgekit.compression.channels.walk import LayerRecord
from edgekit.models.load import is_keras3

Scores = npt.NDArray[np.float64]
BATCH_SIZE = 16


def l1(analysed: Analysis) -> dict[str, Scores]:
    """Compute the L1 norm of each channel's filters, by group: float64 [channels], mean about 1.

    Source: Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017. A batch norm that reads
    a filter scales it by gamma / sqrt(variance + epsilon): its norm is taken as scaled, because
    the filter's own scale means nothing there. Where several layers make a channel, their norms
    are divided by the layer's mean before they are averaged.
    """
    scores = [np.zeros(group.before) for group in analysed.groups]
    layers = [np.zeros(group.before) for group in analysed.groups]
    scales = _scales(analysed)
    for record in analysed.records:
        norms = _filter_norms(record)
        if norms is None:
            continue
        scale = scales.get(id(record.layer))
        if scale is not None and len(scale) == len(norms):
            norms = norms * scale
        mean = float(norms.mean())
        norms = norms / mean if mean > 0 else norms
        groups, places = analysed.group_of[record.writes], analysed.place_of[record.writes]
        for at in np.unique(groups):
            mine = groups == at
            np.add.at(scores[at], places[mine], norms[mine])
            np.add.at(layers[at], places[mine], 1)
    return {
        group.name: score / np.maximum(count, 1)
        for group, score, count in zip(analysed.groups, scores, layers, strict=True)
    }


def taylor(
    model: Any, x: Any, y: Any, loss: str | Callable[[Any, Any], Any]
) -> Mapping[str, Scores]:
    """Estimate the change of the loss without each channel, by group: float64 [channels].

    ``x`` is an array ``[n, ...]``, or a list or mapping of them; ``y`` are labels ``[n, ...]``;
    ``loss`` is a Keras name or ``loss(y, prediction)``. A few hundred items are enough.

    Source: Molchanov et al., "Importance Estimation for Neural Network Pruning", CVPR 2019, with a
    gate on each channel where kernels read it: the loss's derivative by that gate is the sum of
    gradient times weight over the channel's slice of every kernel that reads it, which is just
    what a cut takes away, whatever batch norm, activation or addition comes before. The root of
    its mean square over batches of 16: the square alone would rank alike, but a few channels
    would seem to be all of their group.
    """
    analysed = analysis(model)
    readers = [(r, w.name, *w.reads) for r in analysed.records for w in r.weights if w.reads]
    kernels = [_tensor(getattr(record.layer, name)) for record, name, _, _ in readers]
    value = _loss(model, loss)
    squares = [np.zeros(group.before) for group in analysed.groups]
    batches = 0
    for inputs, labels in _batches(x, y):
        gates = [np.zeros(group.before) for group in analysed.groups]
        gradients = _gradients(model, kernels, inputs, labels, value)
        for (_, _, axis, layout), kernel, gradient in zip(readers, kernels, gradients, strict=True):
            if gradient is None:
                continue
            product = np.moveaxis(np.asarray(kernel) * np.asarray(gradient), axis, 0)
            slices = product.reshape(len(layout), -1).sum(1)
            groups, places = analysed.group_of[layout], analysed.place_of[layout]
            for at in np.unique(groups):
                mine = groups == at
                np.add.at(gates[at], places[mine], slices[mine])
        for square, gate in zip(squares, gates, strict=True):
            square += gate**2
        batches += 1
    return {
        group.name: np.sqrt(square / max(batches, 1))
        for group, square in zip(analysed.groups, squares, strict=True)
    }


def _filter_norms(record: LayerRecord) -> Scores | None:
    """Compute the L1 norm of each filter that makes, or filters, a channel of the output."""
    for weight in record.weights:
        axis = weight.makes or (weight.carries if record.writes is record.reads else None)
        if axis and weight.name.endswith("kernel"):
            kernel = np.abs(np.asarray(getattr(record.layer, weight.name), dtype=float))
            return np.asarray(np.moveaxis(kernel, axis[0], 0).reshape(len(axis[1]), -1).sum(1))
    return None


def _scales(analysed: Analysis) -> dict[int, Scores]:
    """Read each batch norm's scale per channel, by the layer that makes its input."""
    scales: dict[int, Scores] = {}
    for record in analysed.records:
        origin = analysed.origins.get(id(record.layer))
        if record.kind == "BatchNormalization" and record.weights and origin is not None:
            layer = record.layer
            scale = 1 / np.sqrt(np.asarray(layer.moving_variance, dtype=float) + layer.epsilon)
            if getattr(layer, "gamma", None) is not None:
                scale = scale * np.abs(np.asarray(layer.gamma))
            scales[id(origin)] = scale
    return scales


def _tensor(variable: Any) -> Any:
    """Unwrap a Keras 3 variable to TensorFlow's; a tf_keras variable is one already."""
    return getattr(variable, "_value", variable) if _is_keras3_variable(variable) else variable


def _is_keras3_variable(variable: Any) -> bool:
    return type(variable).__module__.startswith("keras.")


def _loss(model: Any, loss: str | Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    if callable(loss):
        return loss
    if is_keras3(model):
        import keras as api
    else:
        import tf_keras as api
    function: Callable[[Any, Any], Any] = api.losses.get(loss)
    return function


def _gradients(
    model: Any, kernels: list[Any], inputs: Any, labels: Any, loss: Callable[[Any, Any], Any]
) -> list[Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(kernels)
        value = tf.reduce_mean(loss(labels, model(inputs, training=False)))
    return list(tape.gradient(value, kernels))


def _batches(x: Any, y: Any) -> Iterator[tuple[Any, Any]]:
    labels = np.asarray(y)
    for at in range(0, len(labels), BATCH_SIZE):
        part = slice(at, at + BATCH_SIZE)
        if isinstance(x, Mapping):
            yield {name: np.asarray(array)[part] for name, array in x.items()}, labels[part]
        elif isinstance(x, (list, tuple)):
            yield [np.asarray(array)[part] for array in x], labels[part]
        else:
            yield np.asarray(x)[part], labels[part]
