"""Temporary folders of living processes: whoever comes next removes what dead ones left.

A folder is held by a lock on it, which the system takes from a process however it ends, and is
marked as ours, so that nothing else is ever removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = ".edgekit-scratch"
# Beside the mark, so that what is made inside holds nothing of ours.
INSIDE = "files"
# Where a disk has no locks, nothing tells a dead owner's folder but its age.
ABANDONED_SECONDS = 24 * 3600
# Others hold a folder for as long as it takes to look at it.
TRIES = 20
PAUSE_SECONDS = 0.01


@dataclass
class Claim:
    """A folder that is in use for as long as this process lives and has not let go of it."""

    folder: Path
    _descriptor: int

    def release(self) -> None:
        """Let go of the folder: from now on it is a folder like any other."""
        (self.folder / MARK).unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the lock alone."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def claim(folder: Path) -> Claim:
    """Mark a folder as in use, and hold it: what is left of it when this process dies is swept."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(TRIES):
        if _locked(descriptor) is not False:
            break
        time.sleep(PAUSE_SECONDS)
    (folder / MARK).touch()
    return Claim(folder, descriptor)


def is_held(folder: Path) -> bool:
    """Tell whether a living process has claimed a folder; True where the disk cannot tell."""
    if not (folder / MARK).is_file():
        return False
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def held(parent: Path | None = None, prefix: str = "") -> Iterator[Path]:
    """Yield a new and empty folder for as long as the context lasts, below ``parent`` or the
    system's.

    Those that dead processes left beside it are removed.
    """
    where = parent or Path(tempfile.gettempdir())
    where.mkdir(parents=True, exist_ok=True)
    sweep(where)
    # Named before it is there, and removed again where removing it was interrupted: whenever that
    # is, nothing is left.
    own, made = where / f"{prefix}{secrets.token_hex(8)}", None
    try:
        try:
            own.mkdir(mode=0o700)
            made = claim(own)
            folder = own / INSIDE
            folder.mkdir()
            yield folder
        finally:
            _remove(own)
    except BaseException:
        _remove(own)
        raise
    finally:
        if made is not None:
            made.close()


def sweep(parent: Path) -> None:
    """Remove the folders below ``parent`` that were claimed by processes that are gone."""
    with contextlib.suppress(OSError):
        for entry in tuple(os.scandir(parent)):
            if entry.is_dir(follow_symlinks=False):
                _sweep(Path(entry.path))


@contextlib.contextmanager
def held_file(path: Path) -> Iterator[None]:
    """Yield a new file at ``path`` that is ours for as long as the context lasts, then gone or
    moved.
    """
    descriptor = _new_file(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def sweep_file(path: Path) -> None:
    """Remove a file whose maker is gone."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            if _free(descriptor, os.fstat(descriptor).st_mtime):
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _new_file(path: Path) -> int:
    """Return a descriptor of a new file, held; another process may have swept it before it was."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        _locked(descriptor)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    with contextlib.suppress(OSError):
        mark = (folder / MARK).lstat()
        # Another user's folder is theirs to remove, and a link is nobody's mark.
        if mark.st_uid != os.geteuid():
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if _free(descriptor, mark.st_mtime):
                _remove(folder)
        finally:
            os.close(descriptor)


def _remove(folder: Path) -> None:
    """Remove a folder; its mark last, so that what a dying process adds is swept the next time."""
    with contextlib.suppress(OSError):
        for entry in tuple(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != MARK:
                Path(entry.path).unlink(missing_ok=True)
        if {entry.name for entry in os.scandir(folder)} <= {MARK}:
            shutil.rmtree(folder, ignore_errors=True)


def _free(descriptor: int, since: float) -> bool:
    """Tell whether nobody holds what a descriptor is of, which was made at ``since``."""
    locked = _locked(descriptor)
    return time.time() - since > ABANDONED_SECONDS if locked is None else locked


def _locked(descriptor: int) -> bool | None:
    """Tell whether the lock was had; none where the disk has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
