"""Arrays in files: ``.npz`` and ``.npy`` unpacked without unpickling, and what callables return."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError
from edgekit.store import Artefact, Store, is_lfs_pointer, sha256
from edgekit.usercode import fingerprint, resolve, user_errors

LABELS = "y"
CHUNK = 1 << 22


@dataclass(frozen=True)
class Dataset:
    """Items in ``.npy`` files: one per input by name, and the labels where there are any.

    ``source`` is what the user called it; ``digest`` changes with the content.
    """

    source: str
    arrays: Mapping[str, Path]
    labels: Path | None
    count: int
    digest: str

    def open(self, name: str) -> npt.NDArray[Any]:
        """One array, memory-mapped, items first."""
        return np.load(self.arrays[name], mmap_mode="r")  # type: ignore[no-any-return]

    def open_labels(self) -> npt.NDArray[Any]:
        """The labels, in memory. Raises :class:`DataError` where there are none."""
        if self.labels is None:
            names = ", ".join(sorted(self.arrays))
            hint = f"it holds {names}: add the labels as an array called {LABELS!r}"
            raise DataError("EK-DATA-005", f"{self.source} has no labels", hint)
        return np.load(self.labels)  # type: ignore[no-any-return]


def from_file(path: Path, store: Store) -> tuple[Dataset, bool]:
    """The dataset in an ``.npz`` or ``.npy`` file, unpacked once; whether the store had it.

    Raises :class:`DataError` where the file is missing, damaged, no array file, of strings or
    objects, not finite, or where its arrays differ in length.
    """
    check_data_file(path)
    key = {"sha256": sha256(path)}
    artefact = store.obtain("data", key, lambda folder: _unpack(path, folder))
    return _dataset(str(path), artefact), artefact.cached


def from_callable(source: str, root: Path, store: Store, worker: Any) -> tuple[Dataset, bool]:
    """The dataset that a function of the user returns, kept as files; whether the store had it.

    The function is called in the worker, without arguments, and returns ``(x, y)`` (``x`` an array
    or a dict of arrays by input name) or a ``tf.data.Dataset`` of such pairs.
    """
    key = {"source": source, "files": dict(fingerprint(source, root))}
    artefact = store.obtain(
        "data", key, lambda folder: worker.call(materialize, source, root, folder)
    )
    return _dataset(source, artefact), artefact.cached


def materialize(source: str, root: Path, folder: Path) -> Mapping[str, Any]:
    """Call the user's data function and keep what it returns as ``.npy`` files (in the worker)."""
    function = resolve(source, root)
    with user_errors(source):
        returned = function()
        if hasattr(returned, "element_spec"):
            returned = _collect(returned)
    if not isinstance(returned, tuple) or len(returned) != 2:
        hint = "return (x, y), or a tf.data.Dataset of such pairs"
        raise DataError("EK-DATA-006", f"{source} returned {type(returned).__name__}", hint)
    x, y = returned
    arrays = dict(x) if isinstance(x, Mapping) else {"x": x}
    for name, array in {**arrays, LABELS: y}.items():
        array = np.asarray(array)
        _refuse_objects(source, name, array)
        np.save(folder / f"{len(list(folder.iterdir())):03d}.npy", array)
    return _describe(source, [*arrays, LABELS], folder)


def read_labels(labels: tuple[str, ...] | str | None, root: Path) -> tuple[str, ...]:
    """Class names: as given, or one per line of a file. Raises :class:`DataError`."""
    if labels is None or isinstance(labels, tuple):
        return labels or ()
    path = root / labels
    check_file(path, "labels file")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        hint = f"one class name per line, in UTF-8: {error}"
        raise DataError("EK-DATA-003", f"{path} cannot be read as text", hint) from error
    return tuple(line.strip() for line in lines if line)


def check_data_file(path: Path) -> None:
    """Refuse what :func:`from_file` cannot read, as far as a glance tells. Raises DataError."""
    check_file(path, "data file")
    if path.suffix not in (".npz", ".npy"):
        hint = "give an .npz with arrays x and y, or a function: data.py:test"
        raise DataError("EK-DATA-002", f"{path} is not a data file that edgekit reads", hint)


