"""Items that are a quantized input's own integers, and not the reals that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit import data
from edgekit.converters.flatbuffer import Tensor
from edgekit.data.blocks import ArrayWriter
from edgekit.pipeline.measure.clipping import MOST, clipped, input_tensors
from edgekit.pipeline.measure.subject import Subject
from edgekit.pipeline.run import Run
from edgekit.pipeline.supply import Items
from edgekit.types import Advice, Json

BLOCK = 1 << 22


def with_raw_bytes(run: Run, subject: Subject, items: Items) -> Items:
    """The items, where integers of a quantized input's own dtype are fed as they are.

    That is what they are where nothing scales them and, read as reals, much of them lay outside of
    what the input can take: pixels 0..255 for an input of 0..1. The user is told.
    """
    if not subject.model.is_tflite or not items.preprocess.identity:
        return items
    inputs, digest = dict(items.inputs), items.digest
    for name, tensor in input_tensors(subject.path).items():
        raw = np.load(items.inputs[name], mmap_mode="r")
        if not tensor.scale or raw.dtype.name != tensor.dtype.lower():
            continue
        if clipped(tensor, raw, items).share <= MOST:
            continue
        inputs[name] = _reals(run, items.digest, items.inputs[name], tensor)
        digest += f" {name} raw"
        message = (
            f"{subject.source}: {raw.dtype} items are fed to input {name!r} as they are, which is"
            f" {tensor.dtype.lower()} too: as reals most of them lay outside of what it can take"
        )
        run.advise(Advice("EK-NOTE-073", "info", message, "to scale them, say --rescale"))
        run.withdraw("EK-NOTE-002", data.UNSCALED)
    return replace(items, inputs=inputs, digest=digest)


def _reals(run: Run, digest: str, path: Path, tensor: Tensor) -> Path:
    """A file of the reals that a quantized input's integers stand for, float32; made once."""
    assert tensor.quantization is not None  # noqa: S101  (it has a scale)
    zeros = tensor.quantization.zero_points
    scale, zero = np.float32(tensor.scale), np.float32(zeros[0] if zeros else 0)

    def make(folder: Path) -> Mapping[str, Json]:
        raw = np.load(path, mmap_mode="r")
        writer = ArrayWriter(folder / "reals.npy", str(path), tensor.name)
        step = max(1, BLOCK // max(1, raw[:1].nbytes))
        for at in range(0, len(raw), step):
            writer.extend((raw[at : at + step].astype(np.float32) - zero) * scale)
        writer.close()
        return {}

    key: dict[str, Json] = {"data": digest, "input": tensor.name, "scale": float(scale),
                            "zero_point": float(zero)}  # fmt: skip
    return run.keep(run.store.obtain("reals", key, make)).path / "reals.npy"
