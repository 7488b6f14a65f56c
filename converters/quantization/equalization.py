"""Cross-layer equalisation of a float ``.tflite`` file: same function, similar channel ranges.

Between a layer and the next that reads it, channel ``i`` is divided by ``s_i`` and multiplied by it
again. Source: M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", 2019, equation 11: ``s_i = sqrt(r1_i / r2_i)``, where ``r2`` are the ranges of the next
layer's weights by input channel. Here ``r1`` are the ranges of the *activations* between the two:
in the paper the first layer's weights stand for them, which have a scale for each channel in a
file of ours and need no equalising. That makes it equation 4 of G. Xiao et al., "SmoothQuant",
2023, with a migration strength of 0.5. Where the next layer is depthwise, its weights too have a
scale for each channel: then ``s_i = r1_i``, which makes all channels alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    tensor_name,
    unpack,
)
from edgekit.converters.quantization.observation import Observer

FILE = "equalized.tflite"
ITEMS = 64
LAYERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
# Positive factors by channel go through these unchanged, fused activations aside.
TRANSPARENT = frozenset({"PAD", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "RELU"})
# By number in the schema's ActivationFunctionType: NONE and RELU, and those that clip, with where.
LINEAR = frozenset({0, 1})
CLIPS = {2: 1.0, 3: 6.0}
RELU = 1


@dataclass(frozen=True)
class Pair:
    """Two layers that can be equalised: channels of ``first`` are read by ``second`` alone.

    ``between`` are the tensors from one to the other; ``clips`` the bound of an activation that
    must not be reached, 0 for none.
    """

    first: EditableOperator
    second: EditableOperator
    between: tuple[Any, ...]
    clips: float = 0.0


def equalize(model: Path, feeds: Mapping[str, Path], folder: Path) -> Mapping[str, Any]:
    """Write ``equalized.tflite`` into ``folder``.

    ``feeds`` are preprocessed items as :func:`calibration.calibrate` takes them. The facts are
    ``pairs``, ``[first, second]`` by the names of their outputs, and ``skipped``, ``[name,
    reason]`` of layers with another behind them that could not be equalised.
    """
    content = model.read_bytes()
    parsed = unpack(content)
    pairs, skipped = _pairs(parsed)
    ranges = _ranges(content, pairs, feeds)
    done = []
    # From the back: a layer's weights are settled by output channel before by input channel.
    for pair in reversed(pairs):
        name = tensor_name(pair.between[0])
        if pair.clips:
            if ranges[name].max() >= pair.clips:
                skipped.append((pair.first.name, "its activation clips"))
                continue
            # It never clips on these items, and would clip at another place once scaled.
            pair.first.operator.builtinOptions.fusedActivationFunction = RELU
        scale(parsed, pair, ranges[name])
        done.append((pair.first.name, pair.second.name))
    (folder / FILE).write_bytes(pack(parsed))
    return {"pairs": done[::-1], "skipped": skipped}


def _pairs(model: Any) -> tuple[list[Pair], list[tuple[str, str]]]:
    graph = model.subgraphs[0]
    readers: dict[int, list[EditableOperator]] = {}
    for step in main_operators(model):
        for at in step.operator.inputs:
            readers.setdefault(int(at), []).append(step)
    # Other signatures and the caller read what the graph gives out.
    graph_outputs = {int(at) for at in graph.outputs}
    pairs, skipped = [], []
    for step in main_operators(model):
        if step.kind in LAYERS:
            pair = _pair(model, step, readers, graph_outputs)
            if isinstance(pair, Pair):
                pairs.append(pair)
            elif pair:
                skipped.append((step.name, pair))
    return pairs, skipped


def _pair(
    model: Any,
    first: EditableOperator,
    readers: Mapping[int, Sequence[EditableOperator]],
    graph_outputs: set[int],
) -> Pair | str:
    """Return the pair that begins with a layer, or why there is none."""
    graph = model.subgraphs[0]
    activation = _activation(first)
    if activation not in LINEAR and activation not in CLIPS:
        return "its activation is not linear in its input"
    between, at = [], int(first.operator.outputs[0])
    while True:
        after = readers.get(at, [])
        if len(after) != 1 or at in graph_outputs:
            return "several operators read it" if len(after) + (at in graph_outputs) > 1 else ""
        between.append(graph.tensors[at])
        step = after[0]
        if int(step.operator.inputs[0]) != at:
            return ""
        if step.kind in LAYERS:
            break
        if step.kind not in TRANSPARENT or _activation(step) not in LINEAR:
            return ""
        at = int(step.operator.outputs[0])
    if any(len(readers[int(layer.operator.inputs[1])]) > 1 for layer in (first, step)):
        return "its weights, or the next layer's, are those of another layer too"
    if not _fits(model, first, step, between):
        return "its channels are not the next layer's inputs one by one"
    return Pair(first, step, tuple(between), CLIPS.get(activation, 0.0))


def _activation(step: EditableOperator) -> int:
    return int(getattr(step.operator.builtinOptions, "fusedActivationFunction", 0))


def _weights(model: Any, step: EditableOperator) -> npt.NDArray[Any] | None:
    return constant(model, model.subgraphs[0].tensors[step.operator.inputs[1]])


def _fits(
    model: Any, first: EditableOperator, second: EditableOperator, between: Sequence[Any]
) -> bool:
    """Tell whether both have float weights, and every channel of the first is one of the
    second's.
    """
    ours, theirs = _weights(model, first), _weights(model, second)
    if ours is None or theirs is None or {ours.dtype, theirs.dtype} != {np.dtype(np.float32)}:
        return False
    channels = ours.shape[-1 if first.kind == "DEPTHWISE_CONV_2D" else 0]
    if any(int(tensor.shape[-1]) != channels for tensor in between):
        return False
    if second.kind == "DEPTHWISE_CONV_2D":
        return theirs.shape[-1] % channels == 0
    return theirs.shape[-1] == channels


def _ranges(
    content: bytes, pairs: Sequence[Pair], feeds: Mapping[str, Path]
) -> dict[str, npt.NDArray[Any]]:
    """Return the largest absolute value of each channel between a pair's layers, ``[channels]``."""
    observer = Observer(content)
    ranges: dict[str, npt.NDArray[Any]] = {}
    for _ in observer.run(feeds, ITEMS):
        for name in (tensor_name(pair.between[0]) for pair in pairs):
            value = observer.read(name)
            largest = np.abs(value.reshape(-1, value.shape[-1])).max(axis=0)
            ranges[name] = np.maximum(ranges.get(name, 0.0), largest)
    return ranges


