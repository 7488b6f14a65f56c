"""One process of a connection: the agent at its far end, frames between."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import queue
import secrets
import shlex
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgekit.errors import ConnectionLost, DeviceError, NoPython
from edgekit.process import end_group, stdin_of, stdout_of
from edgekit.targets.devices.agent.channel import Channel, ChannelError, Frame, Header, Payload
from edgekit.targets.devices.connection import Connection
from edgekit.types import Json

AGENT = Path(__file__).resolve().parent.parent / "agent"
PACKAGE = "edgekit_agent"
# Oldest Python that the agent and the runners run on.
OLDEST = "3.9"
PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(14, 8, -1)))
NO_PYTHON = "edgekit-found-no-python"
# Bytes that may be written before the marker, and of what is shown of it.
NOISE, SHOWN = 1 << 20, 2000
# Bytes that a pipe holds, and seconds in which an agent ends by itself.
PIPE, GRACE = 1 << 20, 2.0
SCRIPT = """\
old=
for python in {pythons}; do
  command -v "$python" >/dev/null 2>&1 || continue
  "$python" -c {boot} {marker}
  status=$?
  # 126 and 127: what has that name does not run.
  case "$status" in 97|126|127) ;; *) exit "$status" ;; esac
  old="$old$python is $("$python" -V 2>&1), "
done
system=$(. /etc/os-release 2>/dev/null && printf %s "$ID")
[ -d /system/bin ] && system=android
echo "{none}:$(uname -sm):$system:$old" >&2
exit 96
"""


# Frames of one call as they come.
Reply = queue.SimpleQueue[Frame | None]


@dataclass(frozen=True)
class Pace:
    """Seconds: between two beats, of silence after which the other end counts as gone (here and
    there), and until a connection has to be made."""

    beat: float = 2.0
    silence: float = 12.0
    lease: float = 15.0
    start: float = 60.0


class Wire:
    """A running connection. Whoever waits for what it brings is told when it has ended."""

    def __init__(self, connection: Connection, pace: Pace, options: Mapping[str, Json]) -> None:
        self._connection, self._pace = connection, pace
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        marker = secrets.token_hex(16)
        self._process = subprocess.Popen(
            connection.command(script(connection, marker)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=connection.environment(),
            start_new_session=True,
            bufsize=0,
            pipesize=PIPE,
        )
        self._channel = _channel(self._process)
        self._marker, self._noise = f"\n{marker}\n".encode(), b""
        self._numbers, self._waiting = 0, dict[int, Reply]()
        self._changing, self._closing = threading.Lock(), threading.Lock()
        # Set where the agent speaks, and where nothing comes any more.
        self._up, self._ended = threading.Event(), threading.Event()
        self._silent = False
        self._error: DeviceError | None = None
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        threading.Thread(target=self._beat, daemon=True).start()
        # One that is gone already says so to whoever waits for the first answer.
        with contextlib.suppress(OSError):
            self._channel.begin(_opening(options, pace))

    def call(self, method: str, parameters: Mapping[str, Json]) -> tuple[int, Reply]:
        """Begin a call: its number, and what comes back, ``None`` where the connection ended.

        Raises what :meth:`lost` gives.
        """
        reply: Reply = queue.SimpleQueue()
        with self._changing:
            self._numbers += 1
            number = self._numbers
            if self._ended.is_set():
                reply.put(None)
            self._waiting[number] = reply
        self.send({"id": number, "method": method, "parameters": dict(parameters)})
        return number, reply

    def send(self, header: Header, payload: Payload = b"") -> None:
        """Send a frame. Raises what :meth:`lost` gives."""
        try:
            self._channel.send(header, payload)
        except OSError as error:
            raise self.lost() from error

    def forget(self, number: int) -> None:
        """Take no more of a call."""
        with self._changing:
            self._waiting.pop(number, None)

    @property
    def alive(self) -> bool:
        """Whether anything may still come."""
        return not self._ended.is_set()

    def _listen(self) -> None:
        try:
            found, self._noise = self._channel.skip(self._marker, NOISE)
            if found:
                self._up.set()
                frame = self._channel.receive()
                while frame is not None:
                    self._take(*frame)
                    frame = self._channel.receive()
        except (OSError, ChannelError):
            pass
        finally:
            with self._changing:
                self._ended.set()
                for reply in self._waiting.values():
                    reply.put(None)

    def _take(self, header: Header, payload: bytes) -> None:
        with self._changing:
            number = header.get("id", 0)
            reply = self._waiting.get(number)
            if reply is not None:
                reply.put((header, payload))
                if "event" not in header:
                    del self._waiting[number]

    def _beat(self) -> None:
        """Say that this end is there; end the connection where the other end is not."""
        begin = time.monotonic()
        while not self._ended.wait(self._pace.beat):
            up = self._up.is_set()
            patience = self._pace.silence if up else self._pace.start
            if time.monotonic() - (self._channel.heard if up else begin) > patience:
                self._silent = True
                end_group(self._process)
                return
            with contextlib.suppress(OSError, ValueError):
                self._channel.beat()

    def lost(self) -> DeviceError:
        """Tell why the connection ended, from its status and what it said; it has ended by then.

        A :class:`ConnectionLost` where the agent had been reached.
        """
        self.close()
        if self._error is None:
            self._error = self._reason()
        return self._error

    def _reason(self) -> DeviceError:
        address, status = self._connection.address, self._process.returncode
        said = "\n".join(part for part in (self._noise_shown(), _end_of(self._said)) if part)
        if NO_PYTHON in said:
            return no_python(address, said)
        known = self._connection.failure(status, said)
        how = "it fell silent" if self._silent else f"the connection ended with status {status}"
        if self._up.is_set():
            hint = str(known) if known else _quoted(said)
            return ConnectionLost("EK-DEVICE-030", f"{address} went away: {how}", hint)
        message = f"{address}: edgekit's agent did not start there: {how}"
        return known or DeviceError("EK-DEVICE-034", message, _quoted(said))

    def _noise_shown(self) -> str:
        return "" if self._up.is_set() else self._noise[-SHOWN:].decode(errors="replace").strip()

    def close(self) -> None:
        """End the connection: with its stdin the agent ends, and all that it had started."""
        with self._closing:
            if self._process.returncode is not None and not self._listener.is_alive():
                return
            self._channel.hang_up(GRACE)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
            end_group(self._process)
            self._listener.join(GRACE)
            if not self._listener.is_alive():
                self._channel.close()


def _channel(process: subprocess.Popen[bytes]) -> Channel:
    """Return the channel over a process's pipes. It owns them: nobody else closes them in
    mid-use.
    """
    to, of = stdin_of(process), stdout_of(process)
    channel = Channel(os.dup(of.fileno()), os.dup(to.fileno()))
    to.close()
    of.close()
    return channel


def _opening(options: Mapping[str, Json], pace: Pace) -> bytes:
    """Return what the agent's boot takes before the first frame."""
    sent = {
        **options,
        "package": PACKAGE,
        "bytes": len(sources()),
        "beat": pace.beat,
        "lease": pace.lease,
    }
    return json.dumps(sent).encode() + b"\n" + sources()