def check_file(path: Path, what: str) -> None:
    """Refuse a file that is missing, empty, a folder or a Git LFS pointer.

    Raises :class:`DataError`.
    """
    if not path.exists():
        raise DataError("EK-DATA-001", f"there is no {what} {path}")
    if path.is_dir():
        raise DataError("EK-DATA-002", f"{path} is a folder, not a {what}")
    if path.stat().st_size == 0:
        raise DataError("EK-DATA-003", f"{path} is empty (0 bytes)")
    if not os.access(path, os.R_OK):
        raise DataError("EK-DATA-003", f"{path} cannot be read: permission denied")
    if is_lfs_pointer(path):
        hint = "the content was never fetched: run `git lfs pull`"
        raise DataError("EK-DATA-003", f"{path} is a Git LFS pointer, not the {what}", hint)


def _unpack(path: Path, folder: Path) -> Mapping[str, Any]:
    if path.suffix == ".npy":
        shutil.copyfile(path, folder / "000.npy")
        return _describe(str(path), ["x"], folder)
    names = []
    try:
        with zipfile.ZipFile(path) as archive:
            for number, member in enumerate(archive.infolist()):
                names.append(member.filename.removesuffix(".npy"))
                with (
                    archive.open(member) as source,
                    (folder / f"{number:03d}.npy").open("wb") as to,
                ):
                    shutil.copyfileobj(source, to, CHUNK)
    # RuntimeError: a member is encrypted, or packed in a way that zipfile does not know.
    except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError) as error:
        hint = f"it is truncated or damaged: {error}"
        raise DataError("EK-DATA-003", f"{path} cannot be read as .npz", hint) from error
    return _describe(str(path), names, folder)


def _describe(source: str, names: list[str], folder: Path) -> Mapping[str, Any]:
    arrays = {}
    for number, name in enumerate(names):
        file = f"{number:03d}.npy"
        arrays[name] = {"file": file, "count": _check_array(source, name, folder / file)}
    if not arrays:
        raise DataError("EK-DATA-003", f"{source} holds no arrays")
    counts = {name: entry["count"] for name, entry in arrays.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name!r} has {count}" for name, count in counts.items())
        hint = "every array needs one entry per item"
        raise DataError("EK-DATA-007", f"{source}: arrays differ in length: {listed}", hint)
    return {"arrays": arrays}


def _check_array(source: str, name: str, path: Path) -> int:
    """How many items an array file holds, once it is known to be safe and finite."""
    # Not np.load, which also takes archives and pickles for arrays.
    open_array: Any = np.lib.format.open_memmap
    try:
        array = open_array(path, mode="r")
    except (ValueError, EOFError, OSError) as error:
        if "Python objects" in str(error):
            raise _object_error(source, name, "object") from error
        hint = f"truncated, or no array: {error}"
        raise DataError("EK-DATA-003", f"{source}: {name!r} cannot be read", hint) from error
    _refuse_objects(source, name, array)
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


def _refuse_objects(source: str, name: str, array: npt.NDArray[Any]) -> None:
    if array.dtype.kind not in "iufb":
        raise _object_error(source, name, str(array.dtype))


def _object_error(source: str, name: str, dtype: str) -> DataError:
    hint = "edgekit never unpickles data: save it as a numeric array"
    return DataError("EK-DATA-009", f"{source}: array {name!r} is of dtype {dtype}", hint)


def _collect(dataset: Any) -> tuple[Any, Any]:
    """A ``tf.data.Dataset`` as arrays; labels of rank 0 mean single items, others mean batches."""
    pairs = list(dataset.as_numpy_iterator())
    join = np.stack if np.ndim(pairs[0][1]) == 0 else np.concatenate
    y = join([pair[1] for pair in pairs])
    if isinstance(pairs[0][0], Mapping):
        return {name: join([pair[0][name] for pair in pairs]) for name in pairs[0][0]}, y
    return join([pair[0] for pair in pairs]), y


def _dataset(source: str, artefact: Artefact) -> Dataset:
    entries = artefact.facts["arrays"]
    paths = {name: artefact.path / entry["file"] for name, entry in entries.items()}
    labels = paths.pop(LABELS, None)
    count = next(iter(entries.values()))["count"]
    return Dataset(source, paths, labels, count, artefact.digest)
