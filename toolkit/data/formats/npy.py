"""An ``.npy`` file: one input, without labels."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from edgekit.data.dataset import Dataset, check_file, describe
from edgekit.data.reading import Reading
from edgekit.store import sha256
from edgekit.types import Json


def matches(path: Path) -> bool:
    return path.suffix == ".npy"


def check(path: Path) -> None:
    check_file(path, "data file")


def read(reading: Reading) -> tuple[Dataset, bool]:
    """Return the array, as ``x``. Raises :class:`DataError`."""
    path = reading.path
    return reading.obtain({"sha256": sha256(path)}, lambda folder: _copy(path, folder))


def _copy(path: Path, folder: Path) -> Mapping[str, Json]:
    shutil.copyfile(path, folder / "000.npy")
    return describe(str(path), {"x": folder / "000.npy"})
