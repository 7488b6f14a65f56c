"""An adb daemon for tests: what ``adbd`` is on a phone, over TCP, with planted faults.

The real ``adb`` client talks to it. Packets, authorization, states and the shell are real; Android
is not: paths are the host's. It has the services ``shell:`` and ``shell,v2:``, which run the host's
``sh``; the phone's programs (``getprop``, ``dumpsys``) are scripts in ``tools``.

Sources: the Android Open Source Project's ``packages/modules/adb``: protocol.txt (packets),
shell_protocol.h (shell,v2), SERVICES.TXT.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgekit.loopback import free_port

HEADER = struct.Struct("<6I")
PIECE = struct.Struct("<BI")
VERSION, LARGEST = 0x01000001, 256 * 1024
TOKEN = 1
# Kinds of pieces of shell,v2.
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
# Seconds that adb's server may take to start, or to see that a device went away.
PATIENCE = 20.0


def _word(name: str) -> int:
    return int.from_bytes(name.encode(), "little")


CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = map(_word, ("CNXN", "AUTH", "OPEN", "OKAY", "WRTE", "CLSE"))


@dataclass
class Faults:
    """What is wrong with the phone; may be changed while it is connected.

    The connection is dropped once so many bytes came in, ``delay`` is seconds before every packet.
    """

    unauthorized: bool = False
    shell_v2: bool = True
    drop_after: int | None = None
    delay: float = 0.0


@dataclass
class Stream:
    """One service that the host opened: its ids, what came in, and whether the host has taken."""

    local: int
    remote: int
    incoming: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    rest: bytes = b""

    async def read(self, size: int) -> bytes:
        """So many bytes; raises :class:`EOFError` where the host closed before."""
        while len(self.rest) < size:
            piece = await self.incoming.get()
            if not piece:
                raise EOFError
            self.rest += piece
        found, self.rest = self.rest[:size], self.rest[size:]
        return found


class Link:
    """One connection of an adb server."""

    def __init__(
        self, daemon: AdbDaemon, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._daemon, self._reader, self._writer = daemon, reader, writer
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._largest, self._received = LARGEST, 0

    async def run(self) -> None:
        """Answer packets until the connection ends."""
        try:
            while True:
                command, first, second, size, _, _ = HEADER.unpack(
                    await self._reader.readexactly(HEADER.size)
                )
                payload = await self._reader.readexactly(size)
                await self._disturb(size)
                await self._answer(command, first, second, payload)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._writer.close()

    def drop(self) -> None:
        """Pull the cable."""
        self._writer.transport.abort()

    async def _disturb(self, size: int) -> None:
        faults = self._daemon.faults
        self._received += size
        if faults.drop_after is not None and self._received > faults.drop_after:
            faults.drop_after = None
            self.drop()
            raise ConnectionResetError
        if faults.delay:
            await asyncio.sleep(faults.delay)

    async def _send(self, command: int, first: int, second: int, payload: bytes = b"") -> None:
        head = HEADER.pack(command, first, second, len(payload), 0, command ^ 0xFFFFFFFF)
        self._writer.write(head + payload)
        await self._writer.drain()

    async def _answer(self, command: int, first: int, second: int, payload: bytes) -> None:
        stream = self._streams.get(second)
        if command == CNXN:
            self._largest = min(LARGEST, second)
            if self._daemon.faults.unauthorized:
                await self._send(AUTH, TOKEN, 0, os.urandom(20))
            else:
                await self._greet()
        elif command == OPEN:
            self._open(first, payload.rstrip(b"\0").decode())
        elif stream is None:
            # Keys that are offered get no answer: the phone's owner has not confirmed them.
            return
        elif command == WRTE:
            stream.incoming.put_nowait(payload)
            await self._send(OKAY, second, first)
        elif command == OKAY:
            stream.taken.set()
        elif command == CLSE:
            stream.closed = True
            stream.taken.set()
            stream.incoming.put_nowait(b"")
            del self._streams[second]

    async def _greet(self) -> None:
        features = "cmd,shell_v2" if self._daemon.faults.shell_v2 else "cmd"
        banner = f"device::ro.product.name=planted;ro.product.model=Planted;features={features}"
        await self._send(CNXN, VERSION, self._largest, banner.encode())

    def _open(self, remote: int, service: str) -> None:
        stream = Stream(local=max(self._streams, default=0) + 1, remote=remote)
        self._streams[stream.local] = stream
        task = asyncio.create_task(self._serve(stream, service))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: Stream, service: str) -> None:
        kind, _, script = service.partition(":")
        with contextlib.suppress(EOFError, ConnectionError):
            if kind.partition(",")[0] != "shell":
                await self._send(CLSE, 0, stream.remote)
                return
            await self._send(OKAY, stream.local, stream.remote)
            await self._shell(stream, script, v2="v2" in kind)
            if not stream.closed:
                await self._send(CLSE, stream.local, stream.remote)

    async def _write(self, stream: Stream, payload: bytes) -> None:
        """Send what the host takes, one packet at a time, as the protocol demands."""
        for at in range(0, len(payload), self._largest):
            if stream.closed:
                return
            stream.taken.clear()
            part = payload[at : at + self._largest]
            await self._send(WRTE, stream.local, stream.remote, part)
            await stream.taken.wait()

    async def _shell(self, stream: Stream, script: str, v2: bool) -> None:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            script,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if v2 else subprocess.STDOUT,
            start_new_session=True,
            env=self._daemon.environment(),
        )
        self._daemon.groups.add(process.pid)
        feeding = asyncio.create_task(self._feed(stream, process, v2))
        try:
            await asyncio.gather(
                self._pass(stream, process.stdout, STDOUT, v2),
                self._pass(stream, process.stderr, STDERR, v2),
            )
            status = await process.wait()
            if v2:
                shown = status if status >= 0 else 128 - status
                await self._write(stream, PIECE.pack(EXIT, 1) + bytes([shown & 255]))
        finally:
            feeding.cancel()
            # As adbd: the shell is told, what it started goes on.
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGHUP)
                await process.wait()

    async def _pass(
        self, stream: Stream, pipe: asyncio.StreamReader | None, kind: int, v2: bool
    ) -> None:
        while pipe is not None and (piece := await pipe.read(1 << 16)):
            await self._write(stream, PIECE.pack(kind, len(piece)) + piece if v2 else piece)

    async def _feed(self, stream: Stream, process: asyncio.subprocess.Process, v2: bool) -> None:
        pipe = process.stdin
        assert pipe is not None
        try:
            while True:
                kind, size = PIECE.unpack(await stream.read(PIECE.size)) if v2 else (STDIN, 1)
                piece = await stream.read(size)
                if kind == STDIN:
                    pipe.write(piece)
                    await pipe.drain()
                elif kind == CLOSE_STDIN:
                    pipe.close()
        except (EOFError, ConnectionError):
            pass
        finally:
            pipe.close()


class AdbDaemon:
    """A phone at ``127.0.0.1:port``, in a thread. Programs in ``tools`` are on its PATH."""

    def __init__(self, tools: Path, faults: Faults | None = None) -> None:
        self.tools, self.faults = tools, faults or Faults()
        self.port = 0
        # Process groups that shells were started in; what is left of them ends with the daemon.
        self.groups: set[int] = set()
        self._links: set[Link] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def serial(self) -> str:
        """How adb names this phone."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> AdbDaemon:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    def drop(self) -> None:
        """Pull the cable of every connection; it may be plugged in again."""
        for link in list(self._links):
            self._loop.call_soon_threadsafe(link.drop)

    def environment(self) -> dict[str, str]:
        """The environment variables of its shell."""
        path = f"{self.tools}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": "/", "ANDROID_ROOT": "/system", "LANG": "C.UTF-8"}

    def install(self, name: str, script: str) -> None:
        """Put a program of the phone on its PATH."""
        self.tools.mkdir(parents=True, exist_ok=True)
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._met, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        for link in self._links:
            link.drop()
        for group in self.groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        while self._links:
            await asyncio.sleep(0.01)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


@contextlib.contextmanager
def adb_server(home: Path) -> Iterator[None]:
    """An adb server of its own, with its own keys: what adb is here, in this process too."""
    port = free_port()
    home.mkdir(parents=True, exist_ok=True)
    own = {
        "ANDROID_ADB_SERVER_PORT": str(port),
        "HOME": str(home),
        "ANDROID_SDK_HOME": str(home),
        "ADB_MDNS_AUTO_CONNECT": "0",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ANDROID_SERIAL", "ADB"):
            patch.delenv(name, raising=False)
        for name, value in own.items():
            patch.setenv(name, value)
        try:
            yield
        finally:
            said("kill-server")


@contextlib.contextmanager
def attached(folder: Path) -> Iterator[AdbDaemon]:
    """A phone that adb's server may connect to."""
    with AdbDaemon(folder / "tools") as phone:
        yield phone
        said("disconnect", phone.serial)


def said(*arguments: str) -> str:
    """What adb writes."""
    done = subprocess.run(["adb", *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def until(seen: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait until something is seen."""
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "it was not seen in time"
        time.sleep(0.05)


needs_adb = pytest.mark.skipif(
    shutil.which("adb") is None, reason="there is no adb here: install the Debian package adb"
)
