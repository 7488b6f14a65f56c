"""Data divided into parts that share no item, each a folder of arrays."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.data import LABELS, Dataset
from edgekit.data.blocks import ArrayWriter
from edgekit.data.dataset import CHUNK, NAMES
from edgekit.data.division import REST, Index, divide
from edgekit.errors import ProjectError
from edgekit.pipeline.describe_data import opened
from edgekit.project import DataTable
from edgekit.project.train import TrainTable
from edgekit.store import write_text
from edgekit.types import Progress

CLASS_NAMES = "labels.txt"


@dataclass(frozen=True)
class SplitOptions:
    """Shares of the parts by name, the seed, where paths count from, and where parts are written:
    a folder that is there is replaced with ``force`` alone.
    """

    shares: Mapping[str, float]
    into: Path
    root: Path
    seed: int = 0
    force: bool = False


def split_data(
    table: DataTable, train: TrainTable, options: SplitOptions, progress: Progress
) -> Mapping[str, int]:
    """Write the parts of the training data; how many items each has, by name.

    They are divided as :func:`edgekit.data.division.divide` does, by ``[data] group`` where there
    is one. Raises :class:`EdgekitError`.
    """
    into = options.into
    if into.exists():
        _refuse(into, {*options.shares, REST, CLASS_NAMES}, options.force)
    with opened(table, train, options.root, progress, "split") as (dataset, _):
        parts = divide(dataset, options.shares, options.seed, table.group)
        # Nothing half-written is left under the name.
        folder = Path(tempfile.mkdtemp(prefix=f".{into.name}-", dir=into.absolute().parent))
        try:
            for name, index in parts.items():
                _write(dataset, index, folder / name, table.group)
            if dataset.class_names:
                write_text(folder / CLASS_NAMES, "\n".join(dataset.class_names) + "\n")
            if into.exists():
                shutil.rmtree(into)
            folder.chmod(0o755)
            folder.replace(into)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return {name: len(index) for name, index in parts.items()}


def _refuse(into: Path, ours: set[str], force: bool) -> None:
    """Refuse to replace a folder without ``force``, or one with anything but such parts."""
    if not force:
        raise ProjectError("EK-OUTPUT-001", f"{into} is there already", "use --force")
    foreign = sorted({path.name for path in into.iterdir()} - ours)
    if foreign:
        message = f"{into} holds {foreign[0]}, which is not part of a split"
        raise ProjectError("EK-OUTPUT-001", message, "name another folder")


def _write(dataset: Dataset, index: Index, folder: Path, group: str | None) -> None:
    """Write the chosen items as ``.npy`` files; file names of pictures only where they group."""
    folder.mkdir()
    beside = {n: p for n, p in (dataset.beside or {}).items() if n != NAMES or n == group}
    labels = {LABELS: dataset.labels} if dataset.labels is not None else {}
    for name, path in {**dataset.arrays, **labels, **beside}.items():
        rows = np.load(path, mmap_mode="r")
        writer = ArrayWriter(folder / f"{name}.npy", dataset.source, name)
        step = max(1, CHUNK // max(1, rows[:1].nbytes))
        for at in range(0, len(index), step):
            writer.extend(rows[index[at : at + step]])
        writer.close()
