"""What a runner writes into a folder, sent to the host: block by block, or file by file at the end.

The files are ``.npy``, items first. Source: numpy's ``numpy.lib.format``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
from pathlib import Path
from typing import Any, Dict, List, Tuple

from .channel import PIECE
from .serving import Call

SHAPE = re.compile(rb"'shape': \((\d+),([^)]*)\)")
Range = Tuple[int, int]


class ModelOutputs:
    """The outputs of one model of a job; ``number`` is its place in the request."""

    def __init__(self, call: Call, number: int, folder: Path) -> None:
        self._call, self._number, self._folder = call, number, folder
        # By file: where its rows begin, and the bytes of a row.
        self._files: Dict[str, Tuple[int, int]] = {}
        self._read: Dict[str, int] = {}

    def tell_finished(self) -> None:
        """Send the items that were finished since."""
        for start, stop in merged(self._finished()):
            if not self._files:
                self._announce()
            for name, (begin, row) in self._files.items():
                self._tell(name, begin, row, start, stop)
            self._call.event({"finished": [start, stop], "output": self._number})

    def _finished(self) -> List[Range]:
        ranges = []
        for path in sorted(self._folder.glob("finished-*")):
            with path.open("rb") as file:
                file.seek(self._read.get(path.name, 0))
                text = file.read()
            # A line that is being written has no end yet.
            whole = text[: text.rfind(b"\n") + 1]
            self._read[path.name] = self._read.get(path.name, 0) + len(whole)
            for line in whole.splitlines():
                start, stop = json.loads(line)
                ranges.append((start, stop))
        return ranges

    def _announce(self) -> None:
        """Send the head of every file."""
        for path in sorted(self._folder.glob("*.npy")):
            with path.open("rb") as file:
                head = header(file)
            matched = SHAPE.search(head)
            if matched is not None and int(matched.group(1)):
                row = (path.stat().st_size - len(head)) // int(matched.group(1))
                self._files[path.name] = len(head), row
                self._call.event({"head": path.name, "output": self._number, "row": row}, head)

    def _tell(self, name: str, begin: int, row: int, start: int, stop: int) -> None:
        at, end = begin + start * row, begin + stop * row
        with (self._folder / name).open("rb") as file:
            while at < end:
                piece = os.pread(file.fileno(), min(PIECE, end - at), at)
                if not piece:
                    raise OSError(0, "it ends early", str(self._folder / name))
                place = {"rows": name, "output": self._number, "at": at - begin}
                self._call.event(place, piece)
                at += len(piece)

    def tell_rest(self) -> None:
        """Send the files of which nothing was sent yet, whole."""
        for path in sorted(self._folder.glob("*.npy")):
            if path.name not in self._files:
                with path.open("rb") as file:
                    at = 0
                    for piece in iter(lambda: file.read(PIECE), b""):
                        self._call.event(
                            {"file": path.name, "output": self._number, "at": at}, piece
                        )
                        at += len(piece)

    def running(self) -> List[Range]:
        """Return the items that the runner was at when it ended."""
        return running(self._folder)

    def unwritten(self) -> int:
        """Return bytes of the files for which the disk has given no space yet."""
        return unwritten(self._folder)


def running(folder: Path, since: float = 0.0) -> List[Range]:
    """Return the items that a runner's processes were at, as they wrote into its outputs."""
    ranges = []
    for path in sorted(folder.glob("progress-*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            if path.stat().st_mtime >= since:
                start, stop = json.loads(path.read_text())["items"]
                ranges.append((int(start), int(stop)))
    return ranges


def unwritten(folder: Path) -> int:
    """Return bytes of outputs for which the disk has given no space yet."""
    sizes = [path.stat() for path in folder.glob("*.npy")]
    return sum(max(0, size.st_size - size.st_blocks * 512) for size in sizes)


def header(file: Any) -> bytes:
    """Return the bytes of an ``.npy`` file before its values."""
    start: bytes = file.read(8)
    form = "<H" if start[6:7] == b"\x01" else "<I"
    length: bytes = file.read(struct.calcsize(form))
    text: bytes = file.read(struct.unpack(form, length)[0])
    return start + length + text


def merged(ranges: List[Range]) -> List[Range]:
    """Return the ranges in order, those that touch as one."""
    joined: List[Range] = []
    for start, stop in sorted(ranges):
        if joined and joined[-1][1] == start:
            joined[-1] = joined[-1][0], stop
        else:
            joined.append((start, stop))
    return joined
