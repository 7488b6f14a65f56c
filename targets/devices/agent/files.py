"""Files from the host, by the sha256 of what they hold: checked here, resumed where they broke."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping

from .channel import PIECE
from .serving import Call, CallRefused

FILES = "files"
PART, CHECKED = ".part", ".checked"
# Seconds between two looks at a file that another connection sends.
LOOK = 0.1


def missing(call: Call, files: Mapping[str, int]) -> Mapping[str, Any]:
    """Tell which of some files, by sha256 with their lengths, are not here; and the folder they are
    in.

    What is here in part is told with its length.
    """
    folder = call.folder.path / FILES
    absent = {}
    for digest, length in files.items():
        if not _whole(folder / digest, digest, length):
            part = folder / (digest + PART)
            absent[digest] = min(part.stat().st_size, length) if part.exists() else 0
    return {"missing": absent, "folder": str(folder)}


def _whole(path: Path, digest: str, length: int) -> bool:
    """Tell whether a file is here as it was sent. One that was touched since is read again."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    seal = path.with_name(digest + CHECKED)
    with contextlib.suppress(OSError, ValueError):
        if json.loads(seal.read_text()) == _print(status):
            return True
    if status.st_size == length and _hash(path).hexdigest() == digest:
        _seal(path, digest)
        return True
    path.unlink()
    return False


def _print(status: os.stat_result) -> List[Any]:
    """Return what changes when a file does. Its time is compared with itself only.

    What was not yet on the disk when the machine lost its power is told by the boot.
    """
    return [status.st_size, status.st_mtime_ns, status.st_ino, _boot()]


def _boot() -> str:
    """Return what this start of the machine is known by; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _seal(path: Path, digest: str) -> None:
    # Without a seal the file is read again, no more.
    with contextlib.suppress(OSError):
        path.with_name(digest + CHECKED).write_text(json.dumps(_print(path.stat())))


def _hash(path: Path) -> Any:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(PIECE), b""):
            digest.update(piece)
    return digest


def receive(call: Call, files: List[List[Any]]) -> Mapping[str, Any]:
    """Take files, each a sha256, a length, and the offset that it is sent from, one after another.

    Their bytes follow as frames, and no frame holds bytes of two files.
    """
    folder = call.folder.make(FILES)
    for digest, length, offset in files:
        _receive(call, folder, digest, int(length), int(offset))
    return {}


def _receive(call: Call, folder: Path, digest: str, length: int, offset: int) -> None:
    part = folder / (digest + PART)
    with _alone(part) as file:
        # Another connection may have changed it since the offset was told.
        hashed = hashlib.sha256()
        if os.fstat(file).st_size < offset:
            raise CallRefused("part", "%s is shorter than it was" % part)
        os.ftruncate(file, offset)
        os.lseek(file, 0, os.SEEK_SET)
        while os.lseek(file, 0, os.SEEK_CUR) < offset:
            hashed.update(os.read(file, PIECE))
        try:
            _take(call, file, hashed, length - offset)
        except OSError as error:
            # What was written stays: it is resumed. A full disk gets its space back.
            os.ftruncate(file, 0)
            part.unlink()
            error.filename = str(part)
            raise
        if hashed.hexdigest() != digest:
            part.unlink()
            raise CallRefused("damaged", "%s came with another content" % digest)
        path = folder / digest
        part.replace(path)
        _seal(path, digest)


def _take(call: Call, file: int, hashed: Any, left: int) -> None:
    while left:
        frame = call.receive()
        if frame is None:
            raise CallRefused("cancelled", "the host has taken it back")
        payload = frame[1]
        hashed.update(payload)
        view = memoryview(payload)
        while view:
            view = view[os.write(file, view) :]
        left -= len(payload)


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[int]:
    """Yield a file opened to be written, once no other connection writes to it."""
    while True:
        file = os.open(str(part), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            time.sleep(LOOK)
            continue
        try:
            # The other has renamed it, or removed it, in the meantime.
            if part.exists() and part.stat().st_ino == os.fstat(file).st_ino:
                yield file
                return
        finally:
            os.close(file)


def arrange(call: Call, name: str, entries: Mapping[str, str]) -> Mapping[str, Any]:
    """Return a folder of pushed files under their own names, by sha256; made whole or not at
    all.
    """
    stored, wanted = call.folder.path / FILES, call.folder.path / name
    if not all((wanted / entry).is_file() for entry in entries):
        made = call.folder.make(name + ".%d%s" % (os.getpid(), PART))
        try:
            for entry, digest in entries.items():
                link(stored / digest, made / entry)
            shutil.rmtree(str(wanted), ignore_errors=True)
            made.rename(wanted)
        finally:
            shutil.rmtree(str(made), ignore_errors=True)
    return {"folder": str(wanted)}


def link(source: Path, target: Path) -> None:
    """Put the same file under another name; a copy where the file system has no links."""
    try:
        os.link(str(source), str(target))
    except FileExistsError:
        return
    except OSError:
        shutil.copyfile(str(source), str(target))


def discard(call: Call, files: List[str]) -> Mapping[str, Any]:
    """Delete files, by sha256, that are of no more use here."""
    for digest in files:
        for ending in ("", CHECKED):
            with contextlib.suppress(FileNotFoundError):
                (call.folder.path / FILES / (digest + ending)).unlink()
    return {}


METHODS: Dict[str, Any] = {
    "missing": missing,
    "receive": receive,
    "arrange": arrange,
    "discard": discard,
}
