"""Bounded reading of flatbuffer tables: every offset is checked before it is followed.

Source: "FlatBuffers Internals" of the FlatBuffers documentation.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # numpy is imported where vectors are read
    import numpy.typing as npt

# Far above what real models hold (some ten thousand tensors): past it, tables point at each other
# over and over to keep a reader busy.
MOST_TABLES = 200_000
MOST_BYTES_PER_BYTE = 16
SPARE_BYTES = 1 << 20


class DamagedFile(ValueError):
    """A file whose offsets lead outside it, or in circles."""


class FileBytes:
    """The bytes of a file, and how much of them may still be walked."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._tables = MOST_TABLES
        self._bytes = MOST_BYTES_PER_BYTE * len(data) + SPARE_BYTES

    def root(self) -> Table:
        """Return the root table. Raises :class:`DamagedFile`."""
        return Table(self, self.number("<I", 0))

    def number(self, form: str, at: int) -> int:
        """Return the number at a byte offset, in a format of :mod:`struct`."""
        if not 0 <= at <= len(self.data) - struct.calcsize(form):
            raise DamagedFile(f"it ends before byte {at + struct.calcsize(form):,}")
        return int(struct.unpack_from(form, self.data, at)[0])

    def span(self, at: int, size: int) -> tuple[int, int]:
        """Return the same span, checked to lie inside the file."""
        if not 0 <= at <= at + size <= len(self.data):
            raise DamagedFile(f"{size:,} bytes from byte {at:,} do not lie inside it")
        return at, size

    def spend(self, tables: int = 0, size: int = 0) -> None:
        """Count the bytes and tables read, and stop far above what a real model has."""
        self._tables -= tables
        self._bytes -= size
        if self._tables < 0 or self._bytes < 0:
            raise DamagedFile("its tables refer to each other more often than any real model's do")


class Table:
    """One table of a file: its fields by number, each absent, a scalar, a vector or a table."""

    def __init__(self, content: FileBytes, at: int) -> None:
        content.spend(tables=1)
        self.content, self.at = content, at
        self._vtable = at - content.number("<i", at)
        self._size = content.number("<H", self._vtable)
        content.span(self._vtable, max(self._size, 4))

    def place(self, field: int) -> int | None:
        """Return the byte where a field lies; None if it is absent."""
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return None
        offset = self.content.number("<H", self._vtable + entry)
        return self.at + offset if offset else None

    def scalar(self, field: int, form: str, default: int = 0) -> int:
        place = self.place(field)
        return default if place is None else self.content.number(form, place)

    def table(self, field: int) -> Table | None:
        place = self.place(field)
        return None if place is None else Table(self.content, self._follow(place))

    def span(self, field: int, item: int) -> tuple[int, int]:
        """Return where a vector's elements lie, and their size in bytes; ``(0, 0)`` if absent."""
        place = self.place(field)
        if place is None:
            return 0, 0
        begin = self._follow(place)
        return self.content.span(begin + 4, item * self.content.number("<I", begin))

    def array(self, field: int, dtype: Any) -> npt.NDArray[Any]:
        """Read a vector of numbers."""
        import numpy as np

        kind = np.dtype(dtype)
        at, size = self.span(field, kind.itemsize)
        self.content.spend(size=size)
        return np.frombuffer(self.content.data, kind, size // kind.itemsize, at if size else 0)

    def text(self, field: int) -> str:
        at, size = self.span(field, 1)
        self.content.spend(size=size)
        return self.content.data[at : at + size].decode(errors="replace")

    def tables(self, field: int) -> list[Table]:
        """Read a vector of tables."""
        at, size = self.span(field, 4)
        self.content.spend(tables=size // 4)
        return [Table(self.content, self._follow(place)) for place in range(at, at + size, 4)]

    def _follow(self, place: int) -> int:
        return place + self.content.number("<I", place)
