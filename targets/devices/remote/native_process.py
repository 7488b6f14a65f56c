"""One native runner on a device: its lines asked and answered, its end explained, its sessions."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from edgekit.errors import DeviceError, RunnerError
from edgekit.process import Limits, end_group, stdout_of, tail
from edgekit.targets.devices.culprit import Range
from edgekit.targets.devices.failures import checked, crashed, too_large, too_slow
from edgekit.targets.devices.remote.native_model import Loaded, phases, refusal
from edgekit.targets.devices.remote.shell import Shell, Stream
from edgekit.targets.runners.python_runner import STAGED
from edgekit.types import ModelResult, Request, RunnerResult

# Seconds without a word from the host after which the runner ends, and between two words. The
# runner answers them, whatever it does.
LEASE, ALIVE, SILENCE = 15, 4.0, 20.0
# Statuses of native_runner.c, and of sh for a program that cannot be started (POSIX).
FORSAKEN, TOO_LARGE, NOT_STARTED = 66, 67, (126, 127)
# sh adds a signal's number to this.
SIGNALS = 128
# The shell tells how the runner ended, which no way to reach a device need do.
SCRIPT = """
echo "edgekit-runner $$"
{runner} {library} {lease} {bytes}
status=$?
echo; echo "edgekit-ended $status"
"""
STARTS = b"edgekit-runner "
ENDED = re.compile(rb"edgekit-ended (\d+)\n$")
# Seconds in which a runner ends whose stdin was closed.
GRACE = 0.5
# Bytes that are kept of what a runner says.
LONGEST = 1 << 20
# Takes items start to stop of a block, and all its bytes.
Take = Callable[[int, int, bytes], None]


@dataclass(frozen=True)
class Program:
    """Where the runner and its library lie on a device."""

    runner: str
    library: str


class NativeProcess:
    """A native runner; it ends with this process, or when the connection breaks.

    ``request`` is what errors speak of. What the runner says besides goes to ``log``.
    """

    def __init__(
        self, shell: Shell, program: Program, request: Request, limits: Limits, log: Path
    ) -> None:
        self._shell, self._request, self._log = shell, request, log
        self._limits = limits
        self._begin = time.monotonic()
        # What the runner is at, of an evaluation; its shell's number there.
        self.running: Range | None = None
        self.pid = 0
        self._said, self._read = tempfile.TemporaryFile(), 0  # noqa: SIM115
        script = SCRIPT.format(
            runner=shlex.quote(program.runner),
            library=shlex.quote(program.library),
            lease=LEASE,
            bytes=limits.bytes or 0,
        )
        self._process = shell.start(script, subprocess.PIPE, subprocess.PIPE, self._said)
        self._stream = Stream(stdout_of(self._process))
        self._closed = threading.Event()
        self._writing = threading.Lock()
        threading.Thread(target=self._live, daemon=True).start()

    def start(self) -> None:
        """Wait until the library is loaded. Raises :class:`DeviceError` where it cannot be."""
        first = b""
        # What a login shell prints of its own comes before.
        while not first.startswith(STARTS):
            printed = self._stream.line(self._idle)
            if printed is None:
                raise self._ended()
            first = printed
        self.pid = int(first.split()[1])
        line = self._line()
        if line != "ready":
            address = self._shell.connection.address
            message = f"the native runner does not start on {address}"
            hint = f"{line.removeprefix('error ')}\nname another with EDGEKIT_LITERT_LIBRARY"
            raise DeviceError("EK-DEVICE-079", message, hint)

    def restart_clock(self, seconds: float | None = None) -> None:
        """Count the limit of time from now, where it is one for each answer."""
        self._begin = time.monotonic()
        if seconds is not None:
            self._limits = replace(self._limits, seconds=seconds)

    def ask(self, command: str, take: Take | None = None) -> list[str]:
        """Return the lines of an answer, without the last.

        Raises :class:`RunnerError` where the runner refuses or ends, and :class:`ConnectionLost`.
        """
        self._send(command)
        lines: list[str] = []
        while (line := self._line()) != "ok":
            if line.startswith("error "):
                words = line.removeprefix("error ")
                checked({"error": {"kind": "failed", "message": words}}, self._request)
            word, _, rest = line.partition(" ")
            if word == "running":
                start, stop = rest.split()
                self.running = int(start), int(stop)
            elif word == "block" and take is not None:
                start, stop, size = rest.split()
                payload = self._stream.bytes(int(size), self._idle)
                if payload is None:
                    raise self._ended()
                take(int(start), int(stop), payload)
            elif word != "alive":
                lines.append(line)
        return lines

    def close(self) -> None:
        """End the runner; a second time does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        with self._writing, contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        end_group(self._process)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._told()
        self._said.close()

    def _live(self) -> None:
        """Tell the runner that the host is there, as long as it is."""
        while not self._closed.wait(ALIVE):
            with contextlib.suppress(RunnerError, DeviceError, OSError, ValueError):
                self._write("alive")

    def _send(self, line: str) -> None:
        try:
            self._write(line)
        except BrokenPipeError as error:
            raise self._ended() from error

    def _write(self, line: str) -> None:
        with self._writing:
            if self._process.stdin is not None and not self._process.stdin.closed:
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()

    def _line(self) -> str:
        line = self._stream.line(self._idle)
        if line is None:
            raise self._ended()
        if line == b"":
            # Only what the shell says of the runner's end is preceded by an empty line.
            rest = self._stream.line(self._idle)
            if rest is not None and ENDED.fullmatch(rest + b"\n"):
                self._stream.held = rest + b"\n"
            raise self._ended()
        return line.decode(errors="replace")

    def _idle(self) -> None:
        spent = time.monotonic() - self._begin
        if self._limits.seconds is not None and spent > self._limits.seconds:
            raise too_slow(self._request, self._limits)
        silent = time.monotonic() - max(self._begin, self._stream.heard)
        if silent > SILENCE:
            raise self._shell.lost(f"has said nothing for {silent:.0f} s")

    def _ended(self) -> RunnerError | DeviceError:
        """Tell why the runner's answers ended."""
        while self._stream.bytes(1 << 30, lambda: None) is not None:
            pass
        match = ENDED.search(self._stream.held)
        end_group(self._process)
        said = self._told()
        if match is None:
            self._shell.judge(self._process.returncode, said)
            return self._shell.lost("went away while a model ran")
        status = int(match[1])
        if status == TOO_LARGE:
            return too_large(self._request, self._limits)
        if status == FORSAKEN:
            return self._shell.lost(f"heard nothing of this host for {LEASE} s")
        if status in NOT_STARTED:
            message = f"the native runner does not start on {self._shell.connection.address}"
            return DeviceError("EK-DEVICE-079", message, tail(self._log))
        return crashed(SIGNALS - status if status > SIGNALS else status, self._request, self._log)

    def _told(self) -> str:
        """Return what was said on stderr since the last time, which goes to the log."""
        # Not read(2): the runner's own place in the file would move with it.
        told = os.pread(self._said.fileno(), LONGEST, self._read)
        self._read += len(told)
        if told:
            with self._log.open("ab") as log:
                log.write(told)
        return told.decode(errors="replace")


