"""A shell on a device that stays, so that a short script costs no new connection."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass
from typing import IO

from edgekit.errors import ConnectionLost
from edgekit.process import end_group, stdin_of, stdout_of
from edgekit.targets.devices.remote.shell import PATIENCE, Shell, Stream
from edgekit.targets.devices.retry import again


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
        """What a script writes to stdout; its status is not looked at.

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
        hint = "the cable, the network or the device went away: see that it answers, run again"
        return ConnectionLost("EK-DEVICE-075", f"{self._shell.connection.address} {how}", hint)
