"""The protocol's lines: a mark, a token, a sequence number, text, and a CRC over them.

``docs/devices/serial.md`` describes them; ``edgekit_serial.c`` is the other end.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

HOST, BOARD = b">", b"<"
# Bytes of a line after which it is noise: a board's longest is about a thousand.
LONGEST = 4096
# Bytes of stray text that are kept.
KEPT = 2000
SHAPE = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{8}) ([ -~]*)\*([0-9a-f]{8})")


@dataclass(frozen=True)
class Line:
    """One line that arrived whole. Token and sequence 0 are of no conversation."""

    token: int
    sequence: int
    text: str


def frame(token: int, sequence: int, text: str) -> bytes:
    """Return a line from the host, as it goes over the wire.

    The CRC is CRC-32/ISO-HDLC, that of Ethernet and zlib: polynomial 0x04C11DB7, reflected,
    initial value and final exclusive-or 0xFFFFFFFF. Source: IEEE 802.3, 3.2.9.
    """
    body = f"{token:08x} {sequence:08x} {text}".encode("ascii")
    return HOST + body + b"*%08x\n" % zlib.crc32(body)


class LineReader:
    """Takes bytes as they come and gives the board's lines; all else is kept as text.

    ``damaged`` counts lines that did not arrive whole, on from what is given.
    """

    def __init__(self, damaged: int = 0) -> None:
        self.damaged = damaged
        self.bytes = 0
        self._line = bytearray()
        self._inside = False
        self._stray = bytearray()

    def take(self, received: bytes) -> list[Line]:
        """Return the lines that end within these bytes, in order."""
        lines: list[Line] = []
        self.bytes += len(received)
        # Line ends are one of two, and a mark in the middle of a line begins another one.
        for part in re.split(rb"([<\r\n])", received):
            if part == BOARD:
                self._spoil()
                self._inside = True
            elif part in (b"\r", b"\n"):
                lines += self._end()
                self._stray += b"\n"
            elif self._inside:
                self._line += part
                if len(self._line) > LONGEST:
                    self._spoil()
            else:
                self._stray += part
        del self._stray[:-KEPT]
        return lines

    def stray(self) -> list[str]:
        """Return the last lines of text that were none of the protocol's: a board's own
        messages.
        """
        lines = bytes(self._stray).decode("ascii", "replace").splitlines()
        return [re.sub(r"[^ -~]", "?", line) for line in lines if line.strip()]

    def _end(self) -> list[Line]:
        if not self._inside:
            return []
        match = SHAPE.fullmatch(bytes(self._line))
        body = bytes(self._line).rpartition(b"*")[0]
        if match is None or int(match[4], 16) != zlib.crc32(body):
            self._spoil()
            return []
        self._inside = False
        self._line.clear()
        return [Line(int(match[1], 16), int(match[2], 16), match[3].decode("ascii"))]

    def _spoil(self) -> None:
        """Give up the line that is being read, if there is one."""
        if self._inside:
            self.damaged += 1
            self._stray += self._line
        self._inside = False
        self._line.clear()
