"""Whose turn it is on a device: who takes its lock, and how a shell takes it, by flock(1) there.

An agent takes the same lock by ``agent/lock.py``. Where there is no ``flock``, nobody waits.
Sources: flock(1) of util-linux and the help of BusyBox's and toybox's, on locking an open file
descriptor; flock(2).
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import secrets
import shlex
import socket
import time

from edgekit.targets.devices.remote.shell import Console
from edgekit.types import Json, Progress

# Seconds between two looks at a lock that another has.
LOOK = 0.5
# The descriptor stays open as long as the console's shell, and with it the lock.
TAKE = """
if command -v flock >/dev/null; then
    exec 9>>{folder}/lock
    if flock -n 9; then
        read now rest < /proc/uptime
        printf '%s, "pid": %d, "since": %s}}' {holder} $$ "${{now:-0}}" > {folder}/lock
        echo; echo held
    else
        cat {folder}/lock; echo; cat /proc/uptime
    fi
else
    echo none
fi
"""
MINE = ("held", "none")
# This process, among all that may hold a device's lock.
KEY = secrets.token_hex(16)


def holder() -> dict[str, Json]:
    """Return who this process is to others: its user, host and number, and its key."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    return {"owner": f"{user}@{socket.gethostname()} (process {os.getpid()})", "key": KEY}


def waits(progress: Progress, address: str, owner: str, seconds: float) -> None:
    """Tell whom a device is used by, while this process waits for it."""
    progress.update(0, 1, f"waiting for {owner}, who has used {address} for {seconds:.0f} s")


class Turn:
    """The lock on a device's folder, as agents take it, held as long as a console's shell lives."""

    def __init__(self, console: Console, address: str, progress: Progress) -> None:
        self._console, self._address, self._progress = console, address, progress
        # Which of the console's shells holds it.
        self._held = 0

    def take(self, folder: str) -> None:
        """Wait until no other process uses the device. Raises what a console raises."""
        if self._held and self._held == self._console.shells:
            return
        prefix = json.dumps(holder())[:-1]
        script = TAKE.format(folder=shlex.quote(folder), holder=shlex.quote(prefix))
        while True:
            said = self._console.run(script, stays=True).decode(errors="replace").splitlines()
            other = _told(said)
            # What this process itself holds there, by an agent or a lost connection, is its own.
            if not said or said[-1] in MINE or other.get("key") == KEY:
                self._held = self._console.shells
                return
            since = 0.0
            with contextlib.suppress(ValueError, IndexError, TypeError, KeyError):
                since = float(said[-1].split()[0]) - float(other["since"])
            who = str(other.get("owner", "another edgekit"))
            waits(self._progress, self._address, who, since)
            time.sleep(LOOK)


def _told(said: list[str]) -> dict[str, Json]:
    """Return what the holder says of itself; empty where it has not said it yet."""
    with contextlib.suppress(ValueError, IndexError):
        content = json.loads(said[0])
        return dict(content) if isinstance(content, dict) else {}
    return {}
