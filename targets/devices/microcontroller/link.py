"""A conversation with a board: one command at a time, sent again until it is answered.

A board that begins anew forgets the token of the conversation, so no answer of it can be taken for
one to an earlier command.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from edgekit.errors import ConnectionLost, DeviceError, OtherProtocol
from edgekit.targets.devices.microcontroller.lines import Line, LineReader, frame
from edgekit.targets.devices.microcontroller.port import Port, Unplugged, open_port

PROTOCOL = 1
# Seconds in which a board begins to answer, besides the time on the wire; USB takes milliseconds.
ANSWER = 0.25
# How often a line is sent, for the wire loses bytes. Every second time the wait is longer.
SENDINGS = 16
# Seconds that a board has to start: opening the port resets many, and their loaders wait for 2.
START = 8.0
# Seconds after which a board that computes is asked again: its last line may have been lost.
AGAIN = 2.0
# Seconds without an answer after which an inference is given up, where no limit is set.
PATIENCE = 300.0
# Seconds that a port may be away, and between two looks for it.
AWAY, LOOK = 20.0, 0.2
# Bits of a byte on the wire, and bytes of the longest answer.
BITS, LONGEST = 10, 1024


class Restarted(Exception):
    """The board began anew: what it held is gone."""


# What ends a conversation with a board that may come back.
GONE = (Restarted, Unplugged)


class OutOfTime(Exception):
    """A limit of time was reached."""


class BoardError(Exception):
    """The board answered with an error: a ``word`` of the protocol, and why."""

    def __init__(self, word: str, why: str) -> None:
        super().__init__(word, why)
        self.word, self.why = word, why


class Link:
    """The board behind one port. What it says besides the protocol goes to ``log``."""

    def __init__(self, path: str, baud: int, log: Path) -> None:
        self.path, self.baud = path, baud
        self.resent = 0
        self.deadline: float | None = None
        self._log = log
        self._port: Port | None = None
        self._reader = LineReader()
        self._token = self._sequence = 0

    @property
    def damaged(self) -> int:
        """Lines that did not arrive whole, since the link was made."""
        return self._reader.damaged

    def connect(self) -> Mapping[str, str]:
        """Begin a conversation; what the board says of itself.

        Raises :class:`DeviceError` where the port cannot be opened, nothing answers, or the
        firmware is of another protocol.
        """
        if self._port is None:
            self._port = open_port(self.path, self.baud)
        self._keep()
        fields = self._greet()
        if fields.get("protocol") != str(PROTOCOL):
            theirs = fields.get("protocol", "no")
            hint = (
                "flash the sample_apps/microcontroller_serial of this edgekit,"
                " or use the edgekit that the firmware came with"
            )
            message = f"{self.path}: its firmware speaks protocol {theirs}, edgekit {PROTOCOL}"
            raise OtherProtocol("EK-DEVICE-085", message, hint)
        return fields

    def reconnect(self) -> Mapping[str, str]:
        """Begin again after a board restarted or was unplugged; waits until it is back.

        Raises :class:`ConnectionLost` where it does not come back.
        """
        end = time.monotonic() + AWAY
        while True:
            try:
                return self.connect()
            except (Unplugged, DeviceError) as error:
                self.close()
                if time.monotonic() > end or isinstance(error, OtherProtocol):
                    reason = error.message if isinstance(error, DeviceError) else str(error)
                    raise self.lost(f"it went away and is not back: {reason}") from error
            self._check_time()
            time.sleep(LOOK)

    def lost(self, why: str) -> ConnectionLost:
        """Return the error that ends a use of this board."""
        code = "EK-DEVICE-086" if self.damaged else "EK-DEVICE-083"
        return ConnectionLost(code, f"{self.path}: the board was lost", self._seen(why))

    def ask(self, command: str) -> str:
        """Return the board's answer to a command, without its ``ok``.

        Raises :class:`Refused` where it is an error, :class:`Restarted` or :class:`Unplugged`
        where the board is not the one that was greeted any more, :class:`OutOfTime` at the
        deadline, and :class:`ConnectionLost` where no answer comes.
        """
        self._sequence += 1
        for attempt in range(SENDINGS):
            answer = self._once(command, self._wait(command, attempt))
            if answer is not None:
                return answer
            self.resent += 1
        why = f"no answer to {command.split(' ')[0]!r} after {SENDINGS} attempts"
        raise self.lost(f"{why}; {self.damaged} lines arrived damaged")

    def said(self) -> str:
        """Return the last text that the board wrote besides the protocol, such as TFLM's
        messages.
        """
        return "\n".join(self._reader.stray()[-3:])

    def close(self) -> None:
        """Let the port go; a second time does nothing."""
        if self._port is not None:
            self._port.close()
            self._keep()
        self._port = None

    def _keep(self) -> None:
        """Put what the board said besides the protocol into the log, and read on afresh."""
        if said := self._reader.stray():
            with self._log.open("a") as log:
                log.writelines(f"{self.path}: {line}\n" for line in said)
        self._reader = LineReader(self._reader.damaged)

    def _greet(self) -> Mapping[str, str]:
        """Say hello under a new token until the board answers."""
        self._token = secrets.randbelow(0xFFFFFFFF) + 1
        self._sequence = 1
        command, attempt = f"hello {PROTOCOL}", 0
        end = time.monotonic() + START
        while time.monotonic() < end:
            with contextlib.suppress(Restarted):
                answer = self._once(command, self._wait(command, attempt))
                if answer is not None:
                    return fields(answer)
            attempt += 1
        what = f"{self.path}: nothing that speaks edgekit's protocol answers at {self.baud} baud"
        hint = "is sample_apps/microcontroller_serial flashed, and is this its baud rate?"
        error = DeviceError("EK-DEVICE-083", what, self._seen(hint))
        self.close()
        raise error

    def _seen(self, why: str) -> str:
        received = self._reader.bytes
        if not received:
            return f"{why}\nnot one byte arrived"
        return f"{why}\n{received} bytes arrived, {self.damaged} damaged lines; text: {self.said()}"

    def _wait(self, command: str, attempt: int) -> float:
        on_the_wire = (len(command) + LONGEST) * BITS / self.baud
        return (ANSWER + on_the_wire) * (1 + attempt // 2)

    def _once(self, command: str, wait: float) -> str | None:
        """Send a command; its answer, or ``None`` where it is to be sent again."""
        if self._port is None:
            raise Unplugged(f"{self.path} is closed")
        message = frame(self._token, self._sequence, command)
        self._port.write(message)
        damaged, begin = self.damaged, time.monotonic()
        end, again, busy = begin + wait, begin + AGAIN, False
        while time.monotonic() < end:
            for line in self._reader.take(self._port.read()):
                word, _, rest = line.text.partition(" ")
                if line.token == 0:
                    if word == "ready":
                        raise Restarted
                    # Ours did not arrive whole.
                    return None
                if not self._awaited(line):
                    continue
                if word != "busy":
                    return self._answer(word, rest)
                end, busy = begin + PATIENCE, True
            self._check_time()
            if busy and self.damaged > damaged:
                return None
            if busy and time.monotonic() > again:
                self._port.write(message)
                again = 2 * again - begin
        if busy:
            raise OutOfTime
        return None

    def _answer(self, word: str, rest: str) -> str:
        if word != "error":
            return rest
        reason, _, why = rest.partition(" ")
        raise Restarted if reason == "session" else BoardError(reason, unquote(why))

    def _awaited(self, line: Line) -> bool:
        """Tell whether a line answers the last command: what was held up on its way does not."""
        return (line.token, line.sequence) == (self._token, self._sequence)

    def _check_time(self) -> None:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise OutOfTime


def fields(text: str) -> Mapping[str, str]:
    """Return ``name=value`` pairs of an answer."""
    pairs = (one.partition("=") for one in text.split(" ") if "=" in one)
    return {name: unquote(value) for name, _, value in pairs}
