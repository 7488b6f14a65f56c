"""How channels pass through each kind of layer. A new layer is one row of RULES.

A rule returns the channels of a call's output, or why it cannot: then what flows into
the call stays whole. A channel may go where every layer from its maker to the kernels that read it
treats channels one by one, because a kernel without that input is the kernel with it at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.compression.channels.coupling import Layout
from edgekit.compression.channels.graph import ChannelCall
from edgekit.compression.channels.walk import Sketch, SlicedWeight, Walk

Rule = Callable[[Walk, ChannelCall, list[Layout]], "Layout | str"]

# Functions of one value; a softmax's output for a channel depends on the others.
ACTIVATIONS = frozenset(
    (
        "celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh "
        "leaky_relu linear log_sigmoid mish relu relu6 selu sigmoid silu soft_shrink softplus "
        "softsign sparse_plus sparse_sigmoid squareplus swish tanh tanh_shrink threshold"
    ).split()
)
ACTIVATION_LAYERS = frozenset({"ELU", "LeakyReLU", "ReLU", "ThresholdedReLU"})
# keras.ops and TensorFlow functions in the graph, without "_" and in lower case.
ELEMENTWISE = frozenset(
    {name.replace("_", "") for name in ACTIVATIONS}
    | {"abs", "absolute", "exp", "identity", "negative", "neg", "sqrt", "square"}
)
MERGES = frozenset(
    "add divide maximum minimum mul multiply sub subtract truediv truedivide".split()
)


def propagate(walk: Walk, call: ChannelCall, reads: list[Layout]) -> list[Layout] | str:
    """Return the channels of a call's outputs, or why they are not known."""
    kind = call.kind
    if not type(call.layer).__module__.startswith(("keras.", "tf_keras.")):
        return "not a layer of Keras" if kind not in RULES else f"not Keras's {kind}"
    if getattr(call.layer, "data_format", None) == "channels_first":
        return "its data_format is channels_first"
    rule = RULES.get(kind) if hasattr(call.layer, "weights") else None
    rule = rule or _operation(kind)
    if rule is None:
        return ""
    if len(call.outputs) != 1 or (len(reads) != 1 and rule not in (_merge, _concatenate, _input)):
        return f"called with {len(reads)} tensors"
    answer = rule(walk, call, reads)
    return answer if isinstance(answer, str) else [answer]


def _operation(kind: str) -> Rule | None:
    """Return the rule of a function in the graph: Keras's operations share names with layers."""
    plain = kind.split(".")[-1].replace("_", "").lower()
    if plain in MERGES:
        return _merge
    return _pass if plain in ELEMENTWISE else None


def _pass(_walk: Walk, _call: ChannelCall, reads: list[Layout]) -> Layout | str:
    return reads[0]


