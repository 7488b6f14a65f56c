"""A zip archive unpacked, in a process of its own: it imports little, and so begins at once."""

from __future__ import annotations

import errno
import lzma
import shutil
import zipfile
import zlib
from pathlib import Path

from edgekit.errors import DataError, StoreError
from edgekit.isolated import note

CHUNK = 1 << 22
FULL = (errno.ENOSPC, errno.EDQUOT)
# RuntimeError: a member is encrypted, or packed in a way that zipfile does not know.
DAMAGED = (
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OSError,
)


def unzip(path: Path, shown: str, folder: Path) -> dict[str, str]:
    """Write the members of an archive to ``folder``; the file of each, by its name.

    Raises :class:`DataError` where it is damaged, and :class:`StoreError` where it claims to hold
    more than the disk has room for.
    """
    files: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            _check_room(archive, shown, folder)
            for number, member in enumerate(archive.infolist()):
                file = folder / f"{number:03d}.npy"
                note(f"{shown}: {member.filename[:200]}")
                with archive.open(member) as source, file.open("wb") as to:
                    while chunk := source.read(CHUNK):
                        to.write(chunk)
                        note(f"{shown}: {member.filename[:200]}")
                files[member.filename.removesuffix(".npy")] = file.name
    except DAMAGED as error:
        # Of a damaged archive the system is asked for places that no file has.
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        hint = f"it is truncated or damaged: {error}"
        raise DataError("EK-DATA-003", f"{shown} cannot be read as .npz", hint) from error
    return files


def _check_room(archive: zipfile.ZipFile, shown: str, folder: Path) -> None:
    """Refuse what the disk has no room for: a small archive may claim any size."""
    claimed = sum(member.file_size for member in archive.infolist())
    free = shutil.disk_usage(folder).free
    if claimed > free:
        message = f"no space left for {shown}: unpacked it takes {claimed / 1e6:,.1f} MB"
        hint = (
            f"the disk of {folder} has {free / 1e6:,.1f} MB free: free some space, or choose"
            " another disk with --output DIR"
        )
        raise StoreError("EK-STORE-001", message, hint)
