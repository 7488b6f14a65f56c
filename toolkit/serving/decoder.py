"""Pictures of clients, decoded as `edgekit evaluate` decodes them, in a process of their own.

No native parser reads what a client sent in the server's own process: one that crashes on a picture
costs that request alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edgekit.data import images
from edgekit.errors import DataError
from edgekit.process import NOT_FROM_HERE, describe_exit
from edgekit.sandbox import Sandbox, landlock
from edgekit.serving.limits import Refused
from edgekit.types import Preprocess

# Of a picture by what its head says, before anything is decoded: 50 megapixels are 150 MB.
MOST_PIXELS = 50_000_000
FORMATS = ("JPEG", "PNG")
# What a decoder may hold over what its libraries do.
BYTES = 2 << 30
START = f"{NOT_FROM_HERE} import edgekit.serving.decoder as d; d.answer()"


class Decoder:
    """A process that decodes pictures one after the other; started when the first one comes."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def decode(
        self, content: bytes, name: str, preprocess: Preprocess, until: float
    ) -> npt.NDArray[np.uint8]:
        """Return a picture as the model takes it, uint8, or give up when the loop's clock says
        ``until``.

        Raises :class:`Refused`: 400 where it is damaged, too large, or of another kind; 504.
        """
        seconds = until - asyncio.get_running_loop().time()
        try:
            return await asyncio.wait_for(self._decoded(content, name, preprocess), seconds)
        except asyncio.TimeoutError as error:
            raise Refused(504, f"{name} was not decoded in time") from error

    async def _decoded(
        self, content: bytes, name: str, preprocess: Preprocess
    ) -> npt.NDArray[np.uint8]:
        async with self._turn:
            if self._process is None:
                self._process = await _started()
            try:
                told = await _exchange(self._process, content, name, preprocess)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                how = describe_exit(await self._ended())[0]
                message = f"{name} cannot be read as a picture: what decoded it {how}"
                raise Refused(400, message) from error
            except BaseException:
                # It would give the next one this picture.
                await self._ended()
                raise
        if isinstance(told, str):
            raise Refused(400, told)
        return told

    async def close(self) -> None:
        """End the process."""
        async with self._turn:
            await self._ended()

    async def _ended(self) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return await process.wait()


async def _started() -> asyncio.subprocess.Process:
    rules = json.dumps(Sandbox().rules())
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", START, rules),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


async def _exchange(
    process: asyncio.subprocess.Process, content: bytes, name: str, preprocess: Preprocess
) -> npt.NDArray[np.uint8] | str:
    """Return a picture, or why it is not one."""
    sink, source = process.stdin, process.stdout
    if sink is None or source is None:
        raise ConnectionError("the process has no pipes")
    told = {"name": name, "bytes": len(content), "spec": images.key(preprocess)}
    sink.write(json.dumps(told).encode() + b"\n" + content)
    await sink.drain()
    answered = json.loads(await source.readuntil(b"\n"))
    if "error" in answered:
        return str(answered["error"])
    shape = answered["shape"]
    payload = await source.readexactly(int(np.prod(shape, dtype=np.int64)))
    return np.frombuffer(payload, np.uint8).reshape(shape)


# --- in the process that decodes -----------------------------------------------------------------


def answer() -> None:
    """Decode what standard input brings, until it ends."""
    # What a parser prints is not an answer.
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import PIL.JpegImagePlugin
    import PIL.PngImagePlugin  # noqa: F401  (before the sandbox, and before the limit)

    if (rules := json.loads(sys.argv[1])) is not None:
        landlock.restrict(rules)
    _bound_memory()
    for line in iter(source.readline, b""):
        told = json.loads(line)
        _tell(sink, _read(source.read(told["bytes"]), told))


def _bound_memory() -> None:
    held = int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()  # noqa: PTH123, SIM115
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (held + BYTES, hard))


def _read(content: bytes, told: Mapping[str, Any]) -> npt.NDArray[np.uint8] | str:
    spec = told["spec"]
    preprocess = replace(
        Preprocess(), **{**spec, "resize": tuple(spec["resize"]) if spec["resize"] else None}
    )
    try:
        return images.read(content, told["name"], preprocess, MOST_PIXELS, FORMATS).array
    except DataError as error:
        return f"{error.message}: {error.hint}"
    except MemoryError:
        return f"{told['name']} takes more memory to decode than there is for it"


def _tell(sink: BinaryIO, told: npt.NDArray[np.uint8] | str) -> None:
    if isinstance(told, str):
        sink.write(json.dumps({"error": told}).encode() + b"\n")
    else:
        sink.write(json.dumps({"shape": told.shape}).encode() + b"\n")
        sink.write(np.ascontiguousarray(told).tobytes())
    sink.flush()
