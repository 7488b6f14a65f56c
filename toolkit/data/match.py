"""Whether a dataset fits a model's inputs, and the likely mistake where it does not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data import images
from edgekit.data.dataset import Dataset, object_error
from edgekit.data.preprocessing import has_channels
from edgekit.errors import ArraysMismatch, DataError
from edgekit.types import Preprocess, TensorSpec

SINGLE = "x"
# How many channels pictures have: grey, in colour, or in colour with opacity.
CHANNELS = (1, 3, 4)
# What a notice of bytes for a float input says.
UNSCALED = "are fed unscaled"


@dataclass(frozen=True)
class MatchedInputs:
    """A dataset keyed by the model's input names, and what the user should be told of it."""

    inputs: Mapping[str, Path]
    notices: tuple[str, ...]


def match(
    dataset: Dataset, inputs: tuple[TensorSpec, ...], preprocess: Preprocess
) -> MatchedInputs:
    """Key a dataset by the model's inputs; inputs are shaped ``[batch, ...]``.

    A missing trailing dimension of 1 is accepted with a notice, and so are flat items for an input
    that has no channels to order. Arrays beside the inputs are passed over. Raises
    :class:`DataError` that names both shapes, or both dtypes, and the likely mistake.
    """
    arrays = _keyed(dataset, inputs)
    notices: list[str] = []
    for spec in inputs:
        array = np.load(arrays[spec.name], mmap_mode="r")
        _match_shape(dataset.source, spec, array.shape, notices)
        _match_dtype(dataset.source, spec, array, preprocess, notices)
        _match_channels(dataset.source, spec, array.shape, preprocess)
    return MatchedInputs(arrays, tuple(notices))


def _keyed(dataset: Dataset, inputs: tuple[TensorSpec, ...]) -> Mapping[str, Path]:
    """Return the arrays by the inputs' names. Raises :class:`ArraysMismatch`."""
    names = {spec.name for spec in inputs}
    # A column may be an input as well.
    beside = {n: path for n, path in (dataset.beside or {}).items() if n in names}
    arrays = {**beside, **dataset.arrays}
    if len(inputs) == 1 and set(arrays) == {SINGLE}:
        arrays = {inputs[0].name: arrays[SINGLE]}
    if set(arrays) != names:
        hint = f"the model's inputs are {', '.join(sorted(names))}; inputs are matched by name"
        if len(inputs) == 1:
            hint += f" (or the only array may be called {SINGLE!r})"
        if set(arrays) > names or SINGLE in arrays:
            hint += "; name other arrays as columns: --slice NAME, --group NAME"
        listed = ", ".join(sorted(arrays)) or "nothing but labels"
        raise ArraysMismatch("EK-DATA-010", f"{dataset.source} holds {listed}", hint)
    return arrays


def check_items(dataset: Dataset, inputs: tuple[TensorSpec, ...]) -> None:
    """Refuse items that a model's inputs ``[batch, ...]`` cannot take, before it is exported.

    Of several arrays for one input it is not known which is meant. Raises :class:`DataError`.
    """
    if len(inputs) > 1:
        arrays = _keyed(dataset, inputs)
    elif len(dataset.arrays) == 1:
        arrays = {inputs[0].name: next(iter(dataset.arrays.values()))}
    else:
        return
    for spec in inputs:
        shape = np.load(arrays[spec.name], mmap_mode="r").shape
        _match_shape(dataset.source, spec, shape, [])


def check_pictures(source: str, preprocess: Preprocess, inputs: tuple[TensorSpec, ...]) -> None:
    """Refuse pictures that a model's only input ``[batch, ...]`` cannot take, before one is read.

    Their size and colours are those that are stated, else the input's. Raises
    :class:`DataError`.
    """
    spec = images.resolved(preprocess, inputs)
    if len(inputs) > 1 or spec.resize is None or spec.color is None:
        return
    channels = next(count for count, color in images.CHANNELS.items() if color == spec.color)
    shape = (*spec.resize, channels)
    if spec.model_layout == "nchw":
        shape = (channels, *spec.resize)
    _match_shape(source, inputs[0], (None, *shape), [])


def _match_shape(
    source: str, spec: TensorSpec, shape: tuple[int | None, ...], notices: list[str]
) -> None:
    expected, got = spec.shape[1:], tuple(size or 0 for size in shape[1:])
    # An item may be all of an input that has no batch dimension.
    if _fits(expected, got) or _fits(spec.shape, got):
        return
    if expected[-1:] == (1,) and _fits(expected[:-1], got):
        shown = _show((None, *got))
        notices.append(
            f"{source}: {shown} is taken as {_show(spec.shape)}, adding the last dimension"
        )
        return
    if len(got) == 1 and None not in expected and _flat(expected, got[0]):
        shown = _show((None, *got))
        notices.append(f"{source}: {shown} is taken as {_show(spec.shape)}, row by row")
        return
    message = (
        f"input {spec.name!r} expects {spec.dtype} {_show(spec.shape)};"
        f" {source} has {_show((shape[0], *got))}"
    )
    whole = len(spec.shape) == 1 and spec.shape[0] not in (None, 1)
    raise DataError("EK-DATA-004", message, _likely(spec.shape if whole else expected, got))


