"""An ``.npz`` archive: its arrays unpacked, never unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgekit.data.dataset import Dataset, check_file, describe
from edgekit.data.reading import Reading
from edgekit.errors import DataError
from edgekit.isolated import ParserFailure, call_confined
from edgekit.sandbox import Sandbox
from edgekit.store import sha256
from edgekit.types import Json
from edgekit.unzip import unzip


def matches(path: Path) -> bool:
    return path.suffix == ".npz"


def check(path: Path) -> None:
    check_file(path, "data file")


def read(reading: Reading) -> tuple[Dataset, bool]:
    """Return the arrays of the archive by name; ``y`` are the labels. Raises :class:`DataError`."""
    path = reading.path
    return reading.obtain({"sha256": sha256(path)}, lambda folder: _unpack(path, folder))


def _unpack(path: Path, folder: Path) -> Mapping[str, Json]:
    refusal = ParserFailure(DataError, "EK-DATA-003", str(path), ".npz")
    sandbox = Sandbox((path.absolute(),), (folder.absolute(),))
    files = call_confined(sandbox, refusal, unzip, path, str(path), folder)
    return describe(str(path), {name: folder / file for name, file in files.items()})
