"""A device without Python: a small C program over LiteRT's C library, reached through a shell."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgekit.errors import RunnerError
from edgekit.process import Limits
from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.culprit import Range, items_of, located
from edgekit.targets.devices.device import NATIVE, Device, DeviceName, Workplace
from edgekit.targets.devices.failures import no_runner
from edgekit.targets.devices.local import PATIENCE
from edgekit.targets.devices.remote import machine, native_build, native_library
from edgekit.targets.devices.remote.native_model import (
    Answering,
    Loaded,
    OpenedModel,
    encode_items,
    full,
    opened,
    phases,
    refusal,
)
from edgekit.targets.devices.remote.native_process import NativeProcess, NativeSession, Program
from edgekit.targets.devices.remote.shell import Console
from edgekit.targets.devices.remote.shell_files import ShellFiles
from edgekit.targets.devices.remote.turn import Turn
from edgekit.targets.devices.retry import again
from edgekit.targets.devices.transport import Transport
from edgekit.targets.runners.python_runner import (
    BLOCK_SECONDS,
    alternate,
    assigns_resources,
    chosen_threads,
    compare_golden,
)
from edgekit.types import Json, ModelResult, Request, RunnerResult

DELEGATES = ("xnnpack", "none")
MODES = ("evaluate", "bench", "selftest")


class NativeDevice(Transport):
    """The native runner on one device. What is made of the host's files lies in ``folder``.

    With ``passing`` its files there are removed at the end.
    """

    def __init__(
        self,
        files: ShellFiles,
        console: Console,
        program: Program,
        kind: machine.Kind,
        version: str,
        place: Workplace,
        passing: bool = False,
    ) -> None:
        self._files, self._console = files, console
        self._program, self._kind, self._version = program, kind, version
        self._place, self._passing = place, passing
        self._turn = Turn(console, files.shell.connection.address, place.progress)
        self._folder = place.folder / f"{os.getpid()}-native-{uuid.uuid4().hex[:12]}"
        self._encoded: dict[tuple[object, ...], Path] = {}
        self._live: set[NativeProcess] = set()
        self._core: tuple[int | None] | None = None
        self._facts: Mapping[str, Json] | None = None
        # What the runner that failed last was at.
        self._at: Range | None = None

    def facts(self) -> Mapping[str, Json]:
        """Return what the machine there is, and its address."""
        if self._facts is None:
            self._facts = machine.facts(self._console.run, self._kind)
        return {**self._facts, "address": self._files.shell.connection.address}

    def state(self, core: int | None = None) -> Mapping[str, Json]:
        """Return temperature, frequency, load and counters there now."""
        runners = [process.pid for process in self._live if process.pid]
        return machine.state(self._console.run, core, runners)

    def core(self) -> int | None:
        """Return the last of the fastest cores there that runners may use."""
        if self._core is None:
            self._core = (machine.fast_core(self._console.run),)
        return self._core[0]

    def close(self) -> None:
        """End the runners there and the connection; a second time does nothing."""
        for process in list(self._live):
            self.end(process)
        self._console.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._passing:
            self._passing = False
            self._files.remove()

    def run(self, request: Request) -> RunnerResult:
        """Run one request to its end; an evaluation goes on where a connection broke.

        Raises what :meth:`Transport.run` raises; modes besides evaluate, bench and selftest are
        refused.
        """
        _check(request)
        self._occupy()
        if request.mode == "bench":
            return again(lambda: self._benched(request))
        if request.mode == "selftest":
            return self._selftest(request)
        try:
            return self._evaluate(request, self._place.limits.seconds)
        except RunnerError as error:
            raise located(
                error,
                request,
                self._at,
                self._evaluate,
                lambda _: self._at,
                self._folder / f"search-{uuid.uuid4().hex[:12]}",
                self._place.limits.seconds,
            ) from error

    def open(self, request: Request) -> NativeSession:
        """Start a runner that keeps the request's models loaded; await it with ``ready``."""
        _check(request)
        self._occupy()
        limits = Limits(self._place.limits.seconds or PATIENCE, self._place.limits.bytes)
        return NativeSession(self, request, self.start(request, limits))

    def _occupy(self) -> None:
        """Take the device for this process, where others may use it, too."""
        if not self._passing:
            self._turn.take(self._files.folder())

    def start(self, request: Request, limits: Limits) -> NativeProcess:
        """Return a runner for a request, without a model yet."""
        process = NativeProcess(self._files.shell, self._program, request, limits, self._place.log)
        self._live.add(process)
        return process

    def end(self, process: NativeProcess) -> None:
        """End a runner."""
        self._live.discard(process)
        process.close()

    def load(
        self, process: NativeProcess, request: Request, number: int, most: int | None
    ) -> Loaded:
        """Load a request's model by number into a runner, feed it, and infer once.

        With ``most`` there are no more items than that.
        """
        items = range(*items_of(request))[:most]
        loaded = Loaded(self._opened(process, request, number), items)
        given = {*request.inputs, *(request.states or {})}
        if set(loaded.opened.inputs) != given:
            there, asked = sorted(loaded.opened.inputs), sorted(given)
            raise refusal(request, f"the model's inputs are {there}, the request has {asked}")
        for at, name in enumerate(loaded.opened.inputs):
            path = self._items(request, loaded, name)
            process.ask(f"feed {number} {at} {self._files.push([path])[path]}")
        first = process.ask(f"first {number} 0")[-1].split()[1:]
        loaded.first_ns, baseline, peak = (int(word) for word in first)
        loaded.memory = {"baseline_bytes": baseline, "peak_bytes": peak}
        return loaded

    def _opened(self, process: NativeProcess, request: Request, number: int) -> OpenedModel:
        path = request.models[number].path
        if not path.is_file():
            raise refusal(request, f"there is no file {path}")
        delegate = request.delegate or DELEGATES[0]
        there = self._files.push([path])[path]
        threads = chosen_threads(request.to_json())
        lines = process.ask(f"open {number} {threads} {delegate} {there}")
        try:
            return opened(lines)
        except ValueError as error:
            raise refusal(request, str(error)) from error

    def _items(self, request: Request, loaded: Loaded, name: str) -> Path:
        """Return a file of the items of an input, as the model takes them; made once."""
        info, source = loaded.opened.inputs[name], request.inputs.get(name)
        index, preprocess = request.index, request.preprocess.arithmetic
        if source is None:
            # A state: items are apart here, and each begins with zeros.
            index, preprocess = None, {}
        times = tuple(one.stat().st_mtime_ns for one in (source, index) if one)
        key = (
            source,
            index,
            times,
            loaded.items,
            info.dtype.str,
            info.shape,
            info.scale,
            info.zero,
            json.dumps(preprocess, sort_keys=True),
        )
        if key not in self._encoded:
            path = self._folder / f"items-{len(self._encoded)}.npy"
            chosen = np.load(index, mmap_mode="r") if index else None
            try:
                rows = (loaded.items.stop, *info.shape[1:])
                zeros = np.broadcast_to(np.float32(0), rows)
                raw = np.load(source, mmap_mode="r") if source else zeros
                encode_items(raw, chosen, loaded.items, info, preprocess, path)
            except ValueError as error:
                raise refusal(request, f"input {name!r}: {error}") from error
            except OSError as error:
                raise full(request, error) from error
            self._encoded[key] = path
        return self._encoded[key]

    def _evaluate(self, request: Request, seconds: float | None) -> RunnerResult:
        self._at = None
        models = {}
        for number, entry in enumerate(request.models):
            folder = entry.answers_folder()
            models[entry.id], _ = self._answers(request, number, folder, seconds)
        return self.result(request, models)

    def _answers(
        self, request: Request, number: int, folder: Path, seconds: float | None
    ) -> tuple[ModelResult, Mapping[str, Path]]:
        """Run all items through one model, in as many connections as it takes; the outputs'
        files.
        """
        begin = time.monotonic()
        answering = Answering(folder, *items_of(request))

        def attempt() -> Loaded:
            left = None if seconds is None else max(0.0, seconds + begin - time.monotonic())
            process = self.start(request, Limits(left, self._place.limits.bytes))
            try:
                loaded = self._answer(process, request, number, answering)
                answering.close()
            except OSError as error:
                raise full(request, error) from error
            except RunnerError:
                self._at = answering.at(process.running)
                raise
            else:
                return loaded
            finally:
                self.end(process)

        with contextlib.ExitStack() as stack:
            stack.callback(answering.drop)
            loaded = again(attempt, progress=lambda: answering.done)
        said: ModelResult = {
            **phases(loaded),
            "batch": 1,
            "threads": chosen_threads(request.to_json()),
            "processes": 1,
            "block": 1,
            "items": len(loaded.items),
            "seconds": time.monotonic() - begin,
        }
        return said, answering.paths

    def _answer(
        self,
        process: NativeProcess,
        request: Request,
        number: int,
        answering: Answering,
    ) -> Loaded:
        """Return the items that are left, through a fresh runner."""
        process.start()
        loaded = self.load(process, request, number, None)
        answering.open(loaded.opened)
        first, last = answering.done - answering.start, answering.stop - answering.start
        runs = request.block or 0
        command = f"evaluate {number} {first} {last} {BLOCK_SECONDS} {runs}"
        process.ask(command, answering.take)
        return loaded

    def _benched(self, request: Request) -> RunnerResult:
        """Warm up, then time the request's models in alternating blocks."""
        process = self.start(request, self._place.limits)
        with contextlib.closing(NativeSession(self, request, process)) as session:
            result = session.ready(limited=False)
            alternate(request.to_json(), session.block, result["models"])
        return result

    def _selftest(self, request: Request) -> RunnerResult:
        """Run golden inputs there and compare the answers with golden outputs here."""
        models: dict[str, ModelResult] = {}
        for number, entry in enumerate(request.models):
            folder = self._folder / f"selftest-{uuid.uuid4().hex[:12]}"
            said, paths = self._answers(request, number, folder, self._place.limits.seconds)
            try:
                told = compare_golden(request.to_json(), {n: np.load(p) for n, p in paths.items()})
            except ValueError as error:
                raise refusal(request, str(error)) from error
            models[entry.id] = {
                "items": said["items"],
                "passed": told["passed"],
                "differences": told["differences"],
            }
        return self.result(request, models)

    def result(self, request: Request, models: dict[str, ModelResult]) -> RunnerResult:
        """Return the result of a request, as runners give it."""
        return {
            "schema": 1,
            "runtime": NATIVE,
            "version": self._version,
            "delegate": request.delegate or DELEGATES[0],
            "threads": chosen_threads(request.to_json()),
            "device": self.facts(),
            "models": models,
        }


