"""A board as its firmware tells of it: what it is, its models, one item in and out."""

from __future__ import annotations

import base64
import binascii
import struct
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import DeviceError
from edgekit.targets.devices.microcontroller.link import GONE, BoardError, Link, fields
from edgekit.targets.devices.retry import ATTEMPTS, again
from edgekit.targets.runners.python_runner import TensorInfo

# Ticks are 32 bits wide.
WRAP = 1 << 32
# Seconds over which a board's clock is compared with the host's, and by how much a clock without a
# crystal may be off.
WATCHED, TOLERANCE = 0.25, 0.05
DTYPES = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool")

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Hello:
    """What a board says of itself. Sizes are in bytes; ``model`` is the length and CRC-32 of the
    model in its flash, length 0 where there is none; ``space`` is room for one that is sent.
    """

    firmware: str
    name: str
    processor: str
    system: str
    emulator: str
    runtime: str
    ticks_per_second: int
    arena: int
    chunk: int
    runs: int
    space: int
    model: tuple[int, int]


@dataclass(frozen=True)
class LoadedOnBoard:
    """A model that is open on a board: its ends by name, and what opening it took."""

    model: tuple[int, int]
    load_ticks: int
    arena_used: int
    stateful: bool
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


@dataclass(frozen=True)
class Runs:
    """Inferences of one item: ticks of each, the CRC-32 of the last outputs, and the seconds
    from before the host's command to after the answer.
    """

    ticks: tuple[int, ...]
    outputs: int
    seconds: float


