"""A cassette as a file: a zip of ``cassette.json`` and the arrays that it names by digest."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import CassetteError
from edgekit.store import sha256
from edgekit.types import Json

FORMAT = 1
DOCUMENT = "cassette.json"
ARRAYS = "arrays"
# The earliest that a zip can say: the same record gives the same bytes.
STAMP = (1980, 1, 1, 0, 0, 0)
Array = npt.NDArray[Any]


class Spool:
    """Arrays that are kept in a folder until the cassette is written, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, path: Path) -> str:
        """The digest by which an ``.npy`` file is named from now on."""
        digest = sha256(path)
        if not (self._folder / digest).exists():
            shutil.copyfile(path, self._folder / digest)
        return digest

    def array(self, values: Array) -> str:
        """The digest of an array as an ``.npy`` file."""
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
        """The ``.npy`` file of a digest. Raises :class:`CassetteError` where it is damaged."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                found = archive.read(f"{ARRAYS}/{digest}.npy")
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise damaged(self.path, str(error)) from error
        if hashlib.sha256(found).hexdigest() != digest:
            raise damaged(self.path, f"{digest[:12]} is not what was recorded")
        return found

    def array(self, digest: str) -> Array:
        """The array of a digest. Raises :class:`CassetteError` where it is damaged."""
        found: Array = np.load(io.BytesIO(self.content(digest)), allow_pickle=False)
        return found


def read(path: Path) -> Cassette:
    """A cassette. Raises :class:`CassetteError` where it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            document = json.loads(archive.read(DOCUMENT))
        made = int(document["format"])
        _ = document["devices"], document["listed"], document["asked"], document["expanded"]
    except FileNotFoundError as error:
        raise CassetteError("EK-DEVICE-091", f"there is no cassette {path}") from error
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(path, str(error)) from error
    if made > FORMAT:
        hint = f"its format is {made}, this edgekit reads up to {FORMAT}: install a newer one"
        raise CassetteError("EK-DEVICE-091", f"{path} is of a newer edgekit", hint)
    return Cassette(path, document)


def damaged(path: Path, why: str) -> CassetteError:
    """The error of a file that is no whole cassette."""
    hint = f"{why}\na cassette is what --record wrote: record it again"
    return CassetteError("EK-DEVICE-091", f"{path} is no cassette, or is damaged", hint)