def open_native(
    connection: Connection, name: DeviceName, place: Workplace, passing: bool = False
) -> Device:
    """Return the native runner at the end of a connection, brought there with LiteRT's C library.

    With ``passing`` nothing is left there. Raises :class:`DeviceError` where the device is not
    reached (EK-DEVICE-075), keeps no files (076), or there is no runner (077) or library (078) for
    its machine here.
    """
    files = ShellFiles(connection, connection.folder, place.progress)
    console = Console(files.shell)
    try:
        kind = machine.kind(console.run)
        runner, library = native_build.obtain(kind), native_library.obtain(kind, place.progress)
        there = files.push([runner], executable=True)[runner]
        program = Program(there, files.push([library.path])[library.path])
    except BaseException:
        console.close()
        raise
    version = library.version
    reached = NativeDevice(files, console, program, kind, version, place, passing)
    return Device(name.text, NATIVE, version, reached)


def _check(request: Request) -> None:
    """Raise what a request asks for and this runner has not."""
    if request.runtime != NATIVE:
        raise no_runner(request.runtime, "without Python")
    if request.mode not in MODES:
        raise refusal(request, f"it has no mode {request.mode!r}, only {', '.join(MODES)}")
    if request.signature not in (None, "serving_default"):
        raise refusal(request, f"it runs no signature {request.signature!r}: local:litert does")
    if request.streams:
        raise refusal(request, "it carries no state from item to item on: local:litert does")
    stays = request.mode != "bench" and request.reset_state
    if stays and any(assigns_resources(str(entry.path)) for entry in request.models):
        why = "it resets no resource variables, so that items would not be apart: local:litert does"
        raise refusal(request, why)
    delegate, batch = request.delegate or DELEGATES[0], request.batch or 1
    if delegate not in DELEGATES:
        raise refusal(request, f"it has no delegate {delegate!r}, only {', '.join(DELEGATES)}")
    if batch not in (1, "auto"):
        raise refusal(request, f"it takes items one by one, not {batch} at once")
    try:
        chosen_threads(request.to_json())
    except ValueError as error:
        raise refusal(request, str(error)) from error
