"""An ``.npz`` archive: its arrays unpacked, never unpickled."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from edgekit.data.dataset import CHUNK, Dataset, check_file, describe
from edgekit.data.reading import Reading
from edgekit.errors import DataError
from edgekit.store import sha256
from edgekit.types import Json


def matches(path: Path) -> bool:
    return path.suffix == ".npz"


def check(path: Path) -> None:
    check_file(path, "data file")


def read(reading: Reading) -> tuple[Dataset, bool]:
    """The arrays of the archive by name; ``y`` are the labels. Raises :class:`DataError`."""
    path = reading.path
    return reading.kept({"sha256": sha256(path)}, lambda folder: _unpack(path, folder))


def _unpack(path: Path, folder: Path) -> Mapping[str, Json]:
    files = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for number, member in enumerate(archive.infolist()):
                file = files[member.filename.removesuffix(".npy")] = folder / f"{number:03d}.npy"
                with archive.open(member) as source, file.open("wb") as to:
                    shutil.copyfileobj(source, to, CHUNK)
    # RuntimeError: a member is encrypted, or packed in a way that zipfile does not know.
    except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError) as error:
        hint = f"it is truncated or damaged: {error}"
        raise DataError("EK-DATA-003", f"{path} cannot be read as .npz", hint) from error
    return describe(str(path), files)
