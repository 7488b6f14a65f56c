"""The warm-up file of TensorFlow Serving: requests that it answers before it serves a model.

A TFRecord of ``PredictionLog`` messages, whose few fields are written here without TensorFlow.
Source: SavedModel Warmup, TensorFlow Serving documentation; prediction_log.proto, predict.proto.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

PLACE = "assets.extra/tf_serving_warmup_requests"
# DataType of TensorFlow's types.proto.
DTYPES = {
    **{"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "int64": 9},
    **{"bool": 10, "uint16": 17, "float16": 19, "uint32": 22, "uint64": 23},
}
# Castagnoli's polynomial, and what TFRecord adds to a rotated checksum.
POLYNOMIAL, MASK = 0x82F63B78, 0xA282EAD8
Arrays = Mapping[str, npt.NDArray[Any]]


def warmup_file(name: str, signature: str, inputs: Arrays) -> bytes:
    """Return a file of one request: the inputs of a model's signature, with their batch."""
    spec = _text(1, name) + _text(3, signature)
    request = _field(1, spec)
    for key, array in sorted(inputs.items()):
        request += _field(2, _text(1, key) + _field(2, _tensor(array)))
    return record(_field(6, _field(1, request)))


def record(content: bytes) -> bytes:
    """Return a record of a TFRecord file: its length and its bytes, each with a checksum."""
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _tensor(array: npt.NDArray[Any]) -> bytes:
    sizes = b"".join(_field(2, _number(1, size)) for size in array.shape)
    content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return _number(1, DTYPES[array.dtype.name]) + _field(2, sizes) + _field(4, content)


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _checksum(content: bytes) -> bytes:
    checksum = 0xFFFFFFFF
    table = _table()
    for byte in content:
        checksum = table[(checksum ^ byte) & 0xFF] ^ checksum >> 8
    checksum ^= 0xFFFFFFFF
    rotated = (checksum >> 15 | checksum << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + MASK) & 0xFFFFFFFF)


@functools.cache
def _table() -> tuple[int, ...]:
    """Return what each byte adds to a CRC-32C."""
    rows = []
    for row in range(256):
        for _ in range(8):
            row = row >> 1 ^ (POLYNOMIAL if row & 1 else 0)
        rows.append(row)
    return tuple(rows)
