"""Frames over a pair of pipes: a JSON header, and bytes that belong to it. Both ends use this.

A frame is the lengths of both as big-endian 32-bit numbers, the header, the bytes.
"""

from __future__ import annotations

import json
import os
import select
import struct
import threading
import time
from typing import Any, Dict, Optional, Tuple, Union

Json = Any
Header = Dict[str, Json]
Frame = Tuple[Header, bytes]
Payload = Union[bytes, bytearray, memoryview]
LENGTHS = struct.Struct(">II")
# Bytes of the largest frame there is, and of the pieces that files are sent in.
LARGEST = 64 << 20
PIECE = 1 << 20
# Up to here one write of all costs less than two.
SMALL = 1 << 16


class ChannelError(Exception):
    """What came was not a frame."""


class Channel:
    """Frames from one descriptor and to another. Any thread may send, one receives.

    ``heard`` is when the last bytes came, by ``time.monotonic``, and ``listening`` whether the
    receiver waits for more.
    """

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self._sending = threading.Lock()
        self.heard, self.listening = time.monotonic(), False

    def send(self, header: Header, payload: Payload = b"") -> None:
        """Send one frame. Raises ``OSError`` where the other end is gone."""
        text = json.dumps(header).encode()
        head = LENGTHS.pack(len(text), len(payload)) + text
        with self._sending:
            if len(payload) <= SMALL:
                self._write(memoryview(head + payload))
                return
            self._write(memoryview(head))
            self._write(memoryview(payload))

    def beat(self) -> None:
        """Say that this end is there, unless something is being said. Never waits."""
        if self._sending.acquire(blocking=False):
            try:
                if select.select([], [self._sink], [], 0)[1]:
                    self._write(memoryview(LENGTHS.pack(2, 0) + b"{}"))
            finally:
                self._sending.release()

    def begin(self, text: bytes) -> None:
        """Send what comes before the first frame."""
        with self._sending:
            self._write(memoryview(text))

    def hang_up(self, patience: float) -> None:
        """Close the way out: whoever sends later gets an ``OSError``."""
        if self._sending.acquire(timeout=patience):
            try:
                if self._sink >= 0:
                    os.close(self._sink)
                self._sink = -1
            finally:
                self._sending.release()

    def _write(self, left: memoryview) -> None:
        while left:
            left = left[os.write(self._sink, left) :]

    def receive(self) -> Optional[Frame]:
        """Return the next frame; None where the other end has closed. Raises
        :class:`ChannelError`.
        """
        lengths = self._read(LENGTHS.size)
        if lengths is None:
            return None
        text_length, length = LENGTHS.unpack(bytes(lengths))
        if text_length > LARGEST or length > LARGEST:
            raise ChannelError("a frame of %d and %d bytes" % (text_length, length))
        text, payload = self._read(text_length), self._read(length)
        if text is None or payload is None:
            return None
        try:
            return json.loads(bytes(text)), bytes(payload)
        except ValueError as error:
            raise ChannelError("a header that is not JSON") from error

    def skip(self, marker: bytes, most: int) -> Tuple[bool, bytes]:
        """Take what comes up to a marker: whether it came within ``most`` bytes, and what did."""
        noise = bytearray()
        while not noise.endswith(marker):
            piece = os.read(self._source, _wanted(noise, marker)) if len(noise) < most else b""
            self.heard = time.monotonic()
            if not piece:
                return False, bytes(noise)
            noise += piece
        return True, bytes(noise)

    def close(self) -> None:
        """Close the way in, once nobody receives."""
        os.close(self._source)

    def _read(self, count: int) -> Optional[memoryview]:
        held = memoryview(bytearray(count))
        at = 0
        while at < count:
            self.listening = True
            try:
                got = os.readv(self._source, [held[at:]])
            finally:
                self.listening = False
                self.heard = time.monotonic()
            if not got:
                return None
            at += got
        return held


def _wanted(noise: Union[bytes, bytearray], marker: bytes) -> int:
    """Tell how many bytes can be read without reading past a marker that may have begun."""
    for length in range(len(marker) - 1, 0, -1):
        if noise.endswith(marker[:length]):
            return len(marker) - length
    return len(marker)