def scale(model: Any, pair: Pair, activations: npt.NDArray[Any]) -> None:
    """Divide the first layer's channels by their factors, and multiply the second's inputs.

    Raises ``ValueError`` where a layer's weights are computed.
    """
    ours, theirs = _weights(model, pair.first), _weights(model, pair.second)
    if ours is None or theirs is None:
        raise ValueError(f"{pair.first.name} and {pair.second.name} need constant weights")
    depthwise = pair.second.kind == "DEPTHWISE_CONV_2D"
    if depthwise:
        factors = _factors(activations, np.ones_like(activations), 1.0)
        theirs *= np.repeat(factors, theirs.shape[-1] // len(factors))
    else:
        reads = np.abs(theirs.reshape(-1, theirs.shape[-1])).max(axis=0)
        factors = _factors(activations, reads, 0.5)
        theirs *= factors
    if pair.first.kind == "DEPTHWISE_CONV_2D":
        ours /= factors
    else:
        ours /= factors.reshape(-1, *[1] * (ours.ndim - 1))
    set_input(model, pair.first.operator, 1, ours)
    set_input(model, pair.second.operator, 1, theirs)
    inputs = pair.first.operator.inputs
    if len(inputs) > 2 and int(inputs[2]) >= 0:
        bias = constant(model, model.subgraphs[0].tensors[inputs[2]])
        if bias is not None:
            set_input(model, pair.first.operator, 2, bias / factors)


def _factors(
    activations: npt.NDArray[Any], reads: npt.NDArray[Any], strength: float
) -> npt.NDArray[Any]:
    """Compute ``activations^strength / reads^(1 - strength)``, 1 for unused channels."""
    used = (activations > 0) & (reads > 0)
    factors = np.ones_like(activations)
    factors[used] = activations[used] ** strength / reads[used] ** (1 - strength)
    return np.asarray(factors, np.float32)
