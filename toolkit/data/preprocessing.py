"""Raw items as the model takes them: ``x * scale + offset`` in float32, in the input's shape."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.types import PerChannel, Preprocess, TensorSpec


def apply(raw: npt.NDArray[Any], spec: TensorSpec, preprocess: Preprocess) -> npt.NDArray[Any]:
    """Return items ``[n, ...]`` as input ``spec`` takes them; the runner computes the same."""
    items = np.asarray(raw)
    if not preprocess.identity:
        items = scaled(items, preprocess)
    shape = item_shape(raw.shape, spec)
    return items.astype(spec.dtype, copy=False).reshape((len(items), *shape))


def item_shape(raw: tuple[int, ...], spec: TensorSpec) -> tuple[int, ...]:
    """Return the shape of an item as input ``spec`` takes it, from raw items ``[n, ...]``."""
    # An item may be all of an input that has no batch dimension.
    inner = spec.shape if len(spec.shape) == len(raw) - 1 else spec.shape[1:]
    return tuple(raw[k] if size is None else size for k, size in enumerate(inner, 1))


def scaled(raw: npt.NDArray[Any], preprocess: Preprocess) -> npt.NDArray[np.float32]:
    """Return items ``[n, ...]`` times scale plus offset, float32, in their own shape."""
    scale, offset = factors(raw.shape, preprocess)
    return np.asarray(raw.astype(np.float32) * scale + offset, np.float32)


def factors(
    raw: tuple[int, ...], preprocess: Preprocess
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return scale and offset, float32, in shapes that meet raw items ``[n, ...]``."""
    scale, offset = (
        np.asarray(value, np.float32).reshape(_alongside(value, raw))
        for value in (preprocess.scale, preprocess.offset)
    )
    return scale, offset


def has_channels(shape: tuple[int, ...], count: int) -> bool:
    """Tell whether items of a shape, ``[n, ...]``, have so many channels, last or first."""
    return len(shape) > 1 and count in (shape[-1], shape[1])


def _alongside(value: PerChannel, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape in which values per channel meet items: along the last axis, else the
    first.
    """
    if not isinstance(value, tuple):
        return ()
    last = len(shape) == 1 or shape[-1] == len(value)
    return (len(value),) if last else (len(value), *[1] * (len(shape) - 2))


def write(
    arrays: Mapping[str, Path],
    index: npt.NDArray[np.int64],
    inputs: tuple[TensorSpec, ...],
    preprocess: Preprocess,
    folder: Path,
) -> Mapping[str, str]:
    """Write the chosen items, preprocessed, one ``.npy`` per input; file names by input name."""
    files = {}
    for number, spec in enumerate(inputs):
        raw = np.load(arrays[spec.name], mmap_mode="r")
        files[spec.name] = f"{number:03d}.npy"
        np.save(folder / files[spec.name], apply(raw[index], spec, preprocess))
    return files
