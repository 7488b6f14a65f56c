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
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from edgekit.errors import DeviceError, RunnerError, StoreError
from edgekit.process import Limits, alive, describe_exit, end_group, resident, tail
from edgekit.targets.runners import RUNNER_FILES
from edgekit.types import Json

NAME = "local"
# Seconds without an answer after which a timed block is given up, where no limit is set.
PATIENCE = 300.0
# Bytes of free space below which a runner's failure is put down to the disk.
LEAST_SPACE = 1 << 14


class LocalDevice:
    """The machine that edgekit runs on. Runners write to ``log``; requests lie in ``folder``."""

    name = NAME

    def __init__(
        self,
        folder: Path,
        log: Path,
        limits: Limits | None = None,
        runners: Mapping[str, Path] = RUNNER_FILES,
    ) -> None:
        self._folder, self._log = folder, log
        self._limits = limits or Limits()
        self._runners = runners

    def facts(self) -> Mapping[str, Json]:
        """What this machine is."""
        return {
            "system": platform.system(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
        }

    def run(self, request: Mapping[str, Json]) -> Mapping[str, Json]:
        """Run one request to its end; the runner's result.

        Raises :class:`DeviceError` where the runtime is missing, and :class:`RunnerError` where the
        runner refused the model, crashed on it, or broke its limits.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        stem = self._folder / f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        asked, answered = stem.with_suffix(".json"), stem.with_suffix(".result.json")
        try:
            asked.write_text(json.dumps(request))
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    self._command(request, str(asked), str(answered)),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(),
                    start_new_session=True,
                )  # fmt: skip
            try:
                self._wait(process, request)
            finally:
                end_group(process)
            if not answered.exists():
                raise _crash(process, request, self._log)
            return _checked(json.loads(answered.read_text()), request)
        except RunnerError as error:
            if _disk_is_full(request, self._folder):
                hint = "free some space, or choose another disk with --output DIR"
                message = f"no space left for what {_models(request)} answers"
                raise StoreError("EK-STORE-001", message, hint) from error
            raise
        finally:
            asked.unlink(missing_ok=True)
            answered.unlink(missing_ok=True)

    def open(self, request: Mapping[str, Json]) -> Session:
        """Start a runner that keeps the request's models loaded; await it with ``ready``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return Session(self._command(request, "--serve"), request, self._log, self._limits)

    def _sweep(self) -> None:
        """Remove the requests of killed processes."""
        for path in self._folder.glob("*-*.json"):
            if not alive(int(path.name.split("-")[0])):
                path.unlink(missing_ok=True)

    def _command(self, request: Mapping[str, Json], *arguments: str) -> list[str]:
        runtime = request["runtime"]
        if runtime not in self._runners:
            raise DeviceError("EK-DEVICE-001", f"there is no runner for {runtime!r} here")
        return [sys.executable, str(self._runners[runtime]), *arguments]

    def _wait(self, process: subprocess.Popen[bytes], request: Mapping[str, Json]) -> None:
        begin = time.monotonic()
        while True:
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:
                pass
            else:
                return
            _check_limits(process, self._limits, begin, request)


class Session:
    """A runner that stays alive and answers JSON lines, so that several can take turns."""

    def __init__(
        self, command: list[str], request: Mapping[str, Json], log: Path, limits: Limits
    ) -> None:
        self._request, self._log, self._limits = request, log, limits
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                env=_environment(), start_new_session=True, text=True,
            )  # fmt: skip
        self._send(request)

    def ready(self) -> Mapping[str, Json]:
        """Wait until the models are loaded; load and first-inference phases, memory, versions."""
        return _checked(self._receive(), self._request)

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        """Nanoseconds of consecutive inferences: at least ``runs`` and at least ``seconds``."""
        self._send({"model": model, "seconds": seconds, "runs": runs})
        reply = self._receive()
        if "error" in reply:
            raise RunnerError("EK-RUNNER-002", str(reply["error"]["message"]))
        return list(reply["ns"])

    def close(self) -> None:
        """End the runner."""
        end_group(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _send(self, message: Mapping[str, Json]) -> None:
        pipe: IO[str] | None = self._process.stdin
        assert pipe is not None  # noqa: S101
        try:
            pipe.write(json.dumps(message) + "\n")
            pipe.flush()
        except BrokenPipeError as error:
            raise self._ended() from error

    def _receive(self) -> Mapping[str, Any]:
        pipe: IO[str] | None = self._process.stdout
        assert pipe is not None  # noqa: S101
        limits = Limits(self._limits.seconds or PATIENCE, self._limits.bytes)
        begin = time.monotonic()
        while not select.select([pipe], [], [], 0.5)[0]:
            _check_limits(self._process, limits, begin, self._request)
        line = pipe.readline()
        if not line:
            raise self._ended()
        return json.loads(line)  # type: ignore[no-any-return]

    def _ended(self) -> RunnerError:
        end_group(self._process)
        return _crash(self._process, self._request, self._log)


def _environment() -> dict[str, str]:
    # Single-threaded maths libraries: the interpreter's own threads are what is measured.
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **quiet, "PYTHONUNBUFFERED": "1"}


