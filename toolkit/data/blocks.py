"""Items streamed into ``.npy`` files a block at a time: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edgekit.data.dataset import CHUNK, refuse_objects
from edgekit.errors import DataError

Array = npt.NDArray[Any]
# Numpy's reader and writer of .npy headers, which has no types.
FORMAT: Any = np.lib.format


class ArrayWriter:
    """Appends items to one ``.npy`` file of as yet unknown length.

    The first items set the shape. An item of a wider dtype, or a longer string, has what is there
    written again in that dtype, so no value is cut. Raises :class:`DataError` where an item is
    shaped otherwise, or holds objects.
    """

    def __init__(self, path: Path, source: str, name: str) -> None:
        self._path, self._source, self._name = path, source, name
        self._file: BinaryIO | None = None
        self._shape: tuple[int, ...] = ()
        self._dtype: np.dtype[Any] = np.dtype(np.uint8)
        self._waiting: list[Array] = []
        self._waiting_bytes = 0
        self.count = 0

    def add(self, item: Any) -> None:
        """Append one item."""
        array = np.asarray(item)
        self._waiting.append(array[None])
        self._waiting_bytes += array.nbytes
        self.count += 1
        if self._waiting_bytes >= CHUNK or len(self._waiting) >= 1 << 14:
            self._flush()

    def extend(self, items: Any) -> None:
        """Append items ``[n, ...]``."""
        array = np.asarray(items)
        self._flush()
        step = max(1, CHUNK // max(1, array[:1].nbytes))
        for at in range(0, len(array), step):
            self._write(array[at : at + step], self.count + at)
        self.count += len(array)

    def close(self) -> None:
        """Write what waits, and the header with the length."""
        self._flush()
        if self._file is not None:
            self._file.seek(0)
            self._write_header(self._file)
            self._file.close()

    def _flush(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        first = self.count - len(waiting)
        if not waiting:
            return
        # Numpy would make text of a number that stands among strings.
        same = len({(item.shape, item.dtype.kind == "U") for item in waiting}) == 1
        for at, block in enumerate([np.concatenate(waiting)] if same else waiting):
            self._write(block, first + at)

    def _write(self, block: Array, first: int) -> None:
        refuse_objects(self._source, self._name, block.dtype)
        file = self._file
        if file is None:
            self._shape, self._dtype = block.shape[1:], block.dtype.newbyteorder("=")
            file = self._begin()
        if block.shape[1:] != self._shape:
            message = (
                f"{self._source}: item {first} of {self._name!r} is shaped"
                f" {list(block.shape[1:])}, those before it {list(self._shape)}"
            )
            raise DataError("EK-DATA-007", message, "every item needs the same shape")
        file = self._widen(file, block.dtype, first)
        file.write(np.ascontiguousarray(block, self._dtype).tobytes())

    def _begin(self) -> BinaryIO:
        self._file = self._path.open("wb")
        self._write_header(self._file)
        return self._file

    def _widen(self, file: BinaryIO, dtype: np.dtype[Any], first: int) -> BinaryIO:
        """Write the file again where it is too narrow for what comes."""
        if (dtype.kind == "U") != (self._dtype.kind == "U"):
            message = (
                f"{self._source}: item {first} of {self._name!r} is {dtype},"
                f" those before it {self._dtype}"
            )
            raise DataError("EK-DATA-009", message, "an array holds numbers or strings, not both")
        wider = np.result_type(dtype, self._dtype)
        if wider == self._dtype:
            return file
        if wider.kind == "U":
            # Twice as wide as is needed now: a file is written again a few times at most.
            wider = np.dtype(f"U{2 * wider.itemsize // 4}")
        narrow, self._dtype = self._dtype, wider
        file.close()
        old = self._path.with_suffix(".narrow")
        self._path.rename(old)
        new = self._begin()
        with old.open("rb") as before:
            FORMAT.read_magic(before)
            FORMAT.read_array_header_1_0(before)
            step = max(1, CHUNK // narrow.itemsize) * narrow.itemsize
            while chunk := before.read(step):
                new.write(np.frombuffer(chunk, narrow).astype(wider).tobytes())
        old.unlink()
        return new

    def _write_header(self, file: BinaryIO) -> None:
        # Numpy pads the header so that the first dimension may grow: its length stays the same.
        header = {
            "descr": FORMAT.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.count, *self._shape),
        }
        FORMAT.write_array_header_1_0(file, header)


class Writer:
    """Streams items into a folder, one file per array, which need not be known beforehand.

    Raises :class:`DataError` where an item has other arrays than the first, is shaped otherwise,
    or holds objects.
    """

    def __init__(self, folder: Path, source: str) -> None:
        self._folder, self._source = folder, source
        self._arrays: dict[str, ArrayWriter] = {}
        self._files: dict[str, Path] = {}
        self.count = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays, in the order in which the first item has them."""
        return tuple(self._arrays)

    def add(self, item: Mapping[str, Any]) -> None:
        """Append one item: a value by array name."""
        self._expect(item)
        for name, value in item.items():
            self._arrays[name].add(value)
        self.count += 1

    def extend(self, items: Mapping[str, Any]) -> None:
        """Append items ``[n, ...]`` by array name. Raises DataError where they differ in number."""
        self._expect(items)
        sizes = {name: np.shape(value)[:1] for name, value in items.items()}
        if len(set(sizes.values())) > 1 or () in sizes.values():
            listed = ", ".join(f"{n!r} has {s[0] if s else 'no items'}" for n, s in sizes.items())
            message = f"{self._source}: arrays differ in length: {listed}"
            raise DataError("EK-DATA-007", message, "every array needs one entry per item")
        for name, value in items.items():
            self._arrays[name].extend(value)
        self.count += next(iter(sizes.values()))[0]

    def close(self) -> Mapping[str, Path]:
        """Finish the files; their paths by array name."""
        for array in self._arrays.values():
            array.close()
        if self.count == 0:
            raise DataError("EK-DATA-003", f"{self._source} has no items")
        return self._files

    def _expect(self, item: Mapping[str, Any]) -> None:
        if not self._arrays:
            self._files = {n: self._folder / f"{k:03d}.npy" for k, n in enumerate(item)}
            self._arrays = {n: ArrayWriter(p, self._source, n) for n, p in self._files.items()}
        if item.keys() != self._arrays.keys():
            odd = ", ".join(sorted(item.keys() ^ self._arrays.keys()))
            message = f"{self._source}: item {self.count} has other arrays than the first: {odd}"
            raise DataError("EK-DATA-007", message, "every item needs the same arrays")
