"""Content-addressed artefacts: same inputs, same bytes, no work.

``<root>/<stage>/<key>/`` holds an artefact's files and ``facts.json``. An artefact is made in a
temporary folder and renamed into place, so that it is there whole or not at all, whatever kills
the process and however many processes share the store.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import EdgekitError, StoreError
from edgekit.process import alive
from edgekit.types import Json

FACTS = "facts.json"
LFS_MARK = b"version https://git-lfs"
ABANDONED_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Artefact:
    """A stored result: its folder, the digest of its files, what its maker noted, its origin."""

    path: Path
    digest: str
    facts: Mapping[str, Json]
    cached: bool


class Store:
    """Artefacts below one folder; made on first use.

    Raises :class:`StoreError` where the folder cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def obtain(
        self,
        stage: str,
        key: Mapping[str, Json],
        make: Callable[[Path], Mapping[str, Json]],
    ) -> Artefact:
        """The artefact of ``key``, made by ``make(folder)`` where it is not there yet.

        ``make`` fills the folder and returns facts that JSON can carry. ``key`` must name
        everything the result depends on.
        """
        with writing(self.root):
            found = self.find(stage, key)
            if found:
                return found
            with self._alone(stage, key):
                return self.find(stage, key) or self._make(stage, key, make)

    def _make(
        self,
        stage: str,
        key: Mapping[str, Json],
        make: Callable[[Path], Mapping[str, Json]],
    ) -> Artefact:
        self._sweep()
        temporary = self.root / "tmp" / f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        temporary.mkdir(parents=True)
        final = self._folder(stage, key)
        try:
            facts = dict(make(temporary))
            record: dict[str, Json] = {"facts": facts, "files": _listing(temporary), "key": key}
            record["digest"] = digest_of(record["files"])
            write_text(temporary / FACTS, json.dumps(record, indent=1))
            final.parent.mkdir(parents=True, exist_ok=True)
            _rename(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        made = self.find(stage, key)
        if made is None:
            raise StoreError("EK-STORE-003", f"{final} was changed while it was written")
        shutil.rmtree(self.partial(stage, key), ignore_errors=True)
        return Artefact(made.path, made.digest, made.facts, cached=False)

    def find(self, stage: str, key: Mapping[str, Json]) -> Artefact | None:
        """The artefact of ``key`` if it is there and whole; a damaged one is removed."""
        folder = self._folder(stage, key)
        try:
            record = json.loads((folder / FACTS).read_text())
            sizes = {name: entry["bytes"] for name, entry in record["files"].items()}
            if any((folder / name).stat().st_size != size for name, size in sizes.items()):
                raise ValueError(f"{folder} is damaged")
            return Artefact(folder, record["digest"], record["facts"], cached=True)
        except FileNotFoundError:
            if not folder.exists():
                return None
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def partial(self, stage: str, key: Mapping[str, Json]) -> Path:
        """Where unfinished work on ``key`` is kept for a later run to go on from."""
        return self.root / "partial" / f"{stage}-{_key_digest(stage, key)}"

    def _folder(self, stage: str, key: Mapping[str, Json]) -> Path:
        return self.root / stage / _key_digest(stage, key)

    @contextlib.contextmanager
    def _alone(self, stage: str, key: Mapping[str, Json]) -> Iterator[None]:
        """Hold the lock of a key: who comes second waits, and finds the artefact made.

        Two makers would share the key's partial folder. A process that dies lets go of its lock.
        """
        path = self.root / "locks" / f"{stage}-{_key_digest(stage, key)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as lock:
            # Not every network disk has locks.
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _sweep(self) -> None:
        """Remove what killed processes left behind."""
        for folder in (self.root / "tmp").glob("*-*"):
            owner = folder.name.split("-")[0]
            with contextlib.suppress(OSError):
                old = time.time() - folder.stat().st_mtime > ABANDONED_SECONDS
                if old or not alive(int(owner)):
                    shutil.rmtree(folder, ignore_errors=True)


def _key_digest(stage: str, key: Mapping[str, Json]) -> str:
    return digest_of({"stage": stage, "key": key})[:32]


def _rename(source: Path, final: Path) -> None:
    try:
        source.rename(final)
    except OSError as error:
        # Another process was first: its result is as good.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _listing(folder: Path) -> dict[str, Json]:
    return {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": sha256(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def digest_of(value: Json) -> str:
    """SHA-256 (hex) of a JSON value in canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file, or of a folder's files and their names."""
    if path.is_dir():
        return digest_of(_listing(path))
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file is what Git LFS leaves in place of content that was not fetched."""
    with path.open("rb") as file:
        return file.read(len(LFS_MARK)) == LFS_MARK


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, through a temporary file beside it."""
    with _replacing(path) as temporary:
        temporary.write_bytes(content)


def place(source: Path, path: Path) -> None:
    """Put a file of the store at ``path``: whole or not at all."""
    with _replacing(path) as temporary:
        shutil.copyfile(source, temporary)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place once it is written."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for abandoned in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
            if time.time() - abandoned.stat().st_mtime > ABANDONED_SECONDS:
                abandoned.unlink(missing_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals while writing into errors that say what to do."""
    try:
        yield
    except EdgekitError:
        raise
    except OSError as error:
        # A copy names both files; it is the second that is written.
        where = error.filename2 or error.filename or path
        # numpy tells a write cut short by a full disk in words alone.
        short = error.errno is None and "requested and" in str(error)
        if short or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            hint = "free some space, or choose another disk with --output DIR"
            raise StoreError("EK-STORE-001", f"no space left for {where}", hint) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR):
            hint = f"{error.strerror}: choose a folder you can write to with --output DIR"
            raise StoreError("EK-STORE-002", f"cannot write {where}", hint) from error
        raise