def _check_limits(
    process: subprocess.Popen[Any], limits: Limits, begin: float, request: Mapping[str, Json]
) -> None:
    hint = "raise it under [limits] in edgekit.toml"
    what = f"the {request['runtime']} runner on {_models(request)}"
    if limits.seconds is not None and time.monotonic() - begin > limits.seconds:
        message = f"{what} took longer than its limit of {limits.seconds:g} s"
        raise RunnerError("EK-RUNNER-003", message, hint)
    if limits.bytes is not None and resident(process.pid) > limits.bytes:
        message = f"{what} held more memory than its limit of {limits.bytes / 1e6:.0f} MB"
        raise RunnerError("EK-RUNNER-004", message, hint)


def _checked(result: Mapping[str, Any], request: Mapping[str, Json]) -> Mapping[str, Any]:
    if "error" not in result:
        return result
    error = result["error"]
    if error["kind"] == "runtime-missing":
        raise DeviceError(
            "EK-DEVICE-002", f"{request['runtime']} is unavailable here", error["message"]
        )
    running = result.get("running")
    where = f" at items {running['items'][0]} to {running['items'][1] - 1}" if running else ""
    message = f"{request['runtime']} cannot run {_models(request)}{where}"
    raise RunnerError("EK-RUNNER-002", message, error["message"][:500])


def _crash(process: subprocess.Popen[Any], request: Mapping[str, Json], log: Path) -> RunnerError:
    how, cause = describe_exit(process.returncode)
    items = _last_items(request)
    message = f"the {request['runtime']} runner {how} on {_models(request)}{items}"
    return RunnerError("EK-RUNNER-001", message, f"{cause}\n{tail(log)}\nthe whole log is {log}")


def _disk_is_full(request: Mapping[str, Json], folder: Path) -> bool:
    """Whether a failed runner lacked space for its outputs, or for anything.

    Outputs are preallocated and written through memory, where a full disk is a SIGBUS.
    """
    found = [p for e in request["models"] for p in Path(e.get("outputs", folder)).glob("*.npy")]
    sizes = [path.stat() for path in found]
    missing = sum(max(0, size.st_size - size.st_blocks * 512) for size in sizes)
    return shutil.disk_usage(folder).free < max(missing, LEAST_SPACE)


def _last_items(request: Mapping[str, Json]) -> str:
    for entry in request["models"]:
        for path in Path(entry.get("outputs", "")).glob("progress-*.json"):
            start, stop = json.loads(path.read_text())["items"]
            return f" at items {start} to {stop - 1}"
    return ""


def _models(request: Mapping[str, Json]) -> str:
    return ", ".join(str(entry["id"]) for entry in request["models"])
