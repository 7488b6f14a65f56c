"""What an app does before and after the model, the same in every language.

:func:`spec_of` resolves everything from a bundle's contents: what a language module writes into
its constants file needs no decision on the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgekit.converters import flatbuffer
from edgekit.data import images
from edgekit.targets.bundles.archive import Contents
from edgekit.types import BoxesSpec, CarriedState, Preprocess, Signal, TensorSpec

Activation = Literal["none", "softmax", "sigmoid"]
# Probabilities sum to 1 within a few quantization steps.
SUM_TOLERANCE = 0.05


@dataclass(frozen=True)
class PictureSpec:
    """The pixels that an input takes: uint8, in this size, these colours and this layout.

    ``crop`` cuts the centre out of the picture whose shorter side was fitted; without it the
    picture is stretched. ``measured`` says that the model was measured on pictures: otherwise on
    arrays, and whether pixels of 0 to 255 are what it was trained on is not known.
    """

    height: int
    width: int
    color: Literal["rgb", "bgr", "grayscale"]
    method: str
    crop: bool
    layout: Literal["nhwc", "nchw"]
    measured: bool

    @property
    def channels(self) -> int:
        return 1 if self.color == "grayscale" else 3


@dataclass(frozen=True)
class InputSpec:
    """An input of one item: ``raw * factor + offset`` in float32, then quantized to ``dtype``.

    ``scale`` is 0 where the input is not quantized. The flat value ``i`` of an item has the
    factor and the offset of number ``i / channel_stride % len(factors)``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    factors: tuple[float, ...]
    offsets: tuple[float, ...]
    channel_stride: int
    picture: PictureSpec | None

    @property
    def size(self) -> int:
        """How many values an item has."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class OutputSpec:
    """An output of one item: ``(value - zero_point) * scale`` where ``scale`` is not 0, and what
    makes scores of it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    activation: Activation

    @property
    def size(self) -> int:
        """How many values an item has."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class StateSpec:
    """What a model carries on: an output, as a whole, that feeds an input at the next inference.

    An input takes zeros where a stream begins; otherwise what the output gave, as real numbers.
    """

    input: InputSpec
    output: OutputSpec


@dataclass(frozen=True)
class Spec:
    """Inputs and outputs in the order of the model's signature, and the names of the classes.

    ``answers`` names the output that scores the classes, where one does. ``states`` are not among
    the inputs and outputs.
    """

    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    labels: tuple[str, ...]
    answers: str | None = None
    boxes: BoxesSpec | None = None
    signal: Signal | None = None
    states: tuple[StateSpec, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the parts of a language's library that this model's app uses."""
        pictures = any(one.picture for one in self.inputs)
        used = {
            "values": True,
            "pictures": pictures,
            "boxes": self.boxes is not None,
            "signals": self.signal is not None,
        }
        return tuple(part for part in used if used[part])


def spec_of(contents: Contents) -> Spec:
    """Return the pre- and postprocessing of a bundle's model, read from its file."""
    file = flatbuffer.read(contents.model)
    golden = contents.golden
    tensors = _tensors(file, contents)
    inputs = tuple(
        _input(one, golden.inputs[one.name], tensors[0][one.name], contents.preprocess)
        for one in contents.inputs
    )
    answers = golden.answers.output if golden.answers else None
    outputs = tuple(
        _output(one, golden.outputs[one.name], tensors[1][one.name], one.name == answers)
        for one in contents.outputs
    )
    states = tuple(
        _state(one, tensors[0][one.input.name], tensors[1][one.output.name])
        for one in contents.states
    )
    signal = contents.preprocess.signal
    return Spec(inputs, outputs, contents.labels, answers, contents.boxes, signal, states)


