"""Wheels unpacked without pip: every file checked against the wheel's own record.

Source: PyPA specification "Binary distribution format" (wheels, ``RECORD``, ``.data``).
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import lzma
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Dict, Mapping, Optional, Tuple

from .serving import CallRefused

HASHES = ("sha256", "sha384", "sha512")
# Signatures of the record: the specification leaves them out of it.
UNRECORDED = ("RECORD", "RECORD.jws", "RECORD.p7s")
# Folders of NAME-VERSION.data whose files are packages; programs and headers do not run models.
PACKAGES = ("purelib", "platlib")
CHUNK = 1 << 20
# ValueError: sizes or places that lie outside the file.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)
PROGRAM = 0o755


class BadWheel(CallRefused):
    """A wheel is damaged, unsafe, or not one; the text says which, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__("wheel", reason)


def unpack(wheels: Mapping[str, Path], site: Path) -> None:
    """Unpack wheels, by the names of their files, into the folder ``site``, as its packages.

    Raises :class:`BadWheel`, and ``OSError`` where the disk does not take them.
    """
    for name, path in wheels.items():
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, site)
        except BadWheel as reason:
            raise BadWheel("%s: %s" % (name, reason)) from reason
        except DAMAGED as error:
            raise BadWheel("%s is damaged: %s" % (name, error)) from error


def unpacked_bytes(wheels: Mapping[str, Path]) -> int:
    """Return what wheels will take on the disk. Raises :class:`BadWheel`."""
    total = 0
    for name, path in wheels.items():
        try:
            with zipfile.ZipFile(path) as archive:
                total += sum(info.file_size for info in archive.infolist())
        except DAMAGED as error:
            raise BadWheel("%s is damaged: %s" % (name, error)) from error
    return total


def _unpack(archive: zipfile.ZipFile, site: Path) -> None:
    record = _record(archive)
    for info in archive.infolist():
        _refuse_unsafe(info)
        if info.is_dir():
            continue
        expected = _expected(record, info.filename)
        place = _place(info.filename)
        if place is None:
            continue
        target = site.joinpath(*place.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(archive, info, target, expected)


def _record(archive: zipfile.ZipFile) -> Dict[str, str]:
    """Return the hash of every file, by its path."""
    names = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
    if len(names) != 1 or names[0].count("/") != 1:
        raise BadWheel("it has no RECORD, or more than one")
    rows = csv.reader(io.StringIO(archive.read(names[0]).decode("utf-8", errors="replace")))
    return {row[0]: row[1] for row in rows if len(row) >= 2}


def _refuse_unsafe(info: zipfile.ZipInfo) -> None:
    name = info.filename
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in name.split("/"):
        raise BadWheel(f"it would write outside its folder: {name!r}")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadWheel(f"{name!r} is neither a file nor a folder")


def _expected(record: Dict[str, str], name: str) -> Optional[Tuple[str, str]]:
    """Return the hash that a file must have: the algorithm, and what it gives. None for the
    record.
    """
    path = PurePosixPath(name)
    if path.name in UNRECORDED and path.parent.name.endswith(".dist-info"):
        return None
    algorithm, _, digest = record.get(name, "").partition("=")
    if not digest:
        raise BadWheel(f"its RECORD does not vouch for {name!r}")
    if algorithm not in HASHES:
        raise BadWheel(f"its RECORD vouches for {name!r} by {algorithm}, which is not trusted")
    return algorithm, digest


def _place(name: str) -> Optional[PurePosixPath]:
    """Tell where a file goes among the packages; None for what is not part of them."""
    parts = PurePosixPath(name).parts
    if not parts[0].endswith(".data"):
        return PurePosixPath(*parts)
    if len(parts) > 2 and parts[1] in PACKAGES:
        return PurePosixPath(*parts[2:])
    return None


def _write(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    target: Path,
    expected: Optional[Tuple[str, str]],
) -> None:
    hashed = hashlib.new(expected[0] if expected else HASHES[0])
    with archive.open(info) as source, target.open("wb") as written:
        for chunk in iter(lambda: source.read(CHUNK), b""):
            hashed.update(chunk)
            written.write(chunk)
    digest = base64.urlsafe_b64encode(hashed.digest()).rstrip(b"=").decode()
    if expected and digest != expected[1].rstrip("="):
        raise BadWheel(f"{info.filename!r} is not what its RECORD says")
    if (info.external_attr >> 16) & 0o111:
        target.chmod(PROGRAM)
