"""A small network as float and int8 ``.tflite`` files of the same weights, and with faults in it.

``image [1, 8, 8, 3]``, a convolution with a fused ReLU, two convolutions side by side, their
difference, a pooling, a reshape, a dense layer and a softmax.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tflite_files import G, N, T, build

Arrays = Mapping[str, npt.NDArray[Any]]
SHAPES = {
    "image": (1, 8, 8, 3),
    "stem": (1, 8, 8, 8),
    "plus": (1, 8, 8, 8),
    "minus": (1, 8, 8, 8),
    "difference": (1, 8, 8, 8),
    "pooled": (1, 4, 4, 8),
    "flat": (1, 128),
    "scores": (1, 10),
    "y": (1, 10),
}
# Largest absolute values, with room, on inputs of the standard normal distribution.
RANGES = {
    "image": 4.5,
    "stem": 2.6,
    "plus": 3.0,
    "minus": 3.0,
    "difference": 4.2,
    "pooled": 4.2,
    "flat": 4.2,
    "scores": 2.6,
}
LAYERS = ("stem", "plus", "minus", "scores")
CONV = {
    "kind": "Conv2DOptions",
    "padding": 0,
    "strideW": 1,
    "strideH": 1,
    "dilationWFactor": 1,
    "dilationHFactor": 1,
}
POOL = {
    "kind": "Pool2DOptions",
    "padding": 0,
    "strideW": 2,
    "strideH": 2,
    "filterWidth": 2,
    "filterHeight": 2,
}
RELU = {"fusedActivationFunction": 1}


def weights(seed: int = 1) -> dict[str, npt.NDArray[Any]]:
    """Kernels and biases by layer, ``stem`` and ``stem_bias`` and so on."""
    rng = np.random.default_rng(seed)
    shapes = {"stem": (8, 3, 3, 3), "plus": (8, 3, 3, 8), "minus": (8, 3, 3, 8)}
    found = {name: rng.normal(0, 0.12, shape) for name, shape in shapes.items()}
    found["scores"] = rng.normal(0, 0.1, (10, 128))
    found |= {f"{name}_bias": rng.normal(0, 0.1, len(found[name])) for name in LAYERS}
    return {name: values.astype(np.float32) for name, values in found.items()}


def images(count: int = 8) -> npt.NDArray[np.float32]:
    """Items to run it on, ``[count, 8, 8, 3]``."""
    return np.random.default_rng(9).normal(size=(count, 8, 8, 3)).astype(np.float32)


def nodes(swapped: bool = False) -> list[N]:
    """The operators; ``swapped`` where the difference is taken the other way round."""
    sides = ["minus", "plus"] if swapped else ["plus", "minus"]
    return [
        N("CONV_2D", ["image", "stem_w", "stem_bias"], ["stem"], 3, {**CONV, **RELU}),
        N("CONV_2D", ["stem", "plus_w", "plus_bias"], ["plus"], 3, CONV),
        N("CONV_2D", ["stem", "minus_w", "minus_bias"], ["minus"], 3, CONV),
        N("SUB", sides, ["difference"], 2, {"kind": "SubOptions"}),
        N("AVERAGE_POOL_2D", ["difference"], ["pooled"], 2, POOL),
        N(
            "RESHAPE",
            ["pooled", "shape"],
            ["flat"],
            1,
            {"kind": "ReshapeOptions", "newShape": [1, 128]},
        ),
        N(
            "FULLY_CONNECTED",
            ["flat", "scores_w", "scores_bias"],
            ["scores"],
            4,
            {"kind": "FullyConnectedOptions"},
        ),
        N("SOFTMAX", ["scores"], ["y"], 2, {"kind": "SoftmaxOptions", "beta": 1.0}),
    ]


SHAPE = T("shape", [2], "INT32", np.array([1, 128], np.int32))


def float_file(of: Arrays, operators: Sequence[N] | None = None, extra: Sequence[T] = ()) -> bytes:
    """The network in float32; ``extra`` are tensors that other operators use."""
    tensors = [T(name, shape) for name, shape in SHAPES.items()]
    for name in LAYERS:
        bias = of[f"{name}_bias"]
        tensors += [T(f"{name}_w", of[name].shape, data=of[name])]
        tensors += [T(f"{name}_bias", bias.shape, data=bias)]
    rows = nodes() if operators is None else operators
    return build(G([*tensors, SHAPE, *extra], rows, ["image"], ["y"]))


def int8_file(
    of: Arrays,
    operators: Sequence[N] | None = None,
    weight_scales: Mapping[str, float] = {},
    names: Mapping[str, str] = {},
    ranges: Mapping[str, float] = {},
    extra: Sequence[T] = (),
    edges: tuple[str, str] = ("image", "y"),
    levels: int = 127,
) -> bytes:
    """The network in int8, weights per channel.

    ``weight_scales`` are factors by which the scales of a layer's weights are wrong; ``names``
    other names for its tensors; ``ranges`` other largest values; ``edges`` the input and
    the output; ``levels`` how many steps there are up to a channel's largest weight.
    """
    steps = {name: limit / 127 for name, limit in {**RANGES, **ranges}.items()}
    reads = {"stem": "image", "plus": "stem", "minus": "stem", "scores": "flat"}
    tensors = [
        T(name, shape, "INT8", scale=[steps.get(name, 1 / 256)], zero=[0])
        for name, shape in SHAPES.items()
    ]
    # A softmax has the range 0 to 1, and no other.
    tensors[-1] = dataclasses.replace(tensors[-1], zero=[-128])
    for name in LAYERS:
        kernel = of[name]
        scales = np.abs(kernel.reshape(len(kernel), -1)).max(axis=1) / levels
        along = scales.reshape(-1, *[1] * (kernel.ndim - 1))
        stored = np.round(kernel / along).astype(np.int8)
        bias = np.round(of[f"{name}_bias"] / (scales * steps[reads[name]])).astype(np.int32)
        told = scales * weight_scales.get(name, 1.0)
        zeros = [0] * len(scales)
        tensors += [
            T(f"{name}_w", kernel.shape, "INT8", stored, scale=told.tolist(), zero=zeros),
            T(
                f"{name}_bias",
                bias.shape,
                "INT32",
                bias,
                scale=(told * steps[reads[name]]).tolist(),
                zero=zeros,
            ),
        ]
    rows = nodes() if operators is None else list(operators)
    graph = G([*tensors, SHAPE, *extra], rows, edges[:1], edges[1:])
    return build(_renamed(graph, names))


def _renamed(graph: G, names: Mapping[str, str]) -> G:
    def called(name: str | None) -> str | None:
        return names.get(name, name) if name is not None else None

    return dataclasses.replace(
        graph,
        tensors=[dataclasses.replace(one, name=called(one.name)) for one in graph.tensors],
        nodes=[
            dataclasses.replace(
                one, inputs=list(map(called, one.inputs)), outputs=list(map(called, one.outputs))
            )
            for one in graph.nodes
        ],
    )
