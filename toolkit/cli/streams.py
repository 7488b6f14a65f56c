"""Standard output and error that survive a closed pipe, a full disk, and an ASCII terminal.

None of these changes the verdict: the exit code stays when only the reader of a pipe has left, and
output that is lost is an error of its own.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

PLAIN = {
    "–": "-",
    "—": "-",
    "−": "-",
    "µ": "u",
    "μ": "u",
    "×": "x",
    "…": "...",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "±": "+-",
    "·": ".",
    "°": " deg ",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "•": "*",
    # The levels of a sparkline.
    **dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True)),
}
ERRORS = "edgekit-plain"
# Marks that a letter loses.
COMBINING = "Mn"


@dataclass
class Lost:
    """Why standard output could not be written, where it could not."""

    reason: str = ""


class _Descriptor(io.RawIOBase):
    """A file descriptor whose failures are kept, not raised: what follows one is dropped."""

    def __init__(self, number: int, lost: Lost, closed: bool) -> None:
        super().__init__()
        self._number, self._lost = number, lost
        self._failed = False
        self._closed_before = closed

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return not self._closed_before and os.isatty(self._number)

    def write(self, data: Any) -> int:
        content = memoryview(data).cast("B")
        if self._failed:
            return len(content)
        try:
            if self._closed_before:
                raise OSError(errno.EBADF, "it is closed")
            return os.write(self._number, content)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._failed = True
            if error.errno != errno.EPIPE:
                self._lost.reason = error.strerror or str(error)
            return len(content)


class _Plain(io.TextIOWrapper):
    """Text for a terminal that knows ASCII alone."""

    def write(self, text: str) -> int:
        super().write(text.encode("ascii", ERRORS).decode("ascii"))
        return len(text)


@contextlib.contextmanager
def guarded() -> Iterator[Lost]:
    """Replace the process's own streams, and yield whether standard output was lost.

    Streams that are not the process's own, as a test's, are left alone.
    """
    if (sys.stdout, sys.stderr) != (sys.__stdout__, sys.__stderr__):
        yield Lost()
        return
    kept, lost = (sys.stdout, sys.stderr), Lost()
    codecs.register_error(ERRORS, _plain)
    shut = _fill_gaps()
    sys.stdout = _stream(sys.stdout, 1, lost, 1 in shut)
    sys.stderr = _stream(sys.stderr, 2, Lost(), 2 in shut)
    try:
        yield lost
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            # Closing it would close the descriptor.
            stream.detach().detach()  # type: ignore[attr-defined]
        sys.stdout, sys.stderr = kept


def _fill_gaps() -> tuple[int, ...]:
    """Fill closed standard descriptors, so that no file is opened in their place; return them."""
    closed = []
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            closed.append(number)
    return tuple(closed)


def _stream(stream: Any, number: int, lost: Lost, closed: bool) -> io.TextIOWrapper:
    encoding = codecs.lookup(getattr(stream, "encoding", None) or "utf-8").name
    buffer = io.BufferedWriter(_Descriptor(number, lost, closed))
    line = number == 2 or buffer.isatty()
    if encoding == "ascii":
        # A name that no library replaces by one of its own choosing; all that is written is ASCII.
        return _Plain(buffer, "latin-1", line_buffering=line)
    errors = "backslashreplace" if encoding.startswith("utf") else ERRORS
    return io.TextIOWrapper(buffer, encoding, errors, line_buffering=line)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_ascii, text)), error.end


def _ascii(character: str) -> str:
    if character in PLAIN:
        return PLAIN[character]
    parts = unicodedata.normalize("NFKD", character)
    kept = "".join(part for part in parts if unicodedata.category(part) != COMBINING)
    return kept if kept.isascii() else character.encode("ascii", "backslashreplace").decode()
