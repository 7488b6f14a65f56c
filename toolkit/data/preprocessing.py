"""Raw items as the model takes them: ``x * scale + offset`` in float32, in the input's shape."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.types import Preprocess, TensorSpec


def apply(raw: npt.NDArray[Any], spec: TensorSpec, preprocess: Preprocess) -> npt.NDArray[Any]:
    """Items ``[n, ...]`` as input ``spec`` takes them; the runner computes the same."""
    items = np.asarray(raw)
    if not preprocess.identity:
        scale, offset = np.float32(preprocess.scale), np.float32(preprocess.offset)
        items = items.astype(np.float32) * scale + offset
    shape = tuple(raw.shape[k] if s is None else s for k, s in enumerate(spec.shape[1:], 1))
    return items.astype(spec.dtype, copy=False).reshape((len(items), *shape))


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
