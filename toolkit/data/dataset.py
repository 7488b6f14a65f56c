"""Items on disk: one ``.npy`` file per array, known to be safe to read and finite."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import nearby, npy
from edgekit.errors import DataError
from edgekit.store import Artefact, is_lfs_pointer
from edgekit.types import Json, Preprocess

LABELS = "y"
# What the items are called, where they are files of their own.
NAMES = "file"
CHUNK = 1 << 22


@dataclass(frozen=True)
class Dataset:
    """Items in ``.npy`` files: one per input by name, and the labels where there are any.

    ``source`` is what the user called it; ``digest`` changes with the content. ``beside`` are
    arrays that are neither inputs nor labels, one entry per item: numbers or strings.
    ``class_names`` are the names of integer labels where the source tells them, and ``notices``
    what the user should know of how it was read. ``pictures`` is how pictures were decoded, where
    they were: size and colours are stated, scale and offset are not its part.
    """

    source: str
    arrays: Mapping[str, Path]
    labels: Path | None
    count: int
    digest: str
    beside: Mapping[str, Path] | None = None
    class_names: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    pictures: Preprocess | None = None

    def open(self, name: str) -> npt.NDArray[Any]:
        """Return one array, memory-mapped, items first."""
        return np.load(self.arrays[name], mmap_mode="r")  # type: ignore[no-any-return]

    def open_labels(self, texts: bool = False) -> npt.NDArray[Any]:
        """Return the labels, in memory. Raises :class:`DataError` where there are none.

        Strings are refused unless ``texts`` are what the caller can take.
        """
        if self.labels is None:
            names = ", ".join(sorted(self.arrays))
            hint = (
                f"it holds {names}: add the labels as an array or column called {LABELS!r}, or as"
                " one folder of pictures per class; `edgekit compare` and `edgekit bench` need none"
            )
            raise DataError("EK-DATA-005", f"{self.source} has no labels", hint)
        labels = np.load(self.labels)
        if labels.dtype.kind == "U" and not texts:
            raise object_error(self.source, LABELS, str(labels.dtype))
        return labels  # type: ignore[no-any-return]

    def columns(self, names: Sequence[str]) -> Mapping[str, npt.NDArray[Any]]:
        """Return arrays ``[N]`` by name, in memory: numbers or strings; ``y`` are the labels.

        Labels with class names are given as these names. Raises :class:`DataError` where there is
        no such array, or where it has more than one value per item.
        """
        values = {}
        for name in names:
            column = self._column(name)
            column = column.reshape(len(column), -1)
            if column.shape[1] != 1:
                message = f"{self.source}: {name!r} has {column.shape[1]} values per item"
                raise DataError("EK-DATA-016", message, "a column has one value per item")
            values[name] = column[:, 0]
        return values

    def called(self, class_names: tuple[str, ...]) -> Dataset:
        """Return the same items with names of their classes, where they have none and their labels
        are numbers of these.
        """
        if not class_names or self.class_names or self.labels is None:
            return self
        labels = np.load(self.labels, mmap_mode="r")
        numbers = labels.dtype.kind in "iub" and labels.size == len(labels) > 0
        if not numbers or labels.min() < 0 or labels.max() >= len(class_names):
            return self
        return replace(self, class_names=class_names)

    def names(self) -> npt.NDArray[Any] | None:
        """Return the items' file names, where each is a file of its own."""
        return None if NAMES not in (self.beside or {}) else self._column(NAMES)

    def _column(self, name: str) -> npt.NDArray[Any]:
        files = {**self.arrays, **(self.beside or {})}
        if name == LABELS and self.labels is not None:
            labels = self.open_labels(texts=True)
            return np.asarray(self.class_names)[labels] if self.class_names else labels
        if name not in files:
            names = ", ".join(sorted(files)) or "no other arrays"
            hint = f"it holds {names}: slices and groups are arrays or columns beside the inputs"
            raise DataError("EK-DATA-016", f"{self.source} has no column {name!r}", hint)
        return np.load(files[name])  # type: ignore[no-any-return]


def dataset_of(source: str, artefact: Artefact, columns: Sequence[str] = ()) -> Dataset:
    """Return the dataset that an artefact of :func:`describe` holds; arrays in ``columns`` are
    beside.
    """
    facts: Any = artefact.facts
    paths = {name: artefact.path / entry["file"] for name, entry in facts["arrays"].items()}
    return dataset_from(source, paths, facts, artefact.digest, columns)


