"""A model in a native runner: its tensors, its items as it takes them, its answers and refusals."""

from __future__ import annotations

import contextlib
import errno
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError, RunnerError, RuntimeCannotRun
from edgekit.targets.devices.culprit import Range
from edgekit.targets.devices.failures import models_of, no_space
from edgekit.targets.runners.python_runner import TensorInfo, decode, encode, file_name
from edgekit.types import Json, ModelResult, Request

# Element types that a file of items can hold. Source: "litert/c/litert_model_types.h".
DTYPES = {
    1: "float32",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
    10: "float16",
    11: "float64",
    13: "uint64",
    16: "uint32",
    17: "uint16",
}
# Items that are encoded at once.
CHUNK = 1024


@dataclass(frozen=True)
class OpenedModel:
    """What the runner tells of a loaded model: nanoseconds, tensors by name in the file's order."""

    load_ns: int
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


def opened(lines: Sequence[str]) -> OpenedModel:
    """Return the runner's answer to ``open``. Raises ValueError for what cannot be fed or
    answered.
    """
    load = 0
    tensors: dict[str, dict[str, TensorInfo]] = {"input": {}, "output": {}}
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "load":
            load = int(rest)
            continue
        element, scale, zero, rank, rest = rest.split(" ", 4)
        *shape, name = rest.split(" ", int(rank))
        info = TensorInfo(
            len(tensors[word]),
            tuple(map(int, shape)),
            np.dtype(DTYPES[int(element)]),
            float(np.float32(float.fromhex(scale))),
            int(zero),
        )
        if info.shape and info.shape[0] != 1:
            shaped = f"{word} {name!r} is shaped {list(info.shape)}"
            raise ValueError(f"{shaped}: its first dimension is not a batch of 1")
        tensors[word][name] = info
    return OpenedModel(load, tensors["input"], tensors["output"])


def encode_items(
    raw: npt.NDArray[Any],
    index: npt.NDArray[Any] | None,
    items: range,
    info: TensorInfo,
    preprocess: Mapping[str, Json],
    path: Path,
) -> None:
    """Write items as an input takes them, to the bit as ``python_runner.encode`` makes them.

    Raises ValueError for items of another size, and OSError.
    """
    shape = (len(items), *info.shape[1:])
    with contextlib.closing(Rows(path, info.dtype, shape)) as rows:
        for at in range(0, len(items), CHUNK):
            part = items[at : at + CHUNK]
            which = slice(part.start, part.stop)
            chosen = raw[which] if index is None else raw[index[which]]
            value = encode(np.asarray(chosen), info, dict(preprocess))
            rows.write(at, value.reshape(len(part), *info.shape[1:]))


class Rows:
    """A ``.npy`` file that is written row by row.

    Not through memory, where a full disk is a SIGBUS.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
        self._dtype = np.dtype(dtype)
        self._size = self._dtype.itemsize * math.prod(shape[1:])
        formats: Any = np.lib.format
        described = formats.dtype_to_descr(self._dtype)
        head = {"descr": described, "fortran_order": False, "shape": shape}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb")
        formats.write_array_header_1_0(self._file, head)
        self._file.flush()
        self._begin = self._file.tell()

    def write(self, at: int, rows: npt.NDArray[Any]) -> None:
        """Write some rows from number ``at`` on. Raises OSError."""
        self._file.seek(self._begin + at * self._size)
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())

    def close(self) -> None:
        """Write what is held. Raises OSError where there is no room for it."""
        self._file.close()


class EvaluationOutputs:
    """The outputs of an evaluation in ``folder``, one file each, dequantized."""

    def __init__(self, folder: Path, infos: Mapping[str, TensorInfo], stop: int) -> None:
        self._infos = infos
        self.paths = {name: folder / f"{file_name(name)}.npy" for name in infos}
        self._rows = {
            name: Rows(self.paths[name], np.float32, (stop, *info.shape[1:]))
            for name, info in infos.items()
        }

    def take(self, start: int, stop: int, payload: bytes) -> None:
        """Keep a block: each output's items, one output after another. Raises OSError."""
        at = 0
        for name, info in self._infos.items():
            shape = (stop - start, *info.shape[1:])
            size = math.prod(shape) * info.dtype.itemsize
            value = np.frombuffer(payload[at : at + size], info.dtype).reshape(shape)
            self._rows[name].write(start, decode(value, info))
            at += size

    def close(self) -> None:
        """Write what is held; a second time does nothing. Raises OSError."""
        for rows in self._rows.values():
            rows.close()


@dataclass
class Loaded:
    """A model in a process: what it is, its phases, and its number of items there."""

    opened: OpenedModel
    items: range
    first_ns: int = 0
    memory: Mapping[str, int] = field(default_factory=dict)


class Answering:
    """An evaluation of items ``start`` to ``stop``, of which those before ``done`` are here."""

    def __init__(self, folder: Path, start: int, stop: int) -> None:
        self._folder, self.start, self.stop = folder, start, stop
        self.done = start
        self._outputs: EvaluationOutputs | None = None

    @property
    def paths(self) -> Mapping[str, Path]:
        """The outputs' files, by name."""
        return self._outputs.paths if self._outputs else {}

    def open(self, found: OpenedModel) -> None:
        """Make the files, the first time."""
        self._outputs = self._outputs or EvaluationOutputs(self._folder, found.outputs, self.stop)

    def take(self, first: int, last: int, payload: bytes) -> None:
        """Keep a block, whose items are counted from ``start`` on.

        Raises ``ValueError`` where :meth:`open` has made no files for it.
        """
        if self._outputs is None:
            raise ValueError("a block came before its model")
        self._outputs.take(self.start + first, self.start + last, payload)
        self.done = self.start + last

    def at(self, running: Range | None) -> Range | None:
        """Return what a runner was at, in positions of the request."""
        return (self.start + running[0], self.start + running[1]) if running else None

    def close(self) -> None:
        """Write what is held; a second time does nothing. Raises OSError."""
        if self._outputs is not None:
            self._outputs.close()

    def drop(self) -> None:
        """Let the files go, where an error is on its way already."""
        with contextlib.suppress(OSError):
            self.close()


def phases(loaded: Loaded) -> ModelResult:
    """Return what a result says of a loaded model."""
    return {
        "load_ns": loaded.opened.load_ns,
        "first_ns": loaded.first_ns,
        "memory": dict(loaded.memory),
    }


def refusal(request: Request, why: str) -> RunnerError:
    """Return the error of what the native runner does not take."""
    return RuntimeCannotRun("EK-RUNNER-002", f"native cannot run {models_of(request)}", why)


def full(request: Request, error: OSError) -> EdgekitError:
    """Return the error of a file of this host that cannot be written."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return refusal(request, str(error))
    return no_space(f"what {models_of(request)} answers")
