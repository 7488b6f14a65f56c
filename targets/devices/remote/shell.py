"""Scripts on a device that is reached through a shell: run to their end, with what they said."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from typing import IO

from edgekit.errors import ConnectionLost, DeviceError
from edgekit.process import end_group
from edgekit.targets.devices.connection import Connection

# Seconds in which a script that moves no data answers, a slow connection's making included.
PATIENCE = 60.0
# Messages are read, so they have to be in English; a device may not have the locale.
PLAIN = "LC_ALL=C; export LC_ALL\n"


@dataclass(frozen=True)
class Said:
    """How a script ended, and what it wrote."""

    status: int
    out: bytes
    err: str


class Shell:
    """``sh`` on a device. What it needs there is POSIX: BusyBox's and toybox's will do."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._reached = False

    def run(
        self, script: str, feed: IO[bytes] | bytes | None = None, seconds: float = PATIENCE,
        into: IO[bytes] | None = None,
    ) -> Said:  # fmt: skip
        """Run a script to its end; ``feed`` is its stdin, from where a file stands on.

        What it writes to stdout goes ``into`` a file where one is given. Raises
        :class:`DeviceError` where the device is not reached, and :class:`ConnectionLost` where it
        was before, or does not answer within ``seconds``.
        """
        given = feed if isinstance(feed, bytes) else None
        stdin = subprocess.PIPE if isinstance(feed, bytes) else feed or subprocess.DEVNULL
        process = self.start(script, stdin, into or subprocess.PIPE)
        begin = time.monotonic()
        try:
            out, err = process.communicate(given, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            waited = time.monotonic() - begin
            message = f"{self.connection.address} did not answer for {waited:.0f} s"
            hint = "the cable, the network or the device went away: see that it answers, run again"
            raise ConnectionLost("EK-DEVICE-075", message, hint) from error
        finally:
            end_group(process)
        said = Said(process.returncode, out or b"", err.decode(errors="replace"))
        self.judge(said.status, said.err)
        return said

    def start(
        self, script: str, stdin: IO[bytes] | int, stdout: IO[bytes] | int,
        stderr: IO[bytes] | int = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        """Start a script; end the process with ``end_group``."""
        return subprocess.Popen(
            self.connection.command(PLAIN + script), stdin=stdin, stdout=stdout, stderr=stderr,
            env={**os.environ, **self.connection.environment()}, start_new_session=True,
        )  # fmt: skip

    def judge(self, status: int, said: str) -> None:
        """Raise what a command's end says of the connection, as :meth:`run` does."""
        failure = self.connection.failure(status, said)
        if failure is None:
            self._reached = True
        elif isinstance(failure, ConnectionLost) or not self._reached:
            raise failure
        else:
            raise ConnectionLost(failure.code, failure.message, failure.hint)


def refusal(address: str, what: str, said: str) -> DeviceError:
    """Why a device did not keep a file, from what its programs wrote."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = lines[-1][:300] if lines else "its shell does not say why"
    for sign, (reason, hint) in REASONS.items():
        if any(sign in line for line in lines):
            message = f"{address}: {reason}: {what}"
            return DeviceError("EK-DEVICE-076", message, f"{told}\n{hint}")
    hint = f"{told}\nsee what its shell says to the same command"
    return DeviceError("EK-DEVICE-076", f"{address}: {what} failed", hint)


FREE = "free some space there, or name a folder on another disk"
FOLDER = "name a folder there that can be written"
# What programs of all kinds write (strerror(3)): the reason, and what to do.
REASONS = {
    "No space left on device": ("no space left", FREE),
    "Disk quota exceeded": ("no space left", FREE),
    "Read-only file system": ("read-only file system", FOLDER),
    "Permission denied": ("permission denied", FOLDER),
    "Operation not permitted": ("permission denied", FOLDER),
    "not found": ("a program is missing", "install BusyBox or coreutils there"),
}
