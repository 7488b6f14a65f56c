"""The host's end of an agent: calls, files pushed once, and a connection that is made again."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from edgekit.errors import ConnectionLost, DeviceError
from edgekit.targets.devices.agent.channel import PIECE
from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.remote.files import Damaged, Pushing
from edgekit.targets.devices.remote.turn import holder, waits
from edgekit.targets.devices.remote.wire import Pace, Reply, Wire
from edgekit.targets.devices.retry import again
from edgekit.types import Json, Progress, Silent

ANOTHER = "name another folder at the end of the address"
HINTS = {
    errno.ENOSPC: "the disk there is full: free some space, or " + ANOTHER,
    errno.EDQUOT: "the quota there is used up: free some space, or " + ANOTHER,
    errno.EROFS: "that disk is read-only: " + ANOTHER,
    errno.EACCES: "the user there may not write to it: " + ANOTHER,
    errno.EPERM: "the user there may not write to it: " + ANOTHER,
}


class Refusal(DeviceError):
    """A call that the agent refused; ``kind`` is its own word for why."""

    def __init__(self, code: str, message: str, hint: str, kind: str = "") -> None:
        super().__init__(code, message, hint)
        self.kind = kind


class DamagedFile(Refusal, Damaged):
    """A refusal of a file's content: it is sent again."""


def refusal(address: str, error: Mapping[str, Json]) -> Refusal | ConnectionLost:
    """Return the error of an agent's answer."""
    kind, message = str(error["kind"]), str(error["message"])
    if kind == "files":
        text = f"{address}: {error['path'] or 'a file'}: {message}"
        hint = HINTS.get(error["errno"], ANOTHER)
        return Refusal("EK-DEVICE-033", text, hint, kind)
    if kind in ("damaged", "part"):
        hint = "the connection or the disk there changes what it carries"
        return DamagedFile("EK-DEVICE-035", f"{address}: {message}", hint, kind)
    if kind == "foreign":
        hint = "delete it by hand if it may go"
        return Refusal("EK-DEVICE-036", f"{address}: {message}", hint, kind)
    if kind == "unlocked":
        # The device was taken over a connection that ended before the job was sent.
        return ConnectionLost("EK-DEVICE-030", f"{address} went away: {message}")
    trace = "\n".join(str(line) for line in error.get("trace", ()))
    return Refusal("EK-DEVICE-034", f"{address}: edgekit's agent failed: {message}", trace, kind)


# Seconds before each attempt to reach a device again that went away.
PAUSES = (0.2, 1.0, 2.0, 4.0, 8.0)
PACE = Pace()

Event = Callable[[Mapping[str, Json], bytes], None]


def _ignore(event: Mapping[str, Json], payload: bytes) -> None:
    """Take no note of an event."""