@dataclass
class Board:
    """The board at the end of a link. ``begun`` counts the conversations with it; who uses it
    holds ``turn``.

    What a link raises, its methods raise; :class:`Refused` too where the board's answer makes no
    sense.
    """

    link: Link
    begun: int = 0
    opened: LoadedOnBoard | None = None
    turn: threading.RLock = field(default_factory=threading.RLock)
    hello: Hello = field(init=False)

    def connect(self) -> None:
        """Reach the board and check its clock. Raises :class:`DeviceError`."""
        reach: Callable[[], Mapping[str, str]] = self.link.connect

        def greet() -> None:
            nonlocal reach
            first, reach = reach, self.link.reconnect
            self._begin(first())
            self._check_clock()

        try:
            again(greet, GONE)
        except BoardError as error:
            raise self._misfit(f"it refuses to tell its clock: {error.why}") from error
        except GONE as error:
            why = f"it began anew {ATTEMPTS} times while it was greeted"
            raise self.link.lost(why) from error

    def reconnect(self) -> None:
        """Begin again once the board is back; no model is open then."""
        self._begin(self.link.reconnect())

    def awake(self) -> None:
        """See that the board is the one that was greeted, and greet it again where it is not."""
        try:
            self._clock_read()
        except GONE:
            self.reconnect()

    def open(self, path: Path) -> LoadedOnBoard:
        """Make the interpreter of a ``.tflite`` file anew; the file is sent where there is room.

        Raises :class:`DeviceError` (EK-DEVICE-084) where the board has another model.
        """
        content = path.read_bytes()
        wanted = len(content), zlib.crc32(content)
        try:
            return self.open_there(wanted)
        except BoardError as error:
            if error.word != "model":
                raise
            self._send(content, path.name)
            return self.open_there(wanted)

    def open_there(self, model: tuple[int, int]) -> LoadedOnBoard:
        """Make the interpreter of a model anew that the board has, by length and CRC-32."""
        self.opened = None
        answer = self.link.ask(f"open {model[0]} {model[1]:08x}")
        self.opened = self._opened(model, fields(answer))
        return self.opened

    def set(self, feeds: Arrays) -> int:
        """Send an item, by input name, as the model takes it; the CRC-32 of all its bytes."""
        crc = 0
        for name, info in self._model().inputs.items():
            content = wire(feeds[name], info)
            self._in_chunks(f"set {info.index}", content)
            crc = zlib.crc32(content, crc)
        return crc

    def invoke(self, inputs: int, runs: int, reset: bool) -> Runs:
        """Run the item with this CRC-32; with ``reset``, variables get their first values before.

        ``runs`` may be more than one command allows: then there are fewer.
        """
        runs, begin = min(runs, self.hello.runs), time.monotonic()
        answer = fields(self.link.ask(f"invoke {runs} {int(reset)} {inputs:08x}"))
        seconds = time.monotonic() - begin
        try:
            ticks = tuple(int(one) for one in answer["ticks"].split(","))
            crc = int(answer["crc"], 16)
        except (KeyError, ValueError) as error:
            raise BoardError("nonsense", f"the answer to invoke: {answer}") from error
        if len(ticks) != runs:
            raise BoardError("nonsense", f"{len(ticks)} of {runs} runs were answered")
        return Runs(ticks, crc, seconds)

    def get(self, crc: int) -> Arrays:
        """Return the outputs by name, as the model gives them; ``crc`` is what the board says of
        them.
        """
        outputs, together = {}, 0
        for name, info in self._model().outputs.items():
            size = info.dtype.itemsize * int(np.prod(info.shape))
            content = b"".join(
                self._piece(info.index, at, min(self.hello.chunk, size - at))
                for at in range(0, size, self.hello.chunk)
            )
            together = zlib.crc32(content, together)
            outputs[name] = np.frombuffer(content, info.dtype.newbyteorder("<")).reshape(info.shape)
        if together != crc:
            raise BoardError("nonsense", "the outputs are not those that the board computed")
        return outputs

    def believed(self, runs: Runs) -> list[int]:
        """Return the nanoseconds of runs, of the resolution that ticks have.

        Raises :class:`DeviceError` where they do not fit what the host's clock saw.
        """
        rate, spent = self.hello.ticks_per_second, sum(runs.ticks)
        if runs.seconds >= WRAP / rate:
            hint = f"its counter of 32 bits is full after {WRAP / rate:.3g} s: choose a slower one"
            raise self._clock(f"{len(runs.ticks)} inferences took {runs.seconds:.3g} s", hint)
        if spent / rate > runs.seconds * (1 + TOLERANCE) + 2 / rate:
            told = f"{spent / rate:.3g} s for what took {runs.seconds:.3g} s at most"
            raise self._clock(told, "ticks_per_second in the firmware is too low")
        if not spent:
            raise self._clock(f"{rate} ticks a second are too coarse", "choose a faster counter")
        return [self.nanoseconds(one) for one in runs.ticks]

    def nanoseconds(self, ticks: int) -> int:
        """Return ticks as nanoseconds, of the resolution that they have."""
        return round(ticks * 1_000_000_000 / self.hello.ticks_per_second)

    def _begin(self, told: Mapping[str, str]) -> None:
        self.begun += 1
        self.opened = None
        try:
            length, crc = told["model"].split(":")
            self.hello = Hello(
                told["firmware"],
                told["board"],
                told["processor"],
                told["system"],
                told["emulator"],
                told["runtime"],
                int(told["ticks_per_second"]),
                int(told["arena"]),
                int(told["chunk"]),
                int(told["runs"]),
                int(told["space"]),
                (int(length), int(crc, 16)),
            )
            usable = min(self.hello.ticks_per_second, self.hello.chunk, self.hello.runs) > 0
        except (KeyError, ValueError) as error:
            raise self._misfit(f"its hello is incomplete: {error}") from error
        if not usable:
            raise self._misfit("its hello has a zero where none can be")

    def _misfit(self, what: str, hint: str = "") -> DeviceError:
        hint = hint or "flash the sample_apps/microcontroller_serial of this edgekit"
        return DeviceError("EK-DEVICE-085", f"{self.link.path}: {what}", hint)

    def _clock(self, what: str, hint: str) -> DeviceError:
        return self._misfit(f"its clock cannot be believed: {what}", hint)

    def _check_clock(self) -> None:
        """Hold the rate that the firmware states against the host's clock.

        The counter was read between a command and its answer: that bounds the rate from both sides.
        """
        asked, first, known = self._clock_read()
        time.sleep(WATCHED)
        again, second, answered = self._clock_read()
        counted, rate = (second - first) % WRAP, self.hello.ticks_per_second
        if rate * (answered - asked) >= WRAP:
            # The line was so bad that the counter may have come round. Every run is checked too.
            return
        slowest, fastest = counted / (answered - asked), counted / (again - known)
        if slowest / (1 + TOLERANCE) <= rate <= fastest * (1 + TOLERANCE) + 1 / WATCHED:
            return
        told = f"it counts {slowest:.4g} to {fastest:.4g} ticks a second and says {rate}"
        hint = (
            "correct ticks_per_second; a counter that stops while the processor sleeps is not one"
        )
        raise self._clock(told, hint)

    def _clock_read(self) -> tuple[float, int, float]:
        """Return the host's clock before, the board's counter, the host's clock after."""
        before = time.monotonic()
        answer = fields(self.link.ask("ticks"))
        try:
            return before, int(answer["ticks"]), time.monotonic()
        except (KeyError, ValueError) as error:
            raise self._misfit(f"it answers no ticks: {answer}") from error

    def _model(self) -> LoadedOnBoard:
        if self.opened is None:
            raise BoardError("closed", "no model is open")
        return self.opened

    def _opened(self, model: tuple[int, int], told: Mapping[str, str]) -> LoadedOnBoard:
        try:
            inputs = [self._tensor("input", at) for at in range(int(told["inputs"]))]
            outputs = [self._tensor("output", at) for at in range(int(told["outputs"]))]
            loaded = LoadedOnBoard(
                model,
                int(told["ticks"]),
                int(told["arena_used"]),
                told["stateful"] == "1",
                dict(inputs),
                dict(outputs),
            )
        except (KeyError, ValueError, struct.error) as error:
            raise BoardError("nonsense", f"what the board says of the model: {error}") from error
        if len(loaded.inputs) < len(inputs) or len(loaded.outputs) < len(outputs):
            raise BoardError("nonsense", "two tensors have one name")
        return loaded

    def _tensor(self, side: str, which: int) -> tuple[str, TensorInfo]:
        told = fields(self.link.ask(f"tensor {side} {which}"))
        shape = tuple(int(size) for size in told["shape"].split(",") if size)
        if told["dtype"] not in DTYPES:
            raise ValueError(f"dtype {told['dtype']!r}")
        (scale,) = struct.unpack(">f", bytes.fromhex(told["scale"]))
        info = TensorInfo(which, shape, told["dtype"], scale, int(told["zero"]))
        if int(told["bytes"]) != info.dtype.itemsize * int(np.prod(shape)):
            raise ValueError(f"{told['bytes']} bytes for {told['dtype']} {list(shape)}")
        return told["name"], info

    def _send(self, content: bytes, name: str) -> None:
        """Put a model into the board's memory, where there is room for it."""
        if len(content) > self.hello.space:
            raise self._another(content, name)
        self._in_chunks("load", content)

    def _another(self, content: bytes, name: str) -> DeviceError:
        length, crc = self.hello.model
        has = f"one of {length:,} bytes, CRC-32 {crc:08x}" if length else "none"
        mine = f"{name} ({len(content):,} bytes, CRC-32 {zlib.crc32(content):08x})"
        room = f"its room for models that are sent: {self.hello.space:,} bytes"
        hint = f"flash the firmware with this very file, see docs/devices/serial.md\n{room}"
        message = f"{self.link.path} does not have {mine}, the model in its firmware is {has}"
        return DeviceError("EK-DEVICE-084", message, hint)

    def _in_chunks(self, command: str, content: bytes) -> None:
        for at in range(0, len(content), self.hello.chunk):
            piece = base64.b64encode(content[at : at + self.hello.chunk]).decode()
            self.link.ask(f"{command} {at} {piece}")

    def _piece(self, output: int, at: int, count: int) -> bytes:
        text = self.link.ask(f"get {output} {at} {count}")
        try:
            content = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise BoardError("nonsense", f"the answer to get: {error}") from error
        if len(content) != count:
            raise BoardError("nonsense", f"{len(content)} of {count} bytes were answered")
        return content


def wire(value: Any, info: TensorInfo) -> bytes:
    """Return a tensor's bytes as they go over the wire: little-endian, the last dimension fastest.

    Raises ``ValueError`` where they are not as many as the tensor has.
    """
    array = np.asarray(value)
    if array.size != int(np.prod(info.shape)):
        raise ValueError(f"the model takes {list(info.shape)} at once, not {list(array.shape)}")
    return array.astype(info.dtype.newbyteorder("<")).tobytes()
