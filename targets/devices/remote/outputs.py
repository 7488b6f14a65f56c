"""What a device answers, written into the host's own files as it comes: every item once."""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.targets.devices.culprit import Range
from edgekit.targets.devices.failures import no_space
from edgekit.types import Json


@dataclass
class _File:
    """An output of the host's: its descriptor, and where its rows begin."""

    descriptor: int
    begin: int


class RequestOutputs:
    """The outputs of one request's models, each with its folder; ``stop`` is the rows of a file.

    ``finished`` are the items of which all outputs are here.
    """

    def __init__(self, folders: Mapping[int, Path], stop: int) -> None:
        self._folders, self._stop = folders, stop
        self._files: dict[tuple[int, str], _File] = {}
        self.finished: list[Range] = []
        self._begun = self._latest = time.monotonic()

    def begin(self) -> None:
        """Begin a launch."""
        self._begun = self._latest = time.monotonic()

    def seconds(self) -> float:
        """Return the time from the launch's first outputs to its latest, in seconds."""
        return self._latest - self._begun

    def take(self, event: Mapping[str, Json], payload: bytes) -> None:
        """Take an event of a job. Raises :class:`StoreError` where the disk here is full."""
        if not self._folders:
            return
        try:
            if "head" in event:
                self._begun = self._latest = time.monotonic()
                self._open(event, payload)
            elif "rows" in event:
                self._write(event, payload)
            elif "file" in event:
                self._keep(event, payload)
            elif "finished" in event:
                start, stop = event["finished"]
                self.finished.append((int(start), int(stop)))
                self._latest = time.monotonic()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise no_space("the answers") from error

    def _open(self, event: Mapping[str, Json], head: bytes) -> None:
        key = int(event["output"]), str(event["head"])
        if key in self._files:
            return
        shape, dtype = _read(head)
        folder = self._folders[key[0]]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / Path(key[1]).name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        begin = os.write(descriptor, _head((self._stop, *shape[1:]), dtype))
        os.truncate(descriptor, begin + self._stop * int(event["row"]))
        self._files[key] = _File(descriptor, begin)

    def _write(self, event: Mapping[str, Json], payload: bytes) -> None:
        file = self._files[int(event["output"]), str(event["rows"])]
        _write_all(file.descriptor, payload, file.begin + int(event["at"]))

    def _keep(self, event: Mapping[str, Json], payload: bytes) -> None:
        """Keep a piece of a file that comes whole."""
        folder = self._folders[int(event["output"])]
        folder.mkdir(parents=True, exist_ok=True)
        path, at = folder / Path(str(event["file"])).name, int(event["at"])
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (0 if at else os.O_TRUNC)
        descriptor = os.open(path, flags, 0o666)
        try:
            _write_all(descriptor, payload, at)
        finally:
            os.close(descriptor)

    def left(self, wanted: Range) -> list[Range]:
        """Return the ranges of items that are not here yet, in order."""
        ranges, at = [], wanted[0]
        for start, stop in sorted(self.finished):
            if start > at:
                ranges.append((at, start))
            at = max(at, stop)
        return [*ranges, (at, wanted[1])] if at < wanted[1] else ranges

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            os.close(file.descriptor)
        self._files.clear()


def _write_all(descriptor: int, payload: bytes, at: int) -> None:
    left = memoryview(payload)
    while left:
        count = os.pwrite(descriptor, left, at)
        left, at = left[count:], at + count


def _read(head: bytes) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Read shape and dtype of the head of an ``.npy`` file. Source: ``numpy.lib.format``."""
    file = io.BytesIO(head)
    form: Any = np.lib.format
    version = form.read_magic(file)
    read = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _head(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> bytes:
    file = io.BytesIO()
    described = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    form: Any = np.lib.format
    form.write_array_header_1_0(file, described)
    return file.getvalue()
