"""Boards at a pseudo-terminal: the firmware's own C protocol over TFLM of the Python package."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import select
import shutil
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.sample_apps import FOLDER
from edgekit.targets.runners import FOLDER as RUNNERS

FIRMWARE = FOLDER / "microcontroller_serial"
PLANTS = Path(__file__).resolve().parent / "targets" / "firmware"
SIZE = "#include <edgekit_serial.h>\nconst unsigned long edgekit_size = sizeof(edgekit_serial);\n"
RANK = 6


def compile_c(output: Path, *arguments: object) -> Path:
    """A program or library from C, or the test is skipped."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not installed: the Debian package gcc")
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{FIRMWARE}"]
    command = [gcc, *strict, *map(str, arguments), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output


def build_library(folder: Path, *flags: str) -> Path:
    """``edgekit_serial.c`` as a shared library."""
    size = folder / "size.c"
    size.write_text(SIZE)
    source = FIRMWARE / "edgekit_serial.c"
    trap = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
    return compile_c(folder / "firmware.so", "-shared", "-fPIC", "-O1", *trap, *flags, source, size)


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_char_p),
        ("shape", ctypes.c_uint32 * RANK),
        ("rank", ctypes.c_uint32),
        ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32),
        ("data", ctypes.c_void_p),
        ("bytes", ctypes.c_uint32),
    )


_Number = ctypes.CFUNCTYPE(ctypes.c_uint32)
_Problem = ctypes.CFUNCTYPE(ctypes.c_void_p)
_Read = ctypes.CFUNCTYPE(ctypes.c_int)
_Write = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t)
_Open = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
_Find = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.POINTER(_Tensor))


class _Platform(ctypes.Structure):
    _fields_ = (
        ("read", _Read),
        ("write", _Write),
        ("ticks", _Number),
        ("rate", ctypes.c_uint32),
        ("board", ctypes.c_char_p),
        ("processor", ctypes.c_char_p),
        ("system", ctypes.c_char_p),
        ("emulator", ctypes.c_char_p),
    )


class _Backend(ctypes.Structure):
    _fields_ = (
        ("runtime", ctypes.c_char_p),
        ("arena_bytes", ctypes.c_uint32),
        ("open", _Open),
        ("invoke", _Problem),
        ("reset", _Problem),
        ("inputs", _Number),
        ("outputs", _Number),
        ("tensor", _Find),
        ("arena_used", _Number),
        ("stateful", _Number),
    )


class _Memory(ctypes.Structure):
    _fields_ = (
        ("model", ctypes.c_char_p),
        ("model_bytes", ctypes.c_uint32),
        ("inputs", ctypes.c_char_p),
        ("inputs_bytes", ctypes.c_uint32),
        ("space", ctypes.c_char_p),
        ("space_bytes", ctypes.c_uint32),
    )


class TFLMBackend:
    """TFLM of the tflite-micro package, as the firmware's backend."""

    def __init__(self, arena_bytes: int, stateful: bool) -> None:
        if str(RUNNERS) not in sys.path:
            sys.path.insert(0, str(RUNNERS))
        self._arena, self._stateful = arena_bytes, stateful
        self._model: Any = None
        self._buffers: dict[tuple[int, int], Any] = {}
        self._named: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self._ends: list[list[tuple[str, Any]]] = [[], []]
        self._text = ctypes.create_string_buffer(b"")
        self.items: list[Any] = []
        self.before_invoke: Callable[[Any], None] = lambda _: None

    def structure(self, runtime: bytes) -> _Backend:
        """The C structure; it holds what C calls."""
        return _Backend(
            runtime,
            self._arena,
            _Open(self._open),
            _Problem(self._invoke),
            _Problem(self._reset),
            _Number(lambda: len(self._ends[0])),
            _Number(lambda: len(self._ends[1])),
            _Find(self._tensor),
            _Number(lambda: 0),
            _Number(lambda: int(self._stateful)),
        )

    def _problem(self, error: Exception) -> int:
        self._text = ctypes.create_string_buffer(str(error).encode())
        return ctypes.addressof(self._text)

    def _open(self, model: int, length: int) -> int | None:
        import tflm_runner

        content = ctypes.string_at(model, length)
        try:
            tflm_runner.tensor_names(content)
            opened = tflm_runner.TFLMModel(tflm_runner.interpreter_of(), content, self._arena)
        except Exception as error:
            return self._problem(error)
        self._model = opened
        self._ends = [
            sorted(ends.items(), key=lambda end: end[1].index)
            for ends in (opened.inputs, opened.outputs)
        ]
        self._buffers = {
            (side, at): np.zeros(info.shape, info.dtype)
            for side in (0, 1)
            for at, (_, info) in enumerate(self._ends[side])
        }
        return None

    def _tensor(self, side: int, which: int, found: Any) -> int | None:
        name, info = self._ends[side][which]
        buffer, tensor = self._buffers[side, which], found[0]
        # C keeps only the addresses.
        self._named[side, which] = name.encode(), str(info.dtype).encode()
        tensor.name, tensor.dtype = self._named[side, which]
        tensor.rank = len(info.shape)
        for at, size in enumerate(info.shape):
            tensor.shape[at] = size
        tensor.scale, tensor.zero_point = info.scale, info.zero
        tensor.data, tensor.bytes = buffer.ctypes.data, buffer.nbytes
        return None

    def _invoke(self) -> int | None:
        feeds = {name: self._buffers[0, at] for at, (name, _) in enumerate(self._ends[0])}
        item = next(iter(feeds.values())).copy()
        self.items.append(item)
        self.before_invoke(item)
        try:
            self._model.stage(feeds)
            self._model.invoke()
        except Exception as error:
            return self._problem(error)
        for at, (name, _) in enumerate(self._ends[1]):
            self._buffers[1, at][...] = self._model.fetch()[name]
        for at in range(len(self._ends[0])):
            # TFLM writes over its inputs where the arena is tight.
            self._buffers[0, at].fill(77)
        return None

    def _reset(self) -> None:
        self._model.reset()