def _input(walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    if reads:
        return walk.record(call, reads[0], None, lambda _: Sketch())
    writes = walk.channels.new(call.name, call.shapes_out[0][-1] or 0)
    walk.channels.freeze(writes, f"comes from the model's input {call.name!r}")
    return writes


def _activated(walk: Walk, call: ChannelCall, writes: Layout) -> Layout:
    """Keep what a layer writes if its activation looks at more than one channel."""
    name = _activation(call.layer)
    if name not in ACTIVATIONS:
        walk.channels.freeze(writes, f"passes the activation {name!r} of {call}")
    return writes


def _activation(layer: Any) -> str:
    function = getattr(layer, "activation", None)
    if function is None:
        return "linear"
    known = getattr(function, "__module__", "").startswith(("keras.", "tf_keras.", "tensorflow."))
    if known and type(function).__name__ in ACTIVATION_LAYERS:
        return "relu"
    name = str(getattr(function, "__name__", type(function).__name__))
    return name if known else f"{name} of your own"


def _activation_layer(walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    return _activated(walk, call, reads[0])


def _holds(layer: Any, *names: str) -> bool:
    """Tell whether these are all of a layer's weights (not so after LoRA or quantization)."""
    weights = [getattr(layer, name, None) for name in names]
    return {id(w) for w in weights if w is not None} == {id(w) for w in layer.weights}


def _present(layer: Any, *weights: SlicedWeight) -> tuple[SlicedWeight, ...]:
    return tuple(weight for weight in weights if getattr(layer, weight.name, None) is not None)


def _conv(walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    layer, read = call.layer, reads[0]
    if getattr(layer, "groups", 1) != 1:
        return f"a convolution of {layer.groups} groups"
    if not _holds(layer, "kernel", "bias"):
        return "it holds weights besides kernel and bias"
    transposed = call.kind.endswith("Transpose")
    into, out = (-1, -2) if transposed else (-2, -1)

    def describe(writes: Layout) -> Sketch:
        kernel = SlicedWeight("kernel", reads=(into, read), makes=(out, writes))
        bias = SlicedWeight("bias", makes=(0, writes))
        return Sketch(_present(layer, kernel, bias), (("filters", writes),))

    writes = walk.record(call, read, layer.filters, describe)
    shape = call.shapes_in[0] if transposed else call.shapes_out[0]
    walk.multiply(call, call.positions(shape) * math.prod(layer.kernel_size), read, writes)
    return _activated(walk, call, writes)


def _dense(walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    layer, read = call.layer, reads[0]
    if not _holds(layer, "kernel", "bias"):
        return "it holds weights besides kernel and bias"

    def describe(writes: Layout) -> Sketch:
        kernel = SlicedWeight("kernel", reads=(0, read), makes=(1, writes))
        return Sketch(
            _present(layer, kernel, SlicedWeight("bias", makes=(0, writes))), (("units", writes),)
        )

    writes = walk.record(call, read, layer.units, describe)
    walk.multiply(call, call.positions(call.shapes_out[0]), read, writes)
    return _activated(walk, call, writes)


def _depthwise(walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    layer, read = call.layer, reads[0]
    kernel = "kernel" if getattr(layer, "kernel", None) is not None else "depthwise_kernel"
    if not _holds(layer, kernel, "bias"):
        return "it holds weights besides kernel and bias"
    # Filter m of channel c writes channel c · depth_multiplier + m.
    written = np.repeat(read, layer.depth_multiplier)
    weights = _present(
        layer, SlicedWeight(kernel, carries=(-2, read)), SlicedWeight("bias", carries=(0, written))
    )
    walk.record(call, read, None, lambda _: Sketch(weights))
    work = call.positions(call.shapes_out[0]) * math.prod(layer.kernel_size)
    walk.multiply(call, work, written)
    return _activated(walk, call, written)


def _separable(walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    layer, read = call.layer, reads[0]
    if not _holds(layer, "depthwise_kernel", "pointwise_kernel", "bias"):
        return "it holds weights besides its kernels and bias"
    between = np.repeat(read, layer.depth_multiplier)

    def describe(writes: Layout) -> Sketch:
        weights = (
            SlicedWeight("depthwise_kernel", carries=(-2, read)),
            SlicedWeight("pointwise_kernel", reads=(-2, between), makes=(-1, writes)),
            SlicedWeight("bias", makes=(0, writes)),
        )
        return Sketch(_present(layer, *weights), (("filters", writes),))

    writes = walk.record(call, read, layer.filters, describe)
    positions = call.positions(call.shapes_out[0])
    walk.multiply(call, positions * math.prod(layer.kernel_size), between)
    walk.multiply(call, positions, between, writes)
    return _activated(walk, call, writes)


def _channelwise(walk: Walk, call: ChannelCall, read: Layout, *names: str) -> Layout | str:
    if not _holds(call.layer, *names):
        return f"it holds weights besides {', '.join(names)}"
    weights = _present(call.layer, *(SlicedWeight(name, carries=(-1, read)) for name in names))
    return walk.record(call, read, None, lambda _: Sketch(weights))


def _batch_norm(walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    axis = call.layer.axis
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if axes not in ([-1], [len(call.shapes_in[0]) - 1]):
        return f"it normalises along axis {axis}"
    return _channelwise(walk, call, reads[0], "gamma", "beta", "moving_mean", "moving_variance")


def _group_norm(walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    layer, read = call.layer, reads[0]
    if layer.axis not in (-1, len(call.shapes_in[0]) - 1) or layer.groups not in (-1, len(read)):
        return f"it normalises over {layer.groups} groups of channels"
    weights = _present(
        layer, SlicedWeight("gamma", carries=(-1, read)), SlicedWeight("beta", carries=(-1, read))
    )
    return walk.record(call, read, None, lambda _: Sketch(weights, (("groups", read),)))


def _prelu(walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    shared = call.layer.alpha.shape[-1] == 1 and len(reads[0]) > 1
    return reads[0] if shared else _channelwise(walk, call, reads[0], "alpha")


def _merge(walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    if any(np.size(constant) > 1 for constant in call.constants):
        return "one side is a constant array"
    widest = max(reads, key=len)
    for layout in reads:
        if len(layout) == len(widest):
            walk.channels.couple(widest, layout)
        else:
            walk.channels.freeze(layout, f"is spread over the channels of {call}")
    return widest


def _concatenate(walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    if getattr(call.layer, "axis", None) in (-1, len(call.shapes_in[0]) - 1):
        return np.concatenate(reads)
    for layout in reads[1:]:
        walk.channels.couple(reads[0], layout)
    return reads[0]


def _flatten(_walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    shape = call.shapes_in[0]
    return np.tile(reads[0], call.positions(shape)) if len(shape) > 2 else reads[0]


def _reshape(walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    before, after, read = call.shapes_in[0], call.shapes_out[0], reads[0]
    if len(after) == 2:
        layout = np.tile(read, call.positions(before))
    elif after[-1] == len(read) and None not in after[1:]:
        layout = read
    else:
        return f"from {list(before)} to {list(after)}"
    if call.layer.target_shape[-1] != -1:
        walk.record(call, layout, None, lambda _: Sketch((), (("target_shape", layout),)))
    return layout


def _permute(_walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    dims = tuple(call.layer.dims)
    return reads[0] if dims[-1] == len(dims) else f"it moves the channels: {dims}"


def _rescale(_walk: Walk, call: ChannelCall, reads: list[Layout]) -> Layout | str:
    plain = np.ndim(call.layer.scale) == 0 and np.ndim(call.layer.offset) == 0
    return reads[0] if plain else "a scale per channel"


RULES: dict[str, Rule] = {
    "InputLayer": _input,
    **{f"Conv{n}D": _conv for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": _conv for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": _depthwise for n in (1, 2)},
    **{f"SeparableConv{n}D": _separable for n in (1, 2)},
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "GroupNormalization": _group_norm,
    "PReLU": _prelu,
    "Activation": _activation_layer,
    **dict.fromkeys(("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"), _merge),
    "Concatenate": _concatenate,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "Rescaling": _rescale,
    **dict.fromkeys(
        (
            *ACTIVATION_LAYERS,
            "ActivityRegularization",
            "AlphaDropout",
            "Dropout",
            "GaussianDropout",
            "GaussianNoise",
            "Identity",
            "RepeatVector",
            *(
                f"{kind}{n}D"
                for n in (1, 2, 3)
                for kind in (
                    "AveragePooling",
                    "Cropping",
                    "GlobalAveragePooling",
                    "GlobalMaxPooling",
                    "MaxPooling",
                    "SpatialDropout",
                    "UpSampling",
                    "ZeroPadding",
                )
            ),
        ),
        _pass,
    ),
}