def _tensors(
    file: flatbuffer.TFLiteFile, contents: Contents
) -> tuple[Mapping[str, flatbuffer.Tensor], Mapping[str, flatbuffer.Tensor]]:
    """Return the file's inputs and outputs by name; by their order where no signature has them."""
    inputs = dict(file.inputs_of(contents.signature))
    outputs = dict(file.outputs_of(contents.signature))
    states = contents.states
    for named, specs, ordered in (
        (inputs, (*contents.inputs, *(one.input for one in states)), file.inputs),
        (outputs, (*contents.outputs, *(one.output for one in states)), file.outputs),
    ):
        if any(one.name not in named for one in specs):
            named |= {one.name: tensor for one, tensor in zip(specs, ordered, strict=False)}
    return inputs, outputs


def _input(
    spec: TensorSpec,
    golden: npt.NDArray[Any],
    tensor: flatbuffer.Tensor,
    preprocess: Preprocess,
) -> InputSpec:
    shape = _item_shape(spec, golden.shape[1:])
    count = preprocess.channels or 1
    stride = 1 if not shape or shape[-1] == count else int(np.prod(shape[1:], dtype=np.int64))
    return InputSpec(
        name=spec.name,
        shape=shape,
        dtype=tensor.dtype.lower(),
        scale=_float32(tensor.scale),
        zero_point=tensor.zero_point,
        factors=_per_channel(preprocess.scale, count),
        offsets=_per_channel(preprocess.offset, count),
        channel_stride=stride,
        picture=_picture(spec.name, shape, preprocess),
    )


def _output(
    spec: TensorSpec, golden: npt.NDArray[Any], tensor: flatbuffer.Tensor, scores_classes: bool
) -> OutputSpec:
    probable = scores_classes and bool((golden >= 0).all())
    probable &= bool(
        np.allclose(golden.reshape(len(golden), -1).sum(axis=1), 1, atol=SUM_TOLERANCE)
    )
    return OutputSpec(
        name=spec.name,
        shape=tuple(golden.shape[1:]),
        dtype=tensor.dtype.lower(),
        scale=_float32(tensor.scale),
        zero_point=tensor.zero_point,
        activation="softmax" if scores_classes and not probable else "none",
    )


def _state(state: CarriedState, to: flatbuffer.Tensor, given: flatbuffer.Tensor) -> StateSpec:
    sizes = tuple(max(1, size) for size in to.shape)
    scale = _float32(to.scale)
    feeds = (to.dtype.lower(), scale, to.zero_point, (1.0,), (0.0,), 1, None)
    gives = (given.dtype.lower(), _float32(given.scale), given.zero_point)
    return StateSpec(
        InputSpec(state.input.name, sizes, *feeds),
        OutputSpec(state.output.name, sizes, *gives, "none"),
    )


def _item_shape(spec: TensorSpec, golden: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an item without its batch; free sizes are those of the golden items."""
    sizes = spec.shape if len(spec.shape) == len(golden) else spec.shape[1:]
    if len(sizes) != len(golden):
        return tuple(golden) if None in sizes else tuple(s or 1 for s in sizes)
    return tuple(own or given for own, given in zip(sizes, golden, strict=True))


def _picture(name: str, shape: tuple[int, ...], preprocess: Preprocess) -> PictureSpec | None:
    """Return the pixels that an input of this shape takes, where it can be a picture."""
    if len(shape) == 2 and preprocess.color is not None:
        shape = (*shape, 1)
    if len(shape) != 3:
        return None
    own = images.resolved(
        Preprocess(crop=preprocess.crop, color=preprocess.color, method=preprocess.method),
        (TensorSpec(name, (1, *shape), ""),),
    )
    channels = shape[0] if own.model_layout == "nchw" else shape[2]
    color: Any = own.color
    if own.resize is None or channels != (1 if color == "grayscale" else 3):
        return None
    layout: Any = own.model_layout
    measured = preprocess.color is not None
    crop = own.crop is not None
    return PictureSpec(*own.resize, color, own.method, crop, layout, measured)


def _per_channel(values: float | tuple[float, ...], count: int) -> tuple[float, ...]:
    spread = values if isinstance(values, tuple) else (values,) * count
    return tuple(_float32(value) for value in spread)


def _float32(value: float) -> float:
    """Return a number as the device has it."""
    return float(np.float32(value))