def dataset_from(
    source: str, paths: Mapping[str, Path], facts: Any, digest: str, columns: Sequence[str]
) -> Dataset:
    """Return a dataset of the arrays in ``paths``, from what :func:`describe` said of them."""
    arrays = dict(paths)
    labels = arrays.pop(LABELS, None)
    beside = {
        name: arrays.pop(name) for name in [*facts.get("beside", []), *columns] if name in arrays
    }
    count = next(iter(facts["arrays"].values()))["count"]
    names = tuple(facts.get("class_names", []))
    notices = tuple(facts.get("notices", []))
    decoded = facts.get("pictures")
    pictures = Preprocess(**{**decoded, "resize": tuple(decoded["resize"])}) if decoded else None
    return Dataset(source, arrays, labels, count, digest, beside, names, notices, pictures)


def describe(source: str, files: Mapping[str, Path]) -> Mapping[str, Json]:
    """Check arrays in files; facts of them for the store: each one's file and number of items.

    Raises :class:`DataError` where an array is damaged, of objects or not finite, or where they
    differ in length.
    """
    arrays: dict[str, Any] = {
        name: {"file": path.name, "count": check_array(source, name, path)}
        for name, path in files.items()
    }
    if not arrays:
        raise DataError("EK-DATA-003", f"{source} holds no arrays")
    counts = {name: entry["count"] for name, entry in arrays.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name!r} has {count}" for name, count in counts.items())
        hint = "every array needs one entry per item"
        raise DataError("EK-DATA-007", f"{source}: arrays differ in length: {listed}", hint)
    return {"arrays": arrays}


def check_array(source: str, name: str, path: Path) -> int:
    """Check that an array file is safe and finite; return its number of items."""
    try:
        array = npy.opened(path)
    except ValueError as error:
        if "Python objects" in str(error):
            raise object_error(source, name, "object") from error
        hint = f"truncated, or no array: {error}"
        raise DataError("EK-DATA-003", f"{source}: {name!r} cannot be read", hint) from error
    refuse_objects(source, name, array.dtype)
    if array.ndim == 0 or len(array) == 0:
        raise DataError("EK-DATA-003", f"{source}: array {name!r} has no items")
    if array.dtype.kind == "f":
        step = max(1, CHUNK // max(1, array[0].nbytes))
        for at in range(0, len(array), step):
            bad = ~np.isfinite(array[at : at + step])
            if bad.any():
                item = at + int(np.argwhere(bad)[0][0])
                hint = "the first is in item " + str(item) + ": remove or repair such items"
                raise DataError(
                    "EK-DATA-008", f"{source}: array {name!r} has NaN or infinite values", hint
                )
    return len(array)


def refuse_objects(source: str, name: str, dtype: np.dtype[Any]) -> None:
    """Refuse all but numbers and strings. Raises :class:`DataError`."""
    if dtype.kind not in "iufbU":
        raise object_error(source, name, str(dtype))


def object_error(source: str, name: str, dtype: str) -> DataError:
    """Return the error for an array that holds no numbers."""
    hint = "edgekit never unpickles data: save it as a numeric array"
    return DataError("EK-DATA-009", f"{source}: array {name!r} is of dtype {dtype}", hint)


def check_file(path: Path, kind: str) -> None:
    """Refuse a file that is missing, empty, a folder or a Git LFS pointer.

    Raises :class:`DataError`.
    """
    if not path.exists():
        raise DataError("EK-DATA-001", f"there is no {kind} {path}", nearby.hint(path))
    if path.is_dir():
        raise DataError("EK-DATA-002", f"{path} is a folder, not a {kind}")
    check_regular(path)
    if path.stat().st_size == 0:
        raise DataError("EK-DATA-003", f"{path} is empty (0 bytes)")
    if not os.access(path, os.R_OK):
        raise DataError("EK-DATA-003", f"{path} cannot be read: permission denied")
    if is_lfs_pointer(path):
        hint = "the content was never fetched: run `git lfs pull`"
        raise DataError("EK-DATA-003", f"{path} is a Git LFS pointer, not the {kind}", hint)


def check_regular(path: Path) -> None:
    """Refuse a pipe, a socket or a device, which may never end. Raises :class:`DataError`."""
    if path.exists() and not path.is_file():
        hint = "it is a pipe, a socket or a device: write what it gives to a file"
        raise DataError("EK-DATA-003", f"{path} is not a regular file", hint)
