"""One host at a time: a lock on this machine that the kernel frees with the process that holds it.

Ages are by the machine's uptime: its clock may be wrong by years. Source: flock(2), proc(5).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Dict, Mapping

from .serving import Call

# Seconds between two looks at a lock that another has, and until its own end is forced.
LOOK, FORCE = 0.25, 2.0


def take(call: Call, owner: str, key: str) -> Mapping[str, Any]:
    """Hold the lock until this process ends; events tell whose it is before.

    ``key`` is the host process's own: what an earlier connection of it still holds here, of which
    it has lost sight, is ended.
    """
    if call.server.lock is not None:
        return {"waited": 0.0}
    begin = time.monotonic()
    file = os.open(str(call.folder.make() / "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    told = 0.0
    while not _locked(file):
        holder, now = read(file), time.monotonic()
        if holder.get("key") == key:
            _end(int(holder["pid"]), force=now - begin > FORCE)
        elif now - told > 1.0:
            told = now
            since = uptime() - float(holder.get("since", uptime()))
            call.event({"owner": str(holder.get("owner", "another edgekit")), "seconds": since})
        if call.cancelled.wait(LOOK):
            os.close(file)
            return {"waited": now - begin}
    content = {"owner": owner, "key": key, "pid": os.getpid(), "since": uptime()}
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(content).encode(), 0)
    call.server.lock = file
    call.folder.sweep()
    return {"waited": time.monotonic() - begin}


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read(file: int) -> Dict[str, Any]:
    """Return what the holder of a lock says of itself; empty where it has not said it yet."""
    try:
        content: Dict[str, Any] = json.loads(os.pread(file, 4096, 0))
    except (OSError, ValueError):
        return {}
    return content


def _end(pid: int, force: bool) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL if force else signal.SIGTERM)


def uptime() -> float:
    """Return seconds since this machine was started, or of another clock that goes forward only."""
    try:
        return float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError):
        return time.monotonic()


METHODS = {"take": take}