def _end_of(file: IO[bytes]) -> str:
    """Return the end of what a file holds."""
    size = file.seek(0, 2)
    file.seek(max(0, size - SHOWN))
    return file.read().decode(errors="replace").strip()


def _quoted(said: str) -> str:
    return f"it said:\n{said}" if said else "it said nothing"


def script(connection: Connection, marker: str) -> str:
    """Return what runs there under sh: the first Python that is young enough, with the agent's
    boot.
    """
    pythons = " ".join(shlex.quote(one) for one in (*PYTHONS, *connection.pythons))
    boot = shlex.quote((AGENT / "boot.py").read_text())
    return SCRIPT.format(pythons=pythons, boot=boot, marker=marker, none=NO_PYTHON)


@functools.cache
def sources() -> bytes:
    """Return the agent's sources as its boot takes them."""
    modules = {}
    for path in sorted(AGENT.glob("*.py")):
        name = PACKAGE if path.stem == "__init__" else f"{PACKAGE}.{path.stem}"
        if path.stem != "boot":
            modules[name] = path.read_text()
    return zlib.compress(json.dumps(modules).encode())


HOW = {
    "android": "install Termux and in it: pkg install python",
    "alpine": "install it there: apk add python3",
    "": "install Python there, or name one that is not on the PATH",
}


def no_python(address: str, said: str) -> DeviceError:
    """Return the error for a device without a Python, or with one that is too old."""
    line = said[said.index(NO_PYTHON) :].splitlines()[0]
    _, machine, system, old = line.split(":", 3)
    old_text = f"; {old.rstrip(', ')}" if old else ""
    how = HOW.get(system) or (
        HOW[""] if not system else "install it there: apt-get install python3"
    )
    message = (
        f"{address} has no Python {OLDEST} or newer ({machine}, {system or 'unknown'}{old_text})"
    )
    return NoPython("EK-DEVICE-031", message, how)
