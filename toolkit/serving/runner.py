"""A runner that answers in an event loop: the very runner of `edgekit evaluate`, kept loaded."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import RunnerError
from edgekit.process import stdin_of, stdout_of
from edgekit.serving.limits import Refused
from edgekit.serving.source import Arrays
from edgekit.targets.devices.failures import crashed
from edgekit.targets.devices.local import LocalDevice, LocalSession
from edgekit.types import Request

# Bytes of a runner's answer that are held before it is read.
HELD = 4 << 20
# Of a pipe to or from a runner, where the system lets them be so large.
PIPE = 1 << 20


@dataclass(frozen=True)
class Tensor:
    """What an input takes or an output gives: sizes (None is free, items first) and dtype."""

    shape: tuple[int | None, ...]
    dtype: str

    @property
    def item(self) -> tuple[int | None, ...]:
        """The sizes of one item."""
        return self.shape[1:]


@dataclass(frozen=True)
class Answer:
    """What a model gives for items, in float32, and the seconds that it took."""

    outputs: Arrays
    seconds: float


class Runner:
    """One model, loaded in a process of its own; asked by one task at a time."""

    def __init__(
        self,
        session: LocalSession,
        told: Mapping[str, Any],
        pipes: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        request: Request,
        log: Any,
    ) -> None:
        self._session, self._request, self._log = session, request, log
        self._reader, self._writer = pipes
        (model,) = told["models"].values()
        self.runtime = f"{told['runtime']} {told['version']}"
        self.inputs = {name: _tensor(one) for name, one in model["inputs"].items()}
        self.outputs = {name: _tensor(one) for name, one in model["outputs"].items()}

    @classmethod
    async def start(cls, device: LocalDevice, request: Request, log: Any) -> Runner:
        """Start a runner and wait until its model is loaded.

        Raises :class:`DeviceError` where the runtime is missing, and :class:`RunnerError` where it
        refused the model or crashed on it.
        """
        session = await asyncio.to_thread(device.open, request)
        try:
            told = await asyncio.to_thread(session.ready)
            return cls(session, told, await _pipes(session), request, log)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(session.close))
            raise

    async def ask(self, inputs: Arrays, raw: bool) -> Answer:
        """Return what the model gives for items; with ``raw`` they are prepared first.

        Raises :class:`Refused` where the model does not take them (400) or cannot run them (500),
        and :class:`RunnerError` where the runner died.
        """
        told = {name: [value.dtype.name, value.shape] for name, value in inputs.items()}
        line = json.dumps({"raw": raw, "inputs": told}).encode() + b"\n"
        parts = [line, *(np.ascontiguousarray(value).tobytes() for value in inputs.values())]
        try:
            self._writer.write(b"".join(parts))
            await self._writer.drain()
            answer = json.loads(await self._reader.readuntil(b"\n"))
            if "error" in answer:
                refused = answer["error"]["kind"] == "refused"
                raise Refused(400 if refused else 500, str(answer["error"]["message"])[:500])
            outputs = {n: await self._array(shape) for n, shape in answer["outputs"].items()}
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            raise await self._ended() from error
        return Answer(outputs, answer["ns"] / 1e9)

    async def _array(self, shape: list[int]) -> Any:
        payload = await self._reader.readexactly(4 * int(np.prod(shape, dtype=np.int64)))
        return np.frombuffer(payload, np.float32).reshape(shape)

    async def _ended(self) -> RunnerError:
        await self.close()
        return crashed(self._session.process.returncode, self._request, self._log)

    def kill(self) -> None:
        """End the runner at once: whoever waits for its answer is told."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._session.process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """End the runner."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.close()
        await asyncio.to_thread(self._session.close)


def _tensor(told: Mapping[str, Any]) -> Tensor:
    # What is quantized takes and gives real numbers: the runner quantizes.
    dtype = "float32" if told["quantized"] else str(told["dtype"])
    return Tensor(tuple(told["shape"]), dtype)


async def _pipes(session: LocalSession) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a session's pipes as streams; its own ends stay with it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=HELD)
    source = os.fdopen(os.dup(stdout_of(session.process).fileno()), "rb", 0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    sink = os.fdopen(os.dup(stdin_of(session.process).fileno()), "wb", 0)
    for pipe in (source, sink):
        # Linux's own 64 KiB hold no picture: half of it would wait for the runner to wake up.
        with contextlib.suppress(AttributeError, OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), sink
    )
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)
