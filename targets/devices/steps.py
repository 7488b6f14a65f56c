"""The steps that make something in a cache: one command at a time, one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from edgekit.errors import DeviceError
from edgekit.process import end_group, stdout_of
from edgekit.types import Progress


@contextlib.contextmanager
def turn(folder: Path, what: str, code: str, progress: Progress) -> Iterator[IO[bytes]]:
    """Wait until no other process makes or removes ``what`` in ``folder``; the lock's file.

    Raises :class:`DeviceError` with ``code`` where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("wb")
    except OSError as error:
        hint = f"{error.strerror}: name another folder with XDG_CACHE_HOME"
        raise DeviceError(code, f"{folder} cannot be written", hint) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.stage(f"waiting for another edgekit that makes {what}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def step(
    command: Sequence[str],
    log: Path,
    progress: Progress,
    lock: IO[bytes],
    environment: Mapping[str, str],
) -> tuple[int, list[str]]:
    """Run one command to its end: its status, and the lines it said, which ``log`` keeps too."""
    lines: list[str] = []
    with log.open("a") as written:
        # It inherits the lock: should this process be killed, the next one waits for its end.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            text=True,
            errors="replace",
            pass_fds=(lock.fileno(),),
        )
        said = stdout_of(process)
        try:
            for line in said:
                lines.append(line.rstrip())
                written.write(line)
                progress.update(0, 1, line.strip())
            process.wait()
        finally:
            end_group(process)
            said.close()
    return process.returncode, lines
