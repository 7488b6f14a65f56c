"""A bundle's archive read as one of another hand: nothing unsafe, nothing without end."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from edgekit import nearby
from edgekit.errors import BundleError, NoBundleError

MOST_FILES = 10_000
MOST_BYTES = 4 << 30
# What an archive may unpack to in any case, and beyond that by how much it may grow. Models and
# pictures shrink to a half or a tenth; what shrinks a thousandfold is made to fill a disk.
FREE_BYTES = 64 << 20
MOST_GROWTH = 100
CHUNK = 1 << 20


def read_archive(path: Path) -> dict[str, bytes]:
    """Return regular files by their path below the bundle's one root folder.

    Raises :class:`BundleError` for what is not an archive, or holds what a bundle does not, and
    :class:`NoBundleError` where there is no such file.
    """
    if not path.is_file():
        raise NoBundleError("EK-BUNDLE-001", f"there is no bundle {path}", nearby.hint(path))
    files: dict[str, bytes] = {}
    roots: set[str] = set()
    try:
        _check_growth(path)
        with gzip.open(path) as zipped, tarfile.open(fileobj=zipped, mode="r:") as archive:
            for member in archive:
                parts = PurePosixPath(member.name).parts
                # Sparse files count as regular ones, and are of any size.
                regular = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
                if not regular or member.name.startswith("/") or ".." in parts:
                    raise unsafe(path, member.name)
                name = "/".join(parts[1:])
                roots.update(parts[:1])
                if not name or name in files or len(roots) > 1 or len(files) > MOST_FILES:
                    raise unsafe(path, member.name)
                content = archive.extractfile(member)
                files[name] = content.read() if content else b""
            # tarfile stops at what it takes for the end, and never sees the checksum after it.
            zipped.seek(archive.offset)
            for rest in iter(lambda: zipped.read(CHUNK), b""):
                if any(rest):
                    raise tarfile.TarError("something follows its last file")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        hint = f"it is truncated or damaged: {error}"
        raise BundleError("EK-BUNDLE-002", f"{path} cannot be read as a bundle", hint) from error
    return files


def unsafe(path: Path, member: str) -> BundleError:
    """Return the error for an entry that no bundle has."""
    hint = "a bundle holds regular files, each once, below one folder: do not unpack this one"
    return BundleError("EK-BUNDLE-003", f"{path} holds the unsafe entry {member!r}", hint)


def _check_growth(path: Path) -> None:
    """Refuse an archive that unpacks to far more than a model does, before anything is kept."""
    most = min(MOST_BYTES, max(FREE_BYTES, MOST_GROWTH * path.stat().st_size))
    total = 0
    with gzip.open(path) as zipped:
        for chunk in iter(lambda: zipped.read(CHUNK), b""):
            total += len(chunk)
            if total > most:
                message = f"{path} unpacks to more than {most:,} bytes"
                hint = f"that is over {MOST_GROWTH} times its own size: do not unpack this one"
                raise BundleError("EK-BUNDLE-008", message, hint)
