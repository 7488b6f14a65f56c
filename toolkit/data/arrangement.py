"""Arrays of pictures brought to the layout, size and colours that the preprocess spec names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data import images
from edgekit.data.blocks import ArrayWriter
from edgekit.data.dataset import CHUNK, Dataset
from edgekit.errors import DataError
from edgekit.store import Store
from edgekit.types import Json, Preprocess


def arrange(
    dataset: Dataset, preprocess: Preprocess, model_layout: str, store: Store, decoded: bool
) -> tuple[Dataset, bool]:
    """Return the dataset with its pictures as the spec has them; whether the store had it.

    Arrays of rank 4 whose stated layout is not the model's are transposed, and uint8 ones of 1 or 3
    channels resized, cropped and coloured. Pictures that were ``decoded`` from files are so
    already. Other arrays stay as they are. Raises :class:`DataError` where no array can be what
    the spec speaks of.
    """
    preprocess = replace(preprocess, model_layout=model_layout)
    fitted = bool(preprocess.resize or preprocess.color)
    moved = preprocess.layout is not None and preprocess.layout != model_layout
    if decoded or not (fitted or moved):
        return dataset, True
    chosen = {
        name: path
        for name, path in dataset.arrays.items()
        if np.load(path, mmap_mode="r").ndim == 4
    }
    if not chosen:
        shapes = ", ".join(f"{n} {list(dataset.open(n).shape)}" for n in sorted(dataset.arrays))
        message = f"{dataset.source} has no images to transpose or resize: {shapes}"
        hint = "layout, resize, crop and color are for arrays of rank 4"
        raise DataError("EK-DATA-019", message, hint)
    spec = replace(preprocess, scale=1.0, offset=0.0)
    key: dict[str, Json] = {"data": dataset.digest, **spec.facts}

    def make(folder: Path) -> Mapping[str, Json]:
        files: dict[str, Json] = {}
        for number, (name, path) in enumerate(chosen.items()):
            files[name] = f"{number:03d}.npy"
            _write(dataset.source, name, path, spec, folder / f"{number:03d}.npy")
        return {"files": files}

    artefact = store.obtain("arranged", key, make)
    files: Any = artefact.facts["files"]
    paths = {name: artefact.path / file for name, file in files.items()}
    arrays = {**dataset.arrays, **paths}
    return replace(dataset, arrays=arrays, digest=artefact.digest), artefact.cached


def _write(source: str, name: str, path: Path, preprocess: Preprocess, to: Path) -> None:
    raw = np.load(path, mmap_mode="r")
    writer = ArrayWriter(to, source, name)
    step = max(1, CHUNK // max(1, raw[:1].nbytes))
    # Arrays of no stated layout are the model's when they are left as they are, else as usual.
    layout = preprocess.layout or "nhwc"
    fitted = bool(preprocess.resize or preprocess.color)
    for at in range(0, len(raw), step):
        block = np.asarray(raw[at : at + step])
        if layout == "nchw":
            block = block.transpose(0, 2, 3, 1)
        if fitted:
            _refuse_others(source, name, block)
            block = np.stack([images.fitted(picture, preprocess) for picture in block])
        elif preprocess.model_layout == "nchw":
            block = block.transpose(0, 3, 1, 2)
        writer.extend(block)
    writer.close()


def _refuse_others(source: str, name: str, block: npt.NDArray[Any]) -> None:
    if block.dtype != np.uint8 or block.shape[-1] not in images.CHANNELS:
        message = f"{source}: {name!r} is {block.dtype} {['N', *block.shape[1:]]}".replace(
            "'N'", "N"
        )
        hint = "pictures are resized and coloured as uint8 [N, height, width, 1 or 3]"
        raise DataError("EK-DATA-019", message, hint)
