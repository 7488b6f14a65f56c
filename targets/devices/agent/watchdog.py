"""What runs here for the host: process groups, what they hold, and how they are ended.

Source: proc(5) on ``/proc/PID/stat``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import Dict, Set, Tuple

PROC = Path("/proc")


class Groups:
    """The process groups that were started; each is led by a process of its own session."""

    def __init__(self) -> None:
        self._leaders: Set[int] = set()
        self._over = False
        self._changing = threading.Lock()

    def add(self, pid: int) -> None:
        """Note that a process group was started."""
        with self._changing:
            self._leaders.add(pid)
            if self._over:
                kill(pid)

    def drop(self, pid: int) -> None:
        """End what is left of a group."""
        with self._changing:
            kill(pid)
            self._leaders.discard(pid)

    def end(self) -> None:
        """End every group, and any that is still to be added."""
        with self._changing:
            self._over = True
            for pid in self._leaders:
                kill(pid)


def kill(pid: int) -> None:
    """End a process that leads its own session, and all that it started."""
    for one in tree(pid) - {pid}:
        with contextlib.suppress(OSError):
            os.kill(one, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def tree(pid: int) -> Set[int]:
    """Return a process, its descendants, and all of its session."""
    rows = _rows()
    processes = {one for one, (_, session, _) in rows.items() if session == pid} | {pid}
    grown = True
    while grown:
        more = {one for one, (parent, _, _) in rows.items() if parent in processes} - processes
        processes |= more
        grown = bool(more)
    return processes


def within(folder: Path) -> Set[int]:
    """Return the processes that work in a folder."""
    processes, folder = set(), folder.resolve()
    for path in PROC.glob("[0-9]*"):
        # That of others' processes cannot be read.
        with contextlib.suppress(OSError):
            if folder in (path / "cwd").readlink().parents:
                processes.add(int(path.name))
    return processes


def resident(pid: int) -> int:
    """Return resident bytes of a process and all it started; 0 where the system does not tell."""
    rows = _rows()
    return sum(rows[one][2] for one in tree(pid) if one in rows)


def _rows() -> Dict[int, Tuple[int, int, int]]:
    """Return parent, session and resident bytes of every process that can be seen."""
    page = os.sysconf("SC_PAGE_SIZE")
    rows = {}
    for path in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The command in brackets may hold anything, blanks and brackets too.
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
            rows[int(path.parent.name)] = int(fields[1]), int(fields[3]), int(fields[21]) * page
    return rows
