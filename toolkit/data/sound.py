"""Samples in ``.wav`` files: 16-bit PCM and float, any number of channels.

Source: Microsoft and IBM (1991), "Multimedia Programming Interface and Data Specifications 1.0",
and Microsoft's ``WAVEFORMATEXTENSIBLE``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError

CODE = "EK-DATA-085"
SUFFIX = ".wav"
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
DTYPES = {(PCM, 16): "<i2", (FLOAT, 32): "<f4", (FLOAT, 64): "<f8"}
FULL_SCALE = 32768


@dataclass(frozen=True)
class Wave:
    """Where the samples of a file are: ``count`` of them for each of the ``channels``, ``rate`` a
    second.
    """

    path: Path
    rate: int
    channels: int
    count: int
    dtype: str
    offset: int

    def samples(self, most: int) -> npt.NDArray[np.float32]:
        """Return the first samples, ``most`` of them, in -1 to 1, the mean of all channels."""
        dtype, count = np.dtype(self.dtype), min(most, self.count)
        with self.path.open("rb") as file:
            file.seek(self.offset)
            content = file.read(count * self.channels * dtype.itemsize)
        values = np.frombuffer(content, dtype).reshape(-1, self.channels).astype(np.float32)
        if dtype.kind == "i":
            values /= FULL_SCALE
        mean: npt.NDArray[np.float32] = values.mean(axis=1, dtype=np.float32)
        return mean


def is_sound(name: str) -> bool:
    """Tell whether a file is a sound by its name."""
    return name.lower().endswith(SUFFIX)


def opened(path: Path, shown: str) -> Wave:
    """Read the head of a file, which errors call ``shown``.

    Raises :class:`DataError` where it is not a ``.wav``, is cut off, or is encoded otherwise.
    """
    try:
        with path.open("rb") as file:
            return _parsed(file, path, shown)
    except OSError as error:
        raise DataError("EK-DATA-003", f"{shown} cannot be read: {error.strerror}") from error


def _parsed(file: BinaryIO, path: Path, shown: str) -> Wave:
    size = path.stat().st_size
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise DataError(CODE, f"{shown} is not a .wav file", "it has no RIFF header: convert it")
    known: tuple[Any, ...] | None = None
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        begin = file.tell()
        if name == b"fmt " and length >= 16:
            known = _format(file.read(min(length, 40)), shown)
        elif name == b"data":
            return _wave(path, shown, known, begin, (length, size))
        # A chunk of odd length is followed by a byte.
        file.seek(begin + length + length % 2)
    raise DataError(CODE, f"{shown} has no samples", "it is cut off: copy it again")


def _format(content: bytes, shown: str) -> tuple[int, int, str]:
    """Return the rate, the channels and the dtype that a chunk ``fmt`` tells."""
    if len(content) < 16:
        raise DataError(CODE, f"{shown} is cut off", "copy it again")
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
    if tag == EXTENSIBLE and len(content) >= 26:
        tag = struct.unpack("<H", content[24:26])[0]
    dtype = DTYPES.get((tag, bits))
    if dtype is None or not channels or not rate:
        message = f"{shown} is encoded as format {tag} with {bits} bits, {channels} channels"
        hint = "edgekit reads 16-bit PCM and float: `ffmpeg -i in.wav -c:a pcm_s16le out.wav`"
        raise DataError(CODE, message, hint)
    return rate, channels, dtype


def _wave(
    path: Path, shown: str, known: tuple[Any, ...] | None, begin: int, sizes: tuple[int, int]
) -> Wave:
    length, size = sizes
    if known is None:
        raise DataError(CODE, f"{shown} does not say how its samples are encoded", "convert it")
    rate, channels, dtype = known
    count = length // (channels * np.dtype(dtype).itemsize)
    if begin + length > size:
        message = f"{shown} is cut off: {size - begin:,} of {length:,} bytes of samples are there"
        raise DataError(CODE, message, "copy it again")
    if not count:
        raise DataError(CODE, f"{shown} has no samples", "take it out")
    return Wave(path, rate, channels, count, dtype, begin)