class Agent(Pushing):
    """An agent on a device. Reached when it is made; raises :class:`DeviceError` where it is not.

    What runners there say goes to ``log``. ``hello`` is what the agent said first, see
    ``agent/about.py``.
    """

    def __init__(
        self,
        connection: Connection,
        log: Path,
        progress: Progress | None = None,
        pace: Pace = PACE,
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        super().__init__(connection.address, progress or Silent())
        self.connection, self.log = connection, log
        self._pace, self._pauses = pace, pauses
        self._closed, self._reaching = False, threading.RLock()
        self._owned: Wire | None = None
        self.hello: Mapping[str, Json] = {}
        self._wire = self._connect()

    @property
    def address(self) -> str:
        """The device's address."""
        return self.connection.address

    def _connect(self) -> Wire:
        wire = Wire(self.connection, self._pace, {"folder": self.connection.folder})
        try:
            _, reply = wire.call("about.hello", {})
            self.hello = _answer(wire, reply, _ignore, self.address)
        except BaseException:
            wire.close()
            raise
        return wire

    def _reached(self) -> Wire:
        """Return the connection, made again where it ended. Raises :class:`DeviceError`."""
        with self._reaching:
            if self._closed:
                raise DeviceError("EK-DEVICE-030", f"the connection to {self.address} was closed")
            return self._wire if self._wire.alive else self._reconnected()

    def _reconnected(self) -> Wire:
        error = self._wire.lost()
        self._pushed.clear()
        for pause in self._pauses:
            self._progress.update(0, 1, f"{error.message}; connecting again")
            time.sleep(pause)
            try:
                self._wire = self._connect()
            except DeviceError as failure:
                error = failure
            else:
                if self._closed:
                    self._wire.close()
                return self._wire
        raise DeviceError(error.code, error.message, error.hint) from error

    def ask(
        self,
        method: str,
        parameters: Mapping[str, Json],
        event: Event = _ignore,
        feed: Callable[[Wire, int, Reply], None] | None = None,
    ) -> Mapping[str, Json]:
        """Make one call, once. ``event`` takes what comes before the answer, ``feed`` sends more.

        Raises :class:`ConnectionLost` where the connection ended before the answer came, and
        :class:`DeviceError` where the device could not be reached again, or refused.
        """
        wire = self._reached()
        number, reply = wire.call(method, parameters)
        try:
            if feed is not None:
                feed(wire, number, reply)
            return _answer(wire, reply, event, self.address)
        except BaseException:
            cancel(wire, number)
            raise

    def begin(self, method: str, parameters: Mapping[str, Json]) -> tuple[Wire, int, Reply]:
        """Begin a call that goes on: its connection, its number, what comes of it."""
        wire = self._reached()
        return wire, *wire.call(method, parameters)

    def call(self, method: str, **parameters: Json) -> Mapping[str, Json]:
        """Make one call that may be made twice: it is, where the connection ends before the
        answer.
        """
        return again(lambda: self.ask(method, parameters))

    def _missing(self, lengths: Mapping[str, int]) -> tuple[str, Mapping[str, int]]:
        told = self.ask("files.missing", {"files": dict(lengths)})
        return str(told["folder"]), told["missing"]

    def _send(
        self, files: Mapping[str, Path], missing: Mapping[str, int], executable: bool
    ) -> None:
        # A runner there is started by its Python.
        del executable
        wanted = [[digest, files[digest].stat().st_size, at] for digest, at in missing.items()]
        self.ask(
            "files.receive",
            {"files": wanted},
            feed=lambda wire, number, reply: _feed(wire, number, reply, files, wanted),
        )

    def push_folder(self, name: str, entries: Mapping[str, Path]) -> str:
        """Return a folder of files under their own names, below the agent's folder; its path there.

        ``name`` gets the digest of all as its ending.
        """
        self.push(entries.values())
        digests = {entry: self.digests.of(path) for entry, path in entries.items()}
        ending = hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()[:16]
        if (known := self._pushed.get(f"{name}-{ending}")) is None:
            made = self.call("files.arrange", name=f"{name}-{ending}", entries=digests)
            known = self._pushed[f"{name}-{ending}"] = str(made["folder"])
        return known

    def discard(self, paths: Iterable[Path]) -> None:
        """Delete pushed files on the device."""
        digests = [self.digests.of(path) for path in paths]
        self.call("files.discard", files=digests)
        for digest in digests:
            self._pushed.pop(digest, None)

    def keep_log(self, said: bytes) -> None:
        """Keep what a runner there has said."""
        with self.log.open("ab") as log:
            log.write(said)

    def occupy(self) -> None:
        """Take the device for this process, for as long as the connection lasts."""
        wire = self._reached()
        if self._owned is not wire:
            self.ask("lock.take", holder(), self._waits)
            self._owned = wire

    def _waits(self, event: Mapping[str, Json], _: bytes) -> None:
        waits(self._progress, self.address, event["owner"], event["seconds"])

    def close(self) -> None:
        """End the connection, and all that still runs there; a second time does nothing."""
        self._closed = True
        self._wire.close()


def cancel(wire: Wire, number: int) -> None:
    """Take a call back: what it runs there ends."""
    wire.forget(number)
    with contextlib.suppress(DeviceError):
        if wire.alive:
            wire.send({"id": number, "cancel": True})


def _answer(wire: Wire, reply: Reply, event: Event, address: str) -> Mapping[str, Json]:
    while True:
        frame = reply.get()
        if frame is None:
            raise wire.lost()
        header, payload = frame
        if "event" in header:
            event(header["event"], payload)
        elif "error" in header:
            raise refusal(address, header["error"])
        else:
            return dict(header["result"])


def _feed(
    wire: Wire, number: int, reply: Reply, files: Mapping[str, Path], wanted: list[list[Json]]
) -> None:
    """Send the bytes of files until there is an answer: it is a refusal before the end."""
    for digest, _, offset in wanted:
        with files[digest].open("rb") as file:
            file.seek(offset)
            for piece in iter(lambda: file.read(PIECE), b""):
                if not reply.empty():
                    return
                wire.send({"id": number}, piece)
