"""Whose turn it is on a device that has only a shell: the agent's lock, taken by flock(1) there.

Where there is no ``flock``, nobody waits. Sources: flock(1) of util-linux and the help of BusyBox's
and toybox's, on locking an open file descriptor; flock(2).
"""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Mapping

from edgekit.targets.devices.remote.client import KEY, owner
from edgekit.targets.devices.remote.console import Console
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
        prefix = json.dumps({"owner": owner(), "key": KEY})[:-1]
        script = TAKE.format(folder=shlex.quote(folder), holder=shlex.quote(prefix))
        while True:
            said = self._console.run(script, stays=True).decode(errors="replace").splitlines()
            holder = _holder(said)
            # What this process itself holds there, by an agent or a lost connection, is its own.
            if not said or said[-1] in MINE or holder.get("key") == KEY:
                self._held = self._console.shells
                return
            self._wait(holder, said)

    def _wait(self, holder: Mapping[str, Json], said: list[str]) -> None:
        since = 0.0
        with contextlib.suppress(ValueError, IndexError, TypeError):
            since = float(said[-1].split()[0]) - float(holder["since"])
        who = holder.get("owner", "another edgekit")
        text = f"waiting for {who}, who has used {self._address} for {since:.0f} s"
        self._progress.update(0, 1, text)
        time.sleep(LOOK)


def _holder(said: list[str]) -> dict[str, Json]:
    """What the holder says of itself; empty where it has not said it yet."""
    with contextlib.suppress(ValueError, IndexError):
        content = json.loads(said[0])
        return dict(content) if isinstance(content, dict) else {}
    return {}