def _fits(expected: tuple[int | None, ...], got: tuple[int, ...]) -> bool:
    return len(expected) == len(got) and all(
        w in (None, g) for w, g in zip(expected, got, strict=True)
    )


def _flat(expected: tuple[int | None, ...], count: int) -> bool:
    """Tell whether a flat item fills the input in the only order that there is: one channel, or
    none.
    """
    sizes = [size or 0 for size in expected]
    return int(np.prod(sizes)) == count and (len(sizes) < 3 or sizes[-1] == 1)


def _likely(expected: tuple[int | None, ...], got: tuple[int, ...]) -> str:
    if len(expected) == len(got) == 3 and _fits(expected, (got[1], got[2], got[0])):
        return (
            "looks like channels-first: --layout nchw (layout of [data.preprocess]) says so, and"
            " it is transposed to [N, height, width, channels]"
        )
    if len(expected) == len(got) == 3 and _fits(expected, (got[2], got[0], got[1])):
        return (
            "the model takes channels-first and the data looks like channels-last: --layout nhwc"
            " (layout of [data.preprocess]) says so, and it is transposed"
        )
    if len(expected) == 3 and _fits(expected, (*got, 3)):
        return "looks like grey images for a model that takes colour: repeat the channel 3 times"
    if (
        len(expected) == len(got) == 3
        and expected[:2] == got[:2]
        and (expected[2], got[2]) == (1, 3)
    ):
        return (
            "the model takes grey pictures, the data is in colour: --color grayscale (color of"
            " [data.preprocess])"
        )
    if len(expected) == 3 and len(got) == 3 and expected[:2] == got[:2]:
        return f"the model takes {expected[2]} channels, the data has {got[2]}"
    if len(expected) == 1 and len(got) > 1 and int(np.prod(got)) == expected[0]:
        return f"the model takes flat items: reshape each to ({expected[0]},)"
    if len(expected) == len(got) >= 2 and got in set(itertools.permutations(expected)):
        return "the same dimensions in another order: transpose the data"
    if len(expected) == len(got) == 3 and _channels_first(expected, got):
        return (
            "looks like channels-first, and of another size: --layout nchw (layout of"
            f" [data.preprocess]) transposes it, --resize {expected[0]}x{expected[1]} resizes it"
        )
    if len(expected) == len(got) == 3:
        size = f"--resize {expected[0]}x{expected[1]} ([data] preprocess = {{ resize ="
        return f"resize the items to {_show(expected)}: {size} [{expected[0]}, {expected[1]}] }})"
    return f"every item must be shaped {_show(expected)}"


def _channels_first(expected: tuple[int | None, ...], got: tuple[int, ...]) -> bool:
    """Tell whether items have as many channels as pictures have, and have them first alone."""
    return got[0] in CHANNELS and got[2] not in CHANNELS and expected[2] in CHANNELS


def _match_dtype(
    source: str,
    spec: TensorSpec,
    array: npt.NDArray[Any],
    preprocess: Preprocess,
    notices: list[str],
) -> None:
    expected, dtype = np.dtype(spec.dtype), array.dtype
    if dtype.kind == "U":
        raise object_error(source, spec.name, str(dtype))
    if expected.kind == "f":
        # Bytes of two dimensions and more are most likely pixels.
        if dtype == np.uint8 and array.ndim > 2 and preprocess.identity:
            notices.append(
                f"{source}: {dtype} values {UNSCALED}; a model trained on 0..1 needs"
                " --rescale 1/255"
            )
        return
    message = f"input {spec.name!r} expects {spec.dtype}; {source} has {dtype}"
    if expected.kind in "iu" and dtype.kind == "f":
        hint = "the model takes indices or raw integers: save the array with that dtype"
        raise DataError("EK-DATA-011", message, hint)
    if not preprocess.identity:
        hint = "scaling is for float inputs: leave out --rescale and --offset"
        raise DataError("EK-DATA-011", message, hint)


def _match_channels(
    source: str, spec: TensorSpec, shape: tuple[int, ...], preprocess: Preprocess
) -> None:
    count = preprocess.channels
    if count is None or has_channels(shape, count):
        return
    message = (
        f"scale, offset, mean or std have {count} numbers, one per channel; items of {source} for"
        f" input {spec.name!r} are {_show((None, *shape[1:]))}"
    )
    hint = f"give one number, or as many as items have channels: {shape[-1]}"
    raise DataError("EK-DATA-011", message, hint)


def _show(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("N" if s is None else str(s) for s in shape) + "]"