class Host(Protocol):
    """The device that a session is of."""

    def load(
        self, process: NativeProcess, request: Request, number: int, most: int | None
    ) -> Loaded: ...
    def result(self, request: Request, models: dict[str, ModelResult]) -> RunnerResult: ...
    def end(self, process: NativeProcess) -> None: ...


class NativeSession:
    """A native runner that keeps models loaded, so that several can take turns."""

    def __init__(self, device: Host, request: Request, process: NativeProcess) -> None:
        self._device, self._request, self._process = device, request, process
        self._numbers = {e.id: at for at, e in enumerate(request.models)}
        self._items: dict[str, int] = {}
        self._limited = True

    def ready(self, limited: bool = True) -> RunnerResult:
        """Wait until the models are loaded; load and first-inference phases, memory, versions.

        Where it is not ``limited``, the limit of time is one of all answers together.
        """
        self._limited = limited
        self._process.start()
        if self._request.core is not None:
            self._process.ask(f"core {self._request.core}")
        models = {}
        for name, number in self._numbers.items():
            loaded = self._device.load(self._process, self._request, number, STAGED)
            self._items[name] = len(loaded.items)
            models[name] = phases(loaded)
        return self._device.result(self._request, models)

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        """Return nanoseconds of consecutive inferences: at least ``runs`` and at least
        ``seconds``.
        """
        if model not in self._items:
            raise refusal(self._request, f"there is no model {model!r}")
        if self._limited:
            self._process.restart_clock()
        command = f"time {self._numbers[model]} 0 {self._items[model]} {seconds} {runs}"
        return [int(word) for word in self._process.ask(command)[-1].split()[1:]]

    def close(self) -> None:
        """End the runner."""
        self._device.end(self._process)
