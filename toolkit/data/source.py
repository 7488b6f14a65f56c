"""Open what the user calls data: a file, a folder, or a function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit import nearby
from edgekit.data import images
from edgekit.data.arrangement import arrange
from edgekit.data.dataset import Dataset, check_file
from edgekit.data.formats import (
    FORMATS,
    Format,
    function,
    image_folder,
    picture,
    prepared,
    records,
)
from edgekit.data.reading import Reading
from edgekit.errors import DataError
from edgekit.store import Store
from edgekit.types import DataTypes, Preprocess, TensorSpec
from edgekit.usercode import is_prepared, is_reference

NO_TYPES = DataTypes()


def open_source(
    source: str,
    root: Path,
    store: Store,
    worker: Any,
    preprocess: Preprocess,
    *,
    inputs: tuple[TensorSpec, ...] = (),
    columns: tuple[str, ...] = (),
    label: str | None = None,
    class_names: tuple[str, ...] = (),
    texts: bool = False,
    seconds: float | None = None,
    types: DataTypes = NO_TYPES,
) -> tuple[Dataset, bool]:
    """Return the items of a source, below ``root``, as ``.npy`` files; whether the store had them.

    :class:`edgekit.data.reading.Reading` says what the arguments mean. Scale and offset of the
    spec are not applied: that is the runner's. Raises :class:`DataError`.
    """
    reading = Reading(
        source,
        root,
        store,
        worker,
        preprocess,
        inputs,
        columns,
        label,
        class_names,
        texts,
        seconds,
        types,
    )
    if is_prepared(source):
        dataset, cached = prepared.read(reading)
        decoded = False
    elif is_reference(source):
        dataset, cached = function.read(reading)
        decoded = False
    else:
        check_data_file(reading.path)
        kind = _format(reading.path)
        dataset, cached = kind.read(reading)
        decoded = kind.read in (image_folder.read, picture.read, records.read)
    layout = images.resolved(preprocess, inputs).model_layout
    dataset, kept = arrange(dataset, preprocess, layout, store, decoded)
    return dataset, cached and kept


def from_file(path: Path, store: Store) -> tuple[Dataset, bool]:
    """Return the dataset in a file or folder as it is, where reading it needs no TensorFlow."""
    return open_source(str(path), Path(), store, None, Preprocess())


def check_data_file(path: Path) -> None:
    """Refuse what :func:`open_source` cannot read, as far as a glance tells. Raises DataError."""
    if not path.exists() and not records.matches(path):
        raise DataError("EK-DATA-001", f"there is no data file {path}", nearby.hint(path))
    _format(path).check(path)


def is_picture_folder(path: Path) -> bool:
    """Tell whether a path is a folder that is read as pictures; any other is not refused here."""
    kind = next((kind for kind in FORMATS if kind.matches(path)), None) if path.is_dir() else None
    return kind is not None and kind.read is image_folder.read


def _format(path: Path) -> Format:
    for kind in FORMATS:
        if kind.matches(path):
            return kind
    hint = f"give {', '.join(kind.title for kind in FORMATS)}, or a function: data.py:test"
    if path.is_dir():
        message = f"{path} is a folder without .npy files, pictures and .wav files"
        raise DataError("EK-DATA-002", message, hint)
    check_file(path, "data file")
    raise DataError("EK-DATA-002", f"{path} is not a data file that edgekit reads", hint)
