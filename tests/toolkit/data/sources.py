"""What the tests of data sources share: opening one, and small pictures in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from edgekit import data
from edgekit.store import Store
from edgekit.types import Preprocess, TensorSpec

RAW = Preprocess()


def opened(source: str | Path, folder: Path, preprocess: Preprocess = RAW, **more: Any) -> Any:
    """The dataset in a source below ``folder``, whose store is beside it."""
    worker = more.pop("worker", None)
    store = Store(folder / "store")
    return data.open_source(str(source), folder, store, worker, preprocess, **more)[0]


def image(name: str = "image", *shape: int, dtype: str = "float32") -> tuple[TensorSpec, ...]:
    """One input ``[N, height, width, channels]``."""
    return (TensorSpec(name, (None, *shape), dtype),)


def picture(path: Path, height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """A smooth colour picture, saved; its pixels."""
    down, across = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[:, None]
    first, second, third = np.random.default_rng(seed).uniform(0, 255, (3, 1, 1, 3))
    mixed = first + (second - first) * down + (third - first) * across
    pixels = np.clip(mixed, 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels
