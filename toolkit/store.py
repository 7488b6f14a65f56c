"""Content-addressed artefacts: same inputs, same bytes, no work.

``<root>/<stage>/<key>/`` holds an artefact's files and ``facts.json``. An artefact is made in a
temporary folder and renamed into place, so that it is there whole or not at all, whatever kills
the process and however many processes share the store. An artefact is read against the digests
that were kept of it: a damaged one is made anew, with a warning.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit import scratch
from edgekit.errors import EdgekitError, StoreError
from edgekit.types import Json

FACTS = "facts.json"
LOG = logging.getLogger("edgekit")
# Nanoseconds after which no second change can carry the time of the first.
SETTLED_NS = 100_000_000
_seen: dict[tuple[int, ...], str] = {}
LFS_MARK = b"version https://git-lfs"
PART = re.compile(r"\.(.+)\.[0-9a-f]{8}\.part")


# What the system says where a file, a loop or a right is in the way of a folder of ours.
REFUSALS = (
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ELOOP,
    errno.ENAMETOOLONG,
)


class _DamagedError(OSError):
    """A file of an artefact is not what was made."""


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
        """Return the artefact of ``key``, made by ``make(folder)`` where it is not there yet.

        ``make`` fills the folder and returns facts that JSON can carry. ``key`` must name
        everything the result depends on.
        """
        with writing(self.root):
            if artefact := self.find(stage, key):
                return artefact
            with self._alone(stage, key):
                return self._whole(stage, key) or self._make(stage, key, make)

    def _whole(self, stage: str, key: Mapping[str, Json]) -> Artefact | None:
        """Find as :meth:`find` does, and remove a damaged artefact: the caller holds the lock."""
        artefact, damage = self._read(stage, key)
        if damage:
            folder = self._folder(stage, key)
            _remove(folder)
            LOG.warning("warning EK-STORE-004: %s is damaged (%s): made anew", folder, damage)
        return artefact

    def _make(
        self,
        stage: str,
        key: Mapping[str, Json],
        make: Callable[[Path], Mapping[str, Json]],
    ) -> Artefact:
        final = self._folder(stage, key)
        with scratch.held(self.temporary) as temporary:
            record = _record(stage, key, dict(make(temporary)), _listing(temporary))
            write_text(temporary / FACTS, json.dumps(record, indent=1))
            final.parent.mkdir(parents=True, exist_ok=True)
            ours = _rename(temporary, final)
        made = Artefact(final, record["digest"], record["facts"], False)
        artefact = made if ours else self.find(stage, key)
        if artefact is None:
            raise StoreError("EK-STORE-003", f"{final} was changed while it was written")
        shutil.rmtree(self.partial(stage, key), ignore_errors=True)
        return replace(artefact, cached=False)

    def find(self, stage: str, key: Mapping[str, Json]) -> Artefact | None:
        """Return the artefact of ``key`` if it is there and intact, byte for byte."""
        return self._read(stage, key)[0]

    def _read(self, stage: str, key: Mapping[str, Json]) -> tuple[Artefact | None, str]:
        """Return the artefact of ``key``, or what is wrong with it where it is there."""
        folder = self._folder(stage, key)
        if not os.path.lexists(folder):
            return None, ""
        try:
            record = json.loads((folder / FACTS).read_bytes())
            sealed = _record(stage, key, record["facts"], record["files"])
            rest = {name: value for name, value in record.items() if name != "seal"}
            if not record["seal"] == sealed["seal"] == digest_of(rest):
                raise ValueError
            for name, entry in sealed["files"].items():
                _check(folder, name, entry)
            return Artefact(folder, sealed["digest"], sealed["facts"], cached=True), ""
        except _DamagedError as error:
            return None, str(error)
        except OSError as error:
            return None, error.strerror or str(error)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None, f"{FACTS} was changed"

    def partial(self, stage: str, key: Mapping[str, Json]) -> Path:
        """Return the folder of unfinished work on ``key``, which a later run resumes."""
        return self.unfinished / f"{stage}-{_key_digest(stage, key)}"

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

    def sweep(self) -> None:
        """Remove what killed processes left half made."""
        scratch.sweep(self.temporary)

    @property
    def temporary(self) -> Path:
        """Where artefacts are made, before they have their place."""
        return self.root / "tmp"

    @property
    def unfinished(self) -> Path:
        """Where unfinished work is kept, which a later run resumes."""
        return self.root / "partial"


def _key_digest(stage: str, key: Mapping[str, Json]) -> str:
    return digest_of({"stage": stage, "key": key})[:32]


def _record(
    stage: str, key: Mapping[str, Json], facts: Json, files: Mapping[str, Json]
) -> dict[str, Any]:
    """Return what is kept of an artefact, as JSON reads it back: its seal covers all the rest."""
    content = {"stage": stage, "key": key, "facts": facts, "files": files}
    record = json.loads(json.dumps({**content, "digest": digest_of(files)}))
    return {**record, "seal": digest_of(record)}


def _check(folder: Path, name: str, entry: Mapping[str, Json]) -> None:
    """Raise :class:`_DamagedError`, which says why, where a file is not what was made."""
    path = folder / name
    if not path.is_file():
        raise _DamagedError(f"{name} is missing")
    if path.stat().st_size != entry["bytes"] or _remembered(path) != entry["sha256"]:
        raise _DamagedError(f"{name} was changed")


def _remembered(path: Path) -> str:
    """Return the SHA-256 of a file, read once for as long as the file is not touched."""
    state, now = _state(path), time.time_ns()
    if state not in _seen:
        digest = sha256(path)
        # A change within the clock's step of the last one would not be seen.
        if _state(path) != state or now - max(state[-2:]) < SETTLED_NS:
            return digest
        _seen[state] = digest
    return _seen[state]


def _state(path: Path) -> tuple[int, ...]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _remove(path: Path) -> None:
    """Remove whatever lies there. Raises :class:`StoreError` where that cannot be done."""
    if path.is_dir() and not path.is_symlink():
        _open_up(path)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    if os.path.lexists(path):
        hint = "remove it, or choose another folder with --output DIR"
        raise StoreError("EK-STORE-005", f"{path} is damaged and cannot be removed", hint)


def _open_up(folder: Path) -> None:
    """Let the folders below be listed and emptied, where their permissions do not."""
    with contextlib.suppress(OSError):
        folder.chmod(0o700)
        for entry in tuple(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                _open_up(Path(entry.path))


def _rename(source: Path, final: Path) -> bool:
    """Rename, and tell whether ours was first: another process's result is as good."""
    try:
        source.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


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
    """Hash a JSON value in canonical form: SHA-256, hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sha256(path: Path) -> str:
    """Hash a file, or a folder's files and their names: SHA-256, hex."""
    if path.is_dir():
        return digest_of(_listing(path))
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def is_lfs_pointer(path: Path) -> bool:
    """Tell whether a file is what Git LFS leaves in place of content that was not fetched."""
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
    """Yield a temporary file beside ``path`` that takes its place once it is written."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_parts(path.parent, path.name)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        with scratch.held_file(temporary):
            yield temporary
            temporary.replace(path)


def sweep_parts(folder: Path, name: str = "") -> None:
    """Remove what killed processes left half written in a folder, of one file or of all."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        parts = [(entry.path, PART.fullmatch(entry.name)) for entry in entries]
    for path, matched in parts:
        if matched and name in ("", matched[1]):
            scratch.sweep_file(Path(path))


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
        if error.errno in REFUSALS:
            hint = f"{error.strerror}: choose a folder you can write to with --output DIR"
            raise StoreError("EK-STORE-002", f"cannot write {where}", hint) from error
        raise
