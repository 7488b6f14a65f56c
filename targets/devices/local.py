"""This host as a device: runners are child processes of their own session."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit import scratch
from edgekit.errors import DeviceError, RunnerError, RuntimeCannotRun
from edgekit.process import Limits, end_group, ended, resident, stdin_of, stdout_of
from edgekit.sandbox import EVERYWHERE, Sandbox, environment
from edgekit.targets.devices.agent import machine, outputs
from edgekit.targets.devices.culprit import Range, hull, located
from edgekit.targets.devices.failures import (
    checked,
    crashed,
    models_of,
    no_runner,
    no_space,
    parsed,
    times_of,
    too_large,
    too_slow,
)
from edgekit.targets.devices.transport import Transport
from edgekit.targets.runners import FOLDER, RUNNER_FILES
from edgekit.types import Json, Request, RunnerResult

NAME = "local"
# Seconds without an answer after which a timed block is given up, where no limit is set.
PATIENCE = 300.0
# Seconds by which a file's time may lie before the clock's: kernels stamp by the tick.
CLOCK = 0.02
# Bytes of free space below which a runner's failure is put down to the disk.
LEAST_SPACE = 1 << 14


class LocalDevice(Transport):
    """The machine that edgekit runs on. Runners write to ``log``; requests lie in ``folder``.

    A runner is in a sandbox: it reads what its request names, and writes to its outputs.
    """

    name = NAME

    def __init__(
        self,
        folder: Path,
        log: Path,
        limits: Limits | None = None,
        runners: Mapping[str, Path] = RUNNER_FILES,
        python: Path | None = None,
    ) -> None:
        self._folder, self._log = folder, log
        self._limits = limits or Limits()
        self._runners = runners
        self._python = python
        # What runs now, for another thread that closes the device.
        self._processes: set[subprocess.Popen[Any]] = set()
        self._closed = False

    def facts(self) -> Mapping[str, Json]:
        """Return what this machine is, and the Python that runners run in."""
        known = {
            "cpus": os.cpu_count(),
            **machine.host_facts(),
            "python": platform.python_version(),
        }
        if self._python is None:
            return known
        return {**known, "environment": str(self._python.parent.parent)}

    def state(self, core: int | None = None) -> Mapping[str, Json]:
        """Return temperature, frequency, load and counters of this machine now."""
        return machine.state(core)

    def core(self) -> int | None:
        """Return the last of the fastest cores that runners may use."""
        return machine.fast_core()

    def close(self) -> None:
        """End what still runs, and start nothing more."""
        self._closed = True
        for process in tuple(self._processes):
            if process.poll() is None:
                end_group(process)

    def run(self, request: Request) -> RunnerResult:
        """Run one request to its end; the runner's result.

        Raises :class:`DeviceError` where the runtime is missing, and :class:`RunnerError` where the
        runner refused the model, crashed on it, or broke its limits; where an item of an evaluation
        is at fault, the error names it.
        """
        began = time.time()
        try:
            return self._run(request, self._limits.seconds)
        except RunnerError as error:
            if _disk_is_full(request, self._folder):
                raise no_space(f"what {models_of(request)} answers") from error
            if request.mode != "evaluate":
                raise
            within, seconds = running(request, began), self._limits.seconds
            with scratch.held(self._folder, "search-") as folder:
                found = located(error, request, within, self._run, running, folder, seconds)
            raise found from error

    def _run(self, request: Request, seconds: float | None) -> RunnerResult:
        if self._closed:
            raise _let_go()
        with scratch.held(self._folder) as folder:
            asked, answered = folder / "request.json", folder / "result.json"
            asked.write_text(json.dumps(request.to_json()))
            command = self._command(request, str(asked), str(answered))
            environment, sandbox = self._environment(folder), self._sandbox(request, folder)
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    sandbox.command(command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,
                )
            self._processes.add(process)
            try:
                # Another thread may have closed the device while this one started it.
                if self._closed:
                    raise _let_go()
                self._wait(process, request, Limits(seconds, self._limits.bytes))
            finally:
                end_group(process)
                self._processes.discard(process)
            if not answered.exists():
                raise crashed(process.returncode, request, self._log)
            return _checked(parsed(answered.read_text()), request, sandbox)

    def open(self, request: Request, reach: Sandbox | None = None) -> LocalSession:
        """Start a runner that keeps the request's models loaded; await it with ``ready``.

        It may ``reach`` more than the request names, for one that follows.
        """
        command = self._command(request, "--serve")
        temporary = contextlib.ExitStack()
        folder = temporary.enter_context(scratch.held(self._folder))
        environment, sandbox = self._environment(folder), self._sandbox(request, folder)
        if reach is not None:
            write = (*sandbox.write, *reach.write)
            sandbox = replace(sandbox.wider(reach.read), write=write)
        try:
            session = LocalSession(
                command, request, self._log, self._limits, environment, temporary, sandbox
            )
        except BaseException:
            temporary.close()
            raise
        self._processes = {p for p in self._processes if p.poll() is None} | {session.process}
        return session

    def _environment(self, temporary: Path) -> dict[str, str]:
        variables = surroundings(isolated=self._python is not None)
        # A runner of another package finds ours as those beside it do.
        paths = [str(FOLDER), *filter(None, [variables.get("PYTHONPATH")])]
        return {**variables, "TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(paths)}

    def _command(self, request: Request, *arguments: str) -> list[str]:
        if request.runtime not in self._runners:
            raise no_runner(request.runtime)
        runner = self._runners[request.runtime]
        return [str(self._python or sys.executable), str(runner), *arguments]

    def _sandbox(self, request: Request, temporary: Path) -> Sandbox:
        """Return what a runner may reach: ``temporary``, its own file, and what the request
        names.
        """
        written = [one.outputs for one in request.models if one.outputs is not None]
        for folder in written:
            # Landlock cannot allow a path that does not exist yet.
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
        read = [one.absolute() for one in request.files()]
        runner = Path(self._runners[request.runtime]).absolute().parent
        own = environment(self._python) if self._python else ()
        return Sandbox((runner, *read), (temporary, *written), own)

    def _wait(self, process: subprocess.Popen[bytes], request: Request, limits: Limits) -> None:
        begin = time.monotonic()
        while not ended(process, 0.5):
            _check_limits(process, limits, begin, request)


# Bytes of a runner's answer that are read at once.
PIECE = 1 << 16


class LocalSession:
    """A runner that stays alive and answers JSON lines, so that several can take turns."""

    def __init__(
        self,
        command: list[str],
        request: Request,
        log: Path,
        limits: Limits,
        environment: Mapping[str, str],
        temporary: contextlib.ExitStack,
        sandbox: Sandbox,
    ) -> None:
        self._request, self._log, self._limits = request, log, limits
        self._temporary, self._sandbox = temporary, sandbox
        self._answer: RunnerResult | None = None
        self._followed = 0
        # Read past Python's own buffer: select does not see what lies in that.
        self._unread = b""
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                sandbox.command(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment,
                start_new_session=True,
                text=True,
            )
        self._send(request.to_json())

    @property
    def process(self) -> subprocess.Popen[Any]:
        """The runner."""
        return self._process

    def ready(self) -> RunnerResult:
        """Wait until the models are loaded; load and first-inference phases, memory, versions."""
        if self._answer is None:
            for _ in range(self._followed):
                self._receive()
            self._followed = 0
            self._answer = _checked(self._receive(), self._request, self._sandbox, loaded=True)
        return self._answer

    def follow(self, request: Request) -> None:
        """Give the request that the runner was started ahead for; ``ready`` waits for its answer,
        and what came before is not looked at.
        """
        self._followed += 1
        self._request, self._answer = request, None
        self._send(request.to_json())

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        """Return nanoseconds of consecutive inferences: at least ``runs`` and at least
        ``seconds``.
        """
        self._send({"model": model, "seconds": seconds, "runs": runs})
        return times_of(self._receive(), self._request)

    def ask(self, request: Request) -> RunnerResult:
        """Run another request in the same process: a runtime that is slow to start has started.

        It reads and writes what the first request named. Raises what ``ready`` raises.
        """
        self._send(request.to_json())
        return _checked(self._receive(), request, self._sandbox)

    def close(self) -> None:
        """End the runner."""
        end_group(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._temporary.close()

    def _send(self, message: Mapping[str, Json]) -> None:
        pipe = stdin_of(self._process)
        try:
            pipe.write(json.dumps(message) + "\n")
            pipe.flush()
        except BrokenPipeError as error:
            raise self._ended() from error

    def _receive(self) -> Json:
        pipe = stdout_of(self._process)
        limits = Limits(self._limits.seconds or PATIENCE, self._limits.bytes)
        begin = time.monotonic()
        while b"\n" not in self._unread:
            while not select.select([pipe], [], [], 0.5)[0]:
                _check_limits(self._process, limits, begin, self._request)
            piece = os.read(pipe.fileno(), PIECE)
            if not piece:
                raise self._ended()
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return parsed(line)

    def _ended(self) -> RunnerError:
        end_group(self._process)
        return crashed(self._process.returncode, self._request, self._log)


def surroundings(isolated: bool, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment variables of a runner over those of ``base``, by default this
    process's.

    An isolated one finds no packages but its own.
    """
    # Single-threaded maths libraries: the interpreter's own threads are what is measured.
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    found = {**(os.environ if base is None else base), **quiet, "PYTHONUNBUFFERED": "1"}
    if isolated:
        found = {k: v for k, v in found.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        found["PYTHONNOUSERSITE"] = "1"
    return found


def _let_go() -> DeviceError:
    return DeviceError("EK-DEVICE-089", "this host was let go", "the run has ended")


def _checked(
    result: Json, request: Request, sandbox: Sandbox, loaded: bool = False
) -> RunnerResult:
    """Return a runner's result. Raises what an error in it says, or that the sandbox refused
    something.
    """
    try:
        return checked(result, request, loaded=loaded)
    except RuntimeCannotRun as error:
        denied = sandbox.denied(f"{error.message}\n{error.hint}")
        if not denied:
            raise
        hint = f"{error.message}\n{error.hint}\n{EVERYWHERE}"
        raise RuntimeCannotRun("EK-RUNNER-008", f"a runner {denied}", hint) from error


def _check_limits(
    process: subprocess.Popen[Any], limits: Limits, begin: float, request: Request
) -> None:
    if limits.seconds is not None and time.monotonic() - begin > limits.seconds:
        raise too_slow(request, limits)
    if limits.bytes is not None and resident(process.pid) > limits.bytes:
        raise too_large(request, limits)


def _disk_is_full(request: Request, folder: Path) -> bool:
    """Tell whether a failed runner lacked space for its outputs, or for anything.

    Outputs are preallocated and written through memory, where a full disk is a SIGBUS.
    """
    missing = sum(outputs.unwritten(e.outputs or folder) for e in request.models)
    return shutil.disk_usage(folder).free < max(missing, LEAST_SPACE)


def running(request: Request, began: float = 0.0) -> Range | None:
    """Return the items that a runner was at when it ended; ``began`` tells what earlier runs
    left.
    """
    folders = [entry.outputs or Path() for entry in request.models]
    return hull(items for one in folders for items in outputs.running(one, began - CLOCK))