@dataclass
class Noise:
    """What a bad line does to bytes, from a seed: chances of each byte to be hit."""

    flip: float = 0.0
    drop: float = 0.0
    insert: float = 0.0
    seed: int = 1
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def __call__(self, content: bytes) -> bytes:
        found = bytearray()
        for byte in content:
            if self.random.random() < self.drop:
                continue
            if self.random.random() < self.insert:
                found.append(self.random.randrange(256))
            hit = self.random.random() < self.flip
            found.append(byte ^ 1 << self.random.randrange(8) if hit else byte)
        return bytes(found)


class Reset(Exception):
    """The board is to begin anew."""


@dataclass
class Board(contextlib.AbstractContextManager["Board"]):
    """A board whose serial port is ``folder/ttyBOARD``, a link to a pseudo-terminal.

    ``events`` says what happens before the host's command of a sequence number is read, in its
    first conversation: ``reset`` or ``unplug`` (for ``away`` seconds).
    ``crashes`` tells the items on which the firmware crashes in mid-run. ``rate`` is the true
    rate of the board's counter, ``stated`` what the firmware says.
    """

    library: Path
    folder: Path
    model: bytes = b""
    space: int = 0
    arena: int = 1 << 18
    to_host: Callable[[bytes], bytes] = bytes
    to_board: Callable[[bytes], bytes] = bytes
    echo: bool = False
    events: Mapping[int, str] = field(default_factory=dict)
    crashes: Callable[[Any], bool] = lambda _: False
    stateful: bool = False
    away: float = 0.3
    rate: int = 1_000_000
    stated: int = 0
    boots: int = 0
    text: bytes = b"\x00\xffets Jul 29 2019 <boot> 12:21:46\r\n"

    def __enter__(self) -> Board:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.folder / "ttyBOARD"
        self.backend = TFLMBackend(self.arena, self.stateful)
        self.backend.before_invoke = self._before_invoke
        self._stop = threading.Event()
        self._dead, self._line = False, bytearray()
        self._load()
        self._plug()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._unplug()

    @property
    def address(self) -> str:
        return f"serial://{self.port}@921600"

    def _load(self) -> None:
        self._c = ctypes.CDLL(str(self.library))
        size = ctypes.c_ulong.in_dll(self._c, "edgekit_size").value
        self._serial = ctypes.create_string_buffer(size)
        self._structures = (
            _Platform(
                _Read(lambda: -1),
                _Write(self._write),
                _Number(self._ticks),
                self.stated or self.rate,
                b"pty-board",
                b"cortex-m0",
                b"",
                b"",
            ),
            self.backend.structure(b"tflm-test"),
        )
        self._inputs = ctypes.create_string_buffer(1 << 16)
        self._space = ctypes.create_string_buffer(max(1, self.space))
        self._flash = ctypes.create_string_buffer(self.model, max(1, len(self.model)))
        address = ctypes.addressof
        self._memory = _Memory(
            ctypes.cast(address(self._flash), ctypes.c_char_p),
            len(self.model),
            ctypes.cast(address(self._inputs), ctypes.c_char_p),
            len(self._inputs),
            ctypes.cast(address(self._space), ctypes.c_char_p),
            self.space,
        )

    def _plug(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        new = self.port.with_suffix(".new")
        new.symlink_to(os.ttyname(self._slave))
        new.replace(self.port)

    def _unplug(self) -> None:
        self.port.unlink(missing_ok=True)
        for end in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(end)

    def _live(self) -> None:
        self._boot()
        while not self._stop.is_set():
            try:
                if select.select([self._master], [], [], 0.05)[0]:
                    self._take(self.to_board(os.read(self._master, 4096)))
            except Reset:
                self._boot()

    def _take(self, content: bytes) -> None:
        if self.echo:
            self._send(content)
        for byte in content:
            self._line.append(byte)
            if byte == ord("\n"):
                self._happen(self._event(bytes(self._line)))
                self._line.clear()
            self._c.edgekit_serial_take(self._serial, ctypes.c_uint8(byte))
            if self._dead:
                raise Reset

    def _event(self, line: bytes) -> str:
        number = line[10:18]
        return self.events.get(int(number, 16), "") if self.boots == 1 and number.isalnum() else ""

    def _happen(self, event: str) -> None:
        if event == "reset":
            raise Reset
        if event == "unplug":
            self._unplug()
            self._stop.wait(self.away)
            self._plug()
            raise Reset

    def _boot(self) -> None:
        """Power on: memory is lost, a loader writes what it likes, the firmware begins."""
        self.boots += 1
        self._dead = False
        self._line.clear()
        ctypes.memset(self._space, 0xA5, len(self._space))
        ctypes.memset(self._inputs, 0xA5, len(self._inputs))
        self._send(self.text)
        platform, backend = self._structures
        self._c.edgekit_serial_begin(
            self._serial,
            ctypes.byref(platform),
            ctypes.byref(backend),
            ctypes.byref(self._memory),
        )

    def _before_invoke(self, item: Any) -> None:
        if self.crashes(item):
            # Whatever C still writes is lost, and the next byte finds the board gone.
            self._dead = True

    def _write(self, content: int, count: int) -> None:
        if not self._dead:
            self._send(self.to_host(ctypes.string_at(content, count)))

    def _send(self, content: bytes) -> None:
        with contextlib.suppress(OSError):
            while content:
                content = content[os.write(self._master, content) :]

    def _ticks(self) -> int:
        return int(time.monotonic() * self.rate) & 0xFFFFFFFF
