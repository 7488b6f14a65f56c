"""Items that are a quantized input's own integers, and not the reals that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit import data
from edgekit.converters.flatbuffer import Tensor
from edgekit.data.blocks import ArrayWriter
from edgekit.pipeline.clipping import MOST, advise_clipped, clipped
from edgekit.pipeline.float_file import input_tensors
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.types import Advice, Json, SavedModel

BLOCK = 1 << 22


def as_given(run: Run, model: SavedModel, items: Items) -> Items:
    """Feed items as raw integers to a file taken as it is, where they have its inputs' dtype.

    What they stand for is then part of the preprocessing, so that a bundle's app does the same. The
    user is told, and also where much of the items is beyond what an input can take.
    """
    source, table = run.project.model.source, run.project.convert
    if not table.as_is or not run.plan.options.evaluate:
        return items
    raw = _raw(model, items)
    steps = {(tensor.scale, tensor.zero_point) for tensor in raw.values()}
    if len(steps) == 1:
        ((scale, zero),) = steps
        spec = replace(items.preprocess, scale=scale, offset=-zero * scale)
        items = replace(items, preprocess=spec)
        for name, tensor in raw.items():
            _tell(run, source, name, tensor)
    advise_clipped(run, source, model, items)
    return items


def with_raw_bytes(run: Run, source: str, model: SavedModel, items: Items) -> Items:
    """Feed items as raw integers, where they have a quantized input's own dtype.

    That is what they are where nothing scales them and, read as reals, much of them lay outside of
    what the input can take: pixels 0..255 for an input of 0..1. The user is told.
    """
    inputs, digest = dict(items.inputs), items.digest
    for name, tensor in _raw(model, items).items():
        inputs[name] = _reals(run, items.digest, items.inputs[name], tensor)
        digest += f" {name} raw"
        _tell(run, source, name, tensor)
    return replace(items, inputs=inputs, digest=digest)


def _raw(model: SavedModel, items: Items) -> Mapping[str, Tensor]:
    """Find the quantized inputs whose items are raw integers of their own dtype."""
    if not model.is_tflite or not items.preprocess.identity:
        return {}
    tensors = {}
    for name, tensor in input_tensors(model.path, model.signature).items():
        if name not in items.inputs:
            continue
        raw = np.load(items.inputs[name], mmap_mode="r")
        if not tensor.scale or raw.dtype.name != tensor.dtype.lower():
            continue
        if clipped(tensor, raw, items).share > MOST:
            tensors[name] = tensor
    return tensors


def _tell(run: Run, source: str, name: str, tensor: Tensor) -> None:
    dtype = tensor.dtype.lower()
    message = (
        f"{source}: {dtype} items are fed to input {name!r} as they are, which is {dtype} too: as"
        " reals most of them lay outside of what it can take"
    )
    run.advise(Advice("EK-NOTE-073", "info", message, "to scale them, use --rescale"))
    run.withdraw("EK-NOTE-002", data.UNSCALED)


def _reals(run: Run, digest: str, path: Path, tensor: Tensor) -> Path:
    """Write the reals that a quantized input's integers stand for as float32, once."""
    scale, zero = np.float32(tensor.scale), np.float32(tensor.zero_point)

    def make(folder: Path) -> Mapping[str, Json]:
        raw = np.load(path, mmap_mode="r")
        writer = ArrayWriter(folder / "reals.npy", str(path), tensor.name)
        step = max(1, BLOCK // max(1, raw[:1].nbytes))
        for at in range(0, len(raw), step):
            writer.extend((raw[at : at + step].astype(np.float32) - zero) * scale)
        writer.close()
        return {}

    key: dict[str, Json] = {
        "data": digest,
        "input": tensor.name,
        "scale": float(scale),
        "zero_point": float(zero),
    }
    return run.obtain("reals", key, make).path / "reals.npy"
