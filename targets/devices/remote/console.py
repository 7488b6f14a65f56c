"""A shell on a device that stays, so that a short script costs no new connection."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
import uuid
from typing import IO

from edgekit.errors import ConnectionLost
from edgekit.process import end_group
from edgekit.targets.devices.remote.shell import PATIENCE, Shell, Stream

ATTEMPTS = 3


class Console:
    """Scripts one after another in a shell that is begun again where its connection broke."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._process: subprocess.Popen[bytes] | None = None
        self._stream: Stream | None = None
        self._said: IO[bytes] | None = None
        #: How many shells there have been: another one holds nothing of what the last one held.
        self.shells = 0

    def run(self, script: str, seconds: float = PATIENCE, stays: bool = False) -> bytes:
        """What a script writes to stdout; its status is not looked at.

        What it changes in its shell stays with ``stays``, else it runs in a shell of its own.
        Raises :class:`DeviceError` where the device is not reached, and :class:`ConnectionLost`
        where it went away and stays away.
        """
        for attempt in range(ATTEMPTS):
            try:
                return self._run(script, seconds, stays)
            except ConnectionLost:
                self.close()
                if attempt + 1 == ATTEMPTS:
                    raise
        raise AssertionError("every attempt returns or raises")

    def close(self) -> None:
        """End the shell; a second time does nothing."""
        if self._process is None:
            return
        with contextlib.suppress(BrokenPipeError):
            self._pipe().close()
        end_group(self._process)
        for pipe in (self._process.stdout, self._said):
            if pipe is not None:
                pipe.close()
        self._process = None

    def _run(self, script: str, seconds: float, stays: bool) -> bytes:
        stream = self._opened()
        # What a login shell prints of its own comes before the first mark.
        begin, end = (f"edgekit-{uuid.uuid4().hex}" for _ in range(2))
        within = f"{{ {script}\n}}" if stays else f"( {script}\n)"
        asked = f"echo; echo {begin}; {within} </dev/null 2>/dev/null; echo; echo {end}\n"
        limit = time.monotonic() + seconds

        def idle() -> None:
            if time.monotonic() > limit:
                self._lost(f"did not answer for {seconds:.0f} s")

        try:
            self._pipe().write(asked.encode())
            self._pipe().flush()
        except BrokenPipeError:
            self._lost("went away")
        lines: list[bytes] = []
        while (line := stream.line(idle)) is not None:
            if line == begin.encode():
                lines.clear()
            elif line == end.encode():
                # The mark's own empty line ends the answer.
                return b"\n".join(lines[:-1])
            else:
                lines.append(line)
        self._lost("went away")
        raise AssertionError("a lost connection raises")

    def _opened(self) -> Stream:
        if self._process is None or self._stream is None:
            self._said = tempfile.TemporaryFile()  # noqa: SIM115
            self.shells += 1
            self._process = self._shell.start(
                "exec sh", subprocess.PIPE, subprocess.PIPE, self._said
            )
            assert self._process.stdout is not None  # noqa: S101
            self._stream = Stream(self._process.stdout)
        return self._stream

    def _pipe(self) -> IO[bytes]:
        assert self._process is not None  # noqa: S101
        assert self._process.stdin is not None  # noqa: S101
        return self._process.stdin

    def _lost(self, how: str) -> None:
        assert self._process is not None  # noqa: S101
        assert self._said is not None  # noqa: S101
        end_group(self._process)
        self._said.seek(0)
        self._shell.judge(self._process.returncode, self._said.read().decode(errors="replace"))
        hint = "the cable, the network or the device went away: see that it answers, run again"
        raise ConnectionLost("EK-DEVICE-075", f"{self._shell.connection.address} {how}", hint)
