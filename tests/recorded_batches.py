"""Golden statistics of small pictures and their scores, and batches that an app recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.targets.bundles import monitoring
from edgekit.targets.runners import recorder

MODEL = {"name": "digits", "version": "1", "model": "0" * 64}
SHAPE = (8, 6, 3)
Named = dict[str, Any]


def items(count: int, seed: int = 0, shares: tuple[float, ...] = (1, 1, 1)) -> tuple[Named, Named]:
    """Pictures, uint8, as bright as they happen to be, and scores of three classes."""
    random = np.random.default_rng(seed)
    pictures = random.integers(0, 200, (count, *SHAPE)) * random.uniform(0.5, 1, (count, 1, 1, 1))
    best = random.choice(3, size=count, p=np.array(shares) / sum(shares))
    scores = random.gamma(1.0, size=(count, 3)) * 0.2
    scores[np.arange(count), best] += random.uniform(1, 4, count)
    scores /= scores.sum(axis=1, keepdims=True)
    return {"image": pictures.astype(np.uint8)}, {"scores": scores.astype(np.float32)}


def golden(count: int = 1000, seed: int = 1000) -> Named:
    """Golden statistics of such items."""
    inputs, outputs = items(count, seed)
    tensors = [
        monitoring.layout_of("image", "input", SHAPE),
        monitoring.layout_of("scores", "output", (3,)),
    ]
    values = (inputs["image"], outputs["scores"])
    tables = [(one, monitoring.table_of(one, v)) for one, v in zip(tensors, values, strict=True)]
    scored = monitoring.Classes("scores", ("a", "b", "c"))
    return monitoring.statistics_of(MODEL, tables, scored, outputs["scores"])


def latencies(count: int, seed: int = 0, times: float = 1.0) -> list[int]:
    """Times of two milliseconds with a tail, in nanoseconds."""
    random = np.random.default_rng(seed)
    return [int(one) for one in 2e6 * times * random.lognormal(0, 0.2, count)]


def recorded(
    folder: Path,
    told: Mapping[str, Any],
    inputs: Named,
    outputs: Named,
    times: list[int],
    errors: int = 0,
    window: int = 500,
) -> Path:
    """Record a batch as an app does; return the file."""
    one = recorder.Recorder(told, folder, items=window, device="test bench")
    for at in range(0, len(inputs["image"]), window):
        part = slice(at, at + window)
        one.add({"image": inputs["image"][part]}, {"scores": outputs["scores"][part]}, times[part])
    one.error(errors)
    one.close()
    return folder / recorder.FILE
