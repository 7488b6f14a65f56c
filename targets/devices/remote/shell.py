"""Scripts on a device that is reached through a shell: one by one, or in a shell that stays."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from edgekit.errors import ConnectionLost, DeviceError
from edgekit.process import end_group, stdin_of, stdout_of
from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.retry import again

# Seconds in which a script that moves no data answers, a slow connection's making included.
PATIENCE = 60.0
# From the home folder, where there is one. Messages are read, so they have to be in English.
PLAIN = "cd 2>/dev/null; LC_ALL=C; export LC_ALL\n"
# What a script writes first.
MARK = b"\nedgekit-begins\n"
BEGIN = "echo; echo edgekit-begins\n"
# Seconds between two looks at a process that says nothing.
LOOK = 0.5


@dataclass(frozen=True)
class ScriptResult:
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
        self, script: str, feed: IO[bytes] | None = None, seconds: float = PATIENCE
    ) -> ScriptResult:
        """Run a script to its end; ``feed`` is its stdin, from where a file stands on.

        What a login shell writes before is left out. Raises :class:`DeviceError` where the device
        is not reached, and :class:`ConnectionLost` where it was before, or does not answer within
        ``seconds``.
        """
        process = self.start(BEGIN + script, feed or subprocess.DEVNULL, subprocess.PIPE)
        begin = time.monotonic()
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise self.lost(f"did not answer for {time.monotonic() - begin:.0f} s") from error
        finally:
            end_group(process)
        said = ScriptResult(
            process.returncode, out.partition(MARK)[2], err.decode(errors="replace")
        )
        self.judge(said.status, said.err)
        return said

    def start(
        self,
        script: str,
        stdin: IO[bytes] | int,
        stdout: IO[bytes] | int,
        stderr: IO[bytes] | int = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        """Start a script; end the process with ``end_group``."""
        return subprocess.Popen(
            self.connection.command(PLAIN + script),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **self.connection.environment()},
            start_new_session=True,
        )

    def lost(self, how: str) -> ConnectionLost:
        """Return the error of a device that went away; ``how`` follows its address."""
        hint = "the cable, the network or the device went away: see that it answers, run again"
        return ConnectionLost("EK-DEVICE-075", f"{self.connection.address} {how}", hint)

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
    """Tell why a device did not keep a file, from what its programs wrote."""
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


class Stream:
    """What a process writes, as lines and as counted bytes.

    ``idle`` is called twice a second while nothing comes; it raises where that is enough.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._descriptor = pipe.fileno()
        self.held = b""
        # When something came last, by the monotonic clock.
        self.heard = time.monotonic()

    def line(self, idle: Callable[[], None]) -> bytes | None:
        """Return the next line without its end; ``None`` where the process wrote its last."""
        while b"\n" not in self.held:
            if not self._more(idle):
                return None
        line, _, self.held = self.held.partition(b"\n")
        return line

    def bytes(self, size: int, idle: Callable[[], None]) -> bytes | None:
        """Return the next ``size`` bytes; ``None`` where there are fewer, which stay in
        ``held``.
        """
        while len(self.held) < size:
            if not self._more(idle):
                return None
        taken, self.held = self.held[:size], self.held[size:]
        return taken

    def _more(self, idle: Callable[[], None]) -> bool:
        while not select.select([self._descriptor], [], [], LOOK)[0]:
            idle()
        piece = os.read(self._descriptor, 1 << 20)
        self.held += piece
        self.heard = time.monotonic()
        return bool(piece)


@dataclass(frozen=True)
class _Opened:
    """A shell that runs there, what it answers, and the file of what it says on stderr."""

    process: subprocess.Popen[bytes]
    stream: Stream
    said: IO[bytes]

    def write(self, script: str) -> None:
        """Hand over a script. Raises ``BrokenPipeError`` where the shell has ended."""
        pipe = stdin_of(self.process)
        pipe.write(script.encode())
        pipe.flush()

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(BrokenPipeError):
            stdin_of(self.process).close()
        end_group(self.process)
        stdout_of(self.process).close()
        self.said.close()


class Console:
    """Scripts one after another in a shell that is begun again where its connection broke."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._opened: _Opened | None = None
        #: How many shells there have been: another one holds nothing of what the last one held.
        self.shells = 0

    def run(self, script: str, seconds: float = PATIENCE, stays: bool = False) -> bytes:
        """Return what a script writes to stdout; its status is not looked at.

        What it changes in its shell stays with ``stays``, else it runs in a shell of its own.
        Raises :class:`DeviceError` where the device is not reached, and :class:`ConnectionLost`
        where it went away and stays away.
        """

        def attempt() -> bytes:
            try:
                return self._run(script, seconds, stays)
            except ConnectionLost:
                self.close()
                raise

        return again(attempt)

    def close(self) -> None:
        """End the shell; a second time does nothing."""
        if self._opened is not None:
            self._opened.close()
        self._opened = None

    def _run(self, script: str, seconds: float, stays: bool) -> bytes:
        opened = self._opened = self._opened or self._open()
        # What a login shell prints of its own comes before the first mark.
        begin, end = (f"edgekit-{uuid.uuid4().hex}" for _ in range(2))
        within = f"{{ {script}\n}}" if stays else f"( {script}\n)"
        asked = f"echo; echo {begin}; {within} </dev/null 2>/dev/null; echo; echo {end}\n"
        limit = time.monotonic() + seconds

        def idle() -> None:
            if time.monotonic() > limit:
                raise self._lost(opened, f"did not answer for {seconds:.0f} s")

        try:
            opened.write(asked)
        except BrokenPipeError:
            raise self._lost(opened, "went away") from None
        lines: list[bytes] = []
        while (line := opened.stream.line(idle)) is not None:
            if line == begin.encode():
                lines.clear()
            elif line == end.encode():
                # The mark's own empty line ends the answer.
                return b"\n".join(lines[:-1])
            else:
                lines.append(line)
        raise self._lost(opened, "went away")

    def _open(self) -> _Opened:
        said = tempfile.TemporaryFile()  # noqa: SIM115
        self.shells += 1
        process = self._shell.start("exec sh", subprocess.PIPE, subprocess.PIPE, said)
        return _Opened(process, Stream(stdout_of(process)), said)

    def _lost(self, opened: _Opened, how: str) -> ConnectionLost:
        """Say that the shell is lost. Raises what the connection itself says of it."""
        end_group(opened.process)
        opened.said.seek(0)
        said = opened.said.read().decode(errors="replace")
        self._shell.judge(opened.process.returncode, said)
        return self._shell.lost(how)
