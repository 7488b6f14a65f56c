"""A cassette as a file: a zip of ``cassette.json`` and the arrays that it names by digest."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import nearby, npy, unzip
from edgekit.errors import CassetteError
from edgekit.store import sha256
from edgekit.targets.devices.cassette.format import FORMAT, NewerFormat
from edgekit.types import Json

DOCUMENT = "cassette.json"
ARRAYS = "arrays"
# Outputs of some hundred thousand items; what claims more is not unpacked.
MOST_BYTES = 4 << 30
DAMAGED = (KeyError, *unzip.DAMAGED)
# The earliest that a zip can say: the same record gives the same bytes.
STAMP = (1980, 1, 1, 0, 0, 0)
Array = npt.NDArray[Any]


class Spool:
    """Arrays that are kept in a folder until the cassette is written, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, path: Path) -> str:
        """Return the digest by which an ``.npy`` file is named from now on."""
        digest = sha256(path)
        if not (self._folder / digest).exists():
            shutil.copyfile(path, self._folder / digest)
        return digest

    def array(self, values: Array) -> str:
        """Return the digest of an array as an ``.npy`` file."""
        content = io.BytesIO()
        np.save(content, values)
        digest = hashlib.sha256(content.getvalue()).hexdigest()
        (self._folder / digest).write_bytes(content.getvalue())
        return digest

    def write(self, document: Mapping[str, Json], path: Path) -> None:
        """Write the cassette: the document first, then the arrays by digest."""
        with zipfile.ZipFile(path, "w") as archive:
            text = json.dumps({"format": FORMAT, **document}, indent=1)
            archive.writestr(_entry(DOCUMENT), text)
            for file in sorted(self._folder.iterdir()):
                if file != path:
                    with (
                        file.open("rb") as content,
                        archive.open(_entry(f"{ARRAYS}/{file.name}.npy"), "w") as kept,
                    ):
                        shutil.copyfileobj(content, kept)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, STAMP)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


@dataclass(frozen=True)
class Cassette:
    """A cassette that was read."""

    path: Path
    document: Mapping[str, Json]

    def content(self, digest: str) -> bytes:
        """Return the ``.npy`` file of a digest. Raises :class:`CassetteError` where it is
        damaged.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                array = _member(archive, f"{ARRAYS}/{digest}.npy")
        except DAMAGED as error:
            raise damaged(self.path, str(error)) from error
        if hashlib.sha256(array).hexdigest() != digest:
            raise damaged(self.path, f"{digest[:12]} is not what was recorded")
        return array

    def array(self, digest: str) -> Array:
        """Return the array of a digest. Raises :class:`CassetteError` where it is damaged."""
        try:
            return npy.parsed(self.content(digest))
        except ValueError as error:
            raise damaged(self.path, f"{digest[:12]} is not an array: {error}") from error


def read(path: Path) -> Cassette:
    """Return a cassette. Raises :class:`CassetteError` where it is not one."""
    # Its form takes a library that is slow to import, and most commands read no cassette.
    from edgekit.targets.devices.cassette.schema import parse

    try:
        with zipfile.ZipFile(path) as archive:
            document = parse(_member(archive, DOCUMENT))
    except FileNotFoundError as error:
        message = f"there is no cassette {path}"
        raise CassetteError("EK-DEVICE-091", message, nearby.hint(path)) from error
    except NewerFormat as error:
        hint = f"its format is {error}, this edgekit reads up to {FORMAT}: install a newer one"
        raise CassetteError("EK-DEVICE-091", f"{path} is of a newer edgekit", hint) from error
    except DAMAGED as error:
        raise damaged(path, str(error)) from error
    return Cassette(path, document)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a member's bytes. Raises ValueError where it claims to be larger than any."""
    if archive.getinfo(name).file_size > MOST_BYTES:
        raise ValueError(f"{name} claims to be larger than {MOST_BYTES >> 20} MiB")
    return archive.read(name)


def damaged(path: Path, why: str) -> CassetteError:
    """Return the error of a file that is not a whole cassette."""
    hint = f"{why}\na cassette is what --record wrote: record it again"
    return CassetteError("EK-DEVICE-091", f"{path} is not a cassette, or is damaged", hint)
