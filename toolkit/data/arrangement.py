"""Arrays as the preprocess spec has them: pictures in layout, size and colours, and features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data import images, signals
from edgekit.data.blocks import ArrayWriter
from edgekit.data.dataset import CHUNK, Dataset
from edgekit.errors import DataError
from edgekit.store import Store
from edgekit.types import Json, Preprocess, Signal

SIGNAL_CODE = "EK-DATA-068"


def arrange(
    dataset: Dataset, preprocess: Preprocess, model_layout: str, store: Store, decoded: bool
) -> tuple[Dataset, bool]:
    """Return the dataset with its pictures as the spec has them; whether the store had it.

    Arrays of rank 4 whose stated layout is not the model's are transposed, and uint8 ones of 1 or 3
    channels resized, cropped and coloured. Pictures that were ``decoded`` from files are so
    already. Samples become features where the spec says how. Other arrays stay as they are. Raises
    :class:`DataError` where no array can be what the spec speaks of.
    """
    preprocess = replace(preprocess, model_layout=model_layout)
    if preprocess.signal is not None:
        return _featured(dataset, preprocess.signal, store)
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


def _featured(dataset: Dataset, signal: Signal, store: Store) -> tuple[Dataset, bool]:
    """Return the dataset with features for samples; whether the store had it."""
    chosen = {}
    for name, path in dataset.arrays.items():
        array = np.load(path, mmap_mode="r")
        if array.ndim == 2 and (array.dtype.kind == "f" or array.dtype == np.int16):
            chosen[name] = path
            if signal.frames(array.shape[1]) == 0:
                message = f"{dataset.source}: {name!r} has {array.shape[1]} samples an item"
                hint = f"a window of [data.preprocess.signal] has {signal.window}"
                raise DataError(SIGNAL_CODE, message, hint)
    if not chosen:
        shapes = ", ".join(
            f"{n} {dataset.open(n).dtype} {list(dataset.open(n).shape)}"
            for n in sorted(dataset.arrays)
        )
        message = f"{dataset.source} has no samples: {shapes}"
        hint = (
            "[data.preprocess.signal] is for float or int16 [N, samples]; for features leave it out"
        )
        raise DataError(SIGNAL_CODE, message, hint)

    def make(folder: Path) -> Mapping[str, Json]:
        files: dict[str, Json] = {}
        for number, (name, path) in enumerate(chosen.items()):
            files[name] = f"{number:03d}.npy"
            raw = np.load(path, mmap_mode="r")
            writer = ArrayWriter(folder / files[name], dataset.source, name)
            # A window overlaps its neighbours: the block's features are larger than its samples.
            step = max(1, CHUNK // (16 * max(1, raw[:1].nbytes)))
            for at in range(0, len(raw), step):
                writer.extend(signals.features(np.asarray(raw[at : at + step]), signal))
            writer.close()
        return {"files": files}

    artefact = store.obtain("features", {"data": dataset.digest, **asdict(signal)}, make)
    files: Any = artefact.facts["files"]
    arrays = {**dataset.arrays, **{name: artefact.path / file for name, file in files.items()}}
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
