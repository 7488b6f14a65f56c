"""A folder of ``.npy`` files, one per array: used where it lies, however large."""

from __future__ import annotations

from pathlib import Path

from edgekit.data.dataset import Dataset, check_file, dataset_from, describe
from edgekit.data.reading import Reading


def matches(path: Path) -> bool:
    return path.is_dir() and bool(_files(path))


def check(path: Path) -> None:
    for file in _files(path):
        check_file(file, "array")


def read(reading: Reading) -> tuple[Dataset, bool]:
    """Return the arrays by file name, memory-mapped in place; ``y.npy`` are the labels.

    Their content is looked at once, and again where a size or a time of change differs. Raises
    :class:`DataError`.
    """
    paths = {path.stem: path for path in _files(reading.path)}
    digest = reading.content(path.name for path in paths.values())
    artefact = reading.store.obtain(
        "arrays", {"content": digest}, lambda _: describe(reading.source, paths)
    )
    dataset = dataset_from(reading.source, paths, artefact.facts, digest, reading.columns)
    return dataset, artefact.cached


def _files(path: Path) -> list[Path]:
    return [file for file in sorted(path.glob("*.npy")) if not file.name.startswith(".")]
