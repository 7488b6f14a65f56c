"""The agent's loop: calls from the host in, answers and events out, and the lease that ends it all.

A call is a frame with ``id``, ``method`` and ``parameters``; further frames of the same ``id``
belong to it. The answer has the ``id`` and a ``result`` or an ``error``; before it come events.
A frame without an ``id`` is a beat: it only says that the other end is there.

``MODULE.NAME`` names a method: the function of that name in ``METHODS`` of a module beside this
file, which is called with the :class:`Call` and the parameters.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import signal
import threading
import time
import traceback
from typing import Any, Dict, Optional

from .channel import Channel, ChannelError, Frame, Header, Json, Payload
from .folder import Folder
from .watchdog import Groups

# Frames of one call that wait to be taken, before the host has to wait.
WAITING = 2
# Seconds between two looks at whether those are wanted still, and that the end of all may take.
LOOK, ENDING = 0.1, 5.0


class CallRefused(Exception):
    """What was asked cannot be done. ``kind`` is for the host to tell, ``told`` goes with it."""

    def __init__(self, kind: str, message: str, **told: Json) -> None:
        super().__init__(message)
        self.kind, self.told = kind, told


class Call:
    """One call: what it may use, and the way back to the host."""

    def __init__(self, server: Server, number: int) -> None:
        self.server, self.number = server, number
        self.folder, self.groups, self.options = server.folder, server.groups, server.options
        self._frames: "queue.Queue[Optional[Frame]]" = queue.Queue(WAITING)
        # Set where the host has taken the call back; ``woken`` then too.
        self.cancelled, self.woken = threading.Event(), threading.Event()
        # Set where nothing is taken any more.
        self.answered = threading.Event()

    def event(self, header: Header, payload: Payload = b"") -> None:
        """Tell the host something before the answer."""
        self.server.channel.send({"id": self.number, "event": header}, payload)

    def receive(self) -> Optional[Frame]:
        """Return the next frame of this call; None where the host has taken the call back."""
        return self._frames.get()

    def deliver(self, header: Header, payload: bytes) -> None:
        """Take a frame of this call from the host."""
        frame: Optional[Frame] = (header, payload)
        if header.get("cancel"):
            frame = None
            self.cancelled.set()
            self.woken.set()
        while not self.answered.is_set():
            with contextlib.suppress(queue.Full):
                self._frames.put(frame, timeout=LOOK)
                break


class Server:
    """All that one connection has on this machine. ``options`` come from the host."""

    def __init__(self, channel: Channel, options: Dict[str, Any]) -> None:
        self.channel, self.options = channel, options
        self.folder = Folder(options["folder"])
        self.groups = Groups()
        # The lock on this machine, once it is taken.
        self.lock: Optional[int] = None
        self._calls: Dict[int, Call] = {}
        self._ending = threading.Lock()

    def serve(self) -> None:
        """Take frames until the host closes, or is silent for longer than the lease."""
        threading.Thread(target=self._beat, daemon=True).start()
        try:
            frame = self.channel.receive()
            while frame is not None:
                self._take(*frame)
                frame = self.channel.receive()
        except (OSError, ChannelError):
            pass
        self.end()
        time.sleep(ENDING)

    def _take(self, header: Header, payload: bytes) -> None:
        number = header.get("id")
        if number is None:
            return
        if "method" not in header:
            call = self._calls.get(number)
            if call is not None:
                call.deliver(header, payload)
            return
        self._calls[number] = call = Call(self, number)
        threading.Thread(target=self._answer, args=(call, header), daemon=True).start()

    def _answer(self, call: Call, header: Header) -> None:
        answer: Header = {"id": call.number}
        try:
            answer["result"] = method(header["method"])(call, **header.get("parameters", {}))
        except CallRefused as error:
            answer["error"] = {"kind": error.kind, "message": str(error), **error.told}
        except OSError as error:
            told = {"errno": error.errno, "path": str(error.filename or self.folder.path)}
            answer["error"] = {"kind": "files", "message": error.strerror or str(error), **told}
        except Exception as error:
            last = traceback.format_exc().strip().splitlines()[-3:]
            message = "%s: %s" % (type(error).__name__, error)
            answer["error"] = {"kind": "failed", "message": message, "trace": last}
        call.answered.set()
        self._calls.pop(call.number, None)
        with contextlib.suppress(OSError):
            self.channel.send(answer)

    def _beat(self) -> None:
        """Tell the host that this end is there, and end where the host is not."""
        beat, lease = float(self.options["beat"]), float(self.options["lease"])
        threading.Thread(target=self._watch, args=(lease,), daemon=True).start()
        while True:
            time.sleep(beat)
            try:
                self.channel.beat()
            except OSError:
                self.end()

    def _watch(self, lease: float) -> None:
        while True:
            time.sleep(min(1.0, lease / 4))
            if self.channel.listening and time.monotonic() - self.channel.heard > lease:
                self.end()

    def end(self) -> None:
        """End all that was started here, and this process."""
        if not self._ending.acquire(blocking=False):
            # Another thread is at it, or the one that a signal has interrupted here.
            return
        self.groups.end()
        self.folder.clear()
        os._exit(0)


def method(name: str) -> Any:
    """Return the function of a method's name. Raises :class:`Refused` where there is none."""
    module, _, function = name.partition(".")
    try:
        return importlib.import_module("." + module, __package__).METHODS[function]
    except (ImportError, AttributeError, KeyError) as error:
        raise CallRefused("unknown", "there is no method %s" % name) from error


def main(options: Dict[str, Any]) -> None:
    """Serve on stdin and stdout. Whatever else writes there writes to nowhere."""
    channel = Channel(os.dup(0), os.dup(1))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    server = Server(channel, options)
    for name in ("SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), lambda *_: server.end())
    server.serve()
