"""The platform's own ``benchmark_model``, on a device behind a shell: it times, and no more.

It draws its inputs, gives no outputs, and prints sums: no single times. Source: LiteRT's
``tflite/tools/benchmark/README.md`` (flags).
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from edgekit.errors import DeviceError, NotInstalled
from edgekit.process import Limits
from edgekit.targets.devices import installer
from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.device import Device, DeviceName, Workplace
from edgekit.targets.devices.failures import crashed, too_slow
from edgekit.targets.devices.local import PATIENCE
from edgekit.targets.devices.remote import android, benchmark_output
from edgekit.targets.devices.remote.shell import ScriptResult, Shell
from edgekit.targets.devices.remote.shell_files import ShellFiles
from edgekit.targets.devices.transport import RunnerSession, Transport
from edgekit.types import Json, ModelResult, Request, RunnerResult

RUNTIME = "benchmark_model"
# Names the program on this host: it is brought to the device.
VARIABLE = "EDGEKIT_BENCHMARK_MODEL"
# Where the platform's own guide puts it.
USUAL = "/data/local/tmp/benchmark_model"
SEARCH = """
for tool in {folder}/benchmark_model {usual}; do [ -x "$tool" ] && echo "$tool" && exit 0; done
command -v benchmark_model
"""
# Statuses of sh and timeout: not executable, not found, its time is up, ended by a signal.
NOT_STARTED, TIME_UP, SIGNALLED = (126, 127), 124, 128
# Seconds that the shell may take beyond the limit of what it runs.
GRACE = 30.0
XNNPACK = {"xnnpack": "true", "none": "false"}


def open_benchmark_model(connection: Connection, name: DeviceName, place: Workplace) -> Device:
    """Return the device at the end of a connection, with the tool that is there or brought there.

    Raises :class:`DeviceError` where neither is, or the device is not reached.
    """
    files = ShellFiles(connection, connection.folder, place.progress)
    if path := installer.given(VARIABLE, "benchmark_model", "EK-DEVICE-002"):
        (tool,) = files.push([path], executable=True).values()
        version = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    else:
        tool, version = _found(connection), ""
    return Device(name.text, RUNTIME, version, BenchmarkModel(connection, files, tool, place))


def _found(connection: Connection) -> str:
    script = SEARCH.format(folder=shlex.quote(connection.folder), usual=USUAL)
    said = Shell(connection).run(script)
    if said.status or not said.out.strip():
        hint = (
            f"name LiteRT's benchmark_model for this device with {VARIABLE}=FILE, or put it in "
            f"{connection.folder}, or on its PATH"
        )
        message = f"benchmark_model is unavailable on {connection.address}"
        raise NotInstalled("EK-DEVICE-002", message, hint)
    return said.out.decode().splitlines()[0]


@dataclass(frozen=True)
class BenchmarkModel(Transport):
    """``tool`` on a device. Its whole output is kept in the log."""

    connection: Connection
    files: ShellFiles
    tool: str
    place: Workplace

    def facts(self) -> Mapping[str, Json]:
        """Return what the machine there is, and where the tool lies."""
        return {**android.facts(self.connection), "benchmark_model": self.tool}

    def state(self, core: int | None = None) -> Mapping[str, Json]:
        """Return temperature, frequency and load there now."""
        return android.state(self.connection, core)

    def core(self) -> int | None:
        """Return None: the tool runs where the system puts it."""
        return None

    def close(self) -> None:
        """Do nothing: the tool has ended."""

    def open(self, request: Request) -> RunnerSession:  # noqa: ARG002
        """Raise :class:`DeviceError`: the tool prints no single times."""
        raise _unable("benchmark_model prints only sums: no single times")

    def run(self, request: Request) -> RunnerResult:
        """Run the tool once; ``stop`` and ``warmup`` of a bench request say how long.

        The result has for the model ``load_ns``, ``first_ns`` (where it is printed), ``warmup`` and
        ``steady`` (the fields of ``benchmark_output.Sum``), ``peak_bytes`` (or ``None``), and
        ``printed``. Raises :class:`DeviceError` for what the tool cannot do, and
        :class:`RunnerError` where it refuses the model, crashes, or breaks its limit of time.
        """
        if request.mode != "bench" or len(request.models) != 1:
            raise _unable("benchmark_model draws its inputs and gives no outputs: it only times")
        if request.batch not in (None, 1):
            raise _unable("benchmark_model runs a model at the batch of the file")
        (entry,) = request.models
        (remote,) = self.files.push([entry.path]).values()
        said = self._run(_arguments(self.tool, remote, request))
        text = said.out.decode(errors="replace") + said.err
        with self.place.log.open("a") as log:
            log.write(text)
        self._judge(said, request, text)
        try:
            times = benchmark_output.read(text)
        except benchmark_output.NotPrinted as error:
            raise benchmark_output.refused(entry.id, text) from error
        model: ModelResult = {
            "load_ns": times.load,
            "warmup": asdict(times.warmup),
            "steady": asdict(times.steady),
            "peak_bytes": times.peak,
            "printed": text,
        }
        if times.first is not None:
            model["first_ns"] = times.first
        return {"schema": 1, "runtime": RUNTIME, "version": "", "models": {entry.id: model}}

    @property
    def _limits(self) -> Limits:
        return Limits(self.place.limits.seconds or PATIENCE)

    def _run(self, arguments: list[str]) -> ScriptResult:
        seconds = self._limits.seconds or PATIENCE
        # The device's own clock ends it, connected or not.
        limited = f"timeout {max(1, round(seconds))} {shlex.join(arguments)}"
        return Shell(self.connection).run(limited, seconds=seconds + GRACE)

    def _judge(self, said: ScriptResult, request: Request, text: str) -> None:
        if said.status in NOT_STARTED:
            message = f"benchmark_model does not start on {self.connection.address}"
            hint = f"{benchmark_output.complaint(text)}\nis it built for this machine?"
            raise NotInstalled("EK-DEVICE-002", message, hint)
        asked = replace(request, runtime=RUNTIME)
        if said.status == TIME_UP:
            raise too_slow(asked, self._limits)
        if said.status > SIGNALLED:
            raise crashed(SIGNALLED - said.status, asked, self.place.log)
        if said.status:
            raise benchmark_output.refused(request.models[0].id, text)


def _arguments(tool: str, model: str, request: Request) -> list[str]:
    stop, warmup = request.stop or {}, request.warmup or {}
    flags = {
        "graph": model,
        "num_threads": 1 if request.threads is None else request.threads,
        "num_runs": stop["runs"],
        "min_secs": stop["seconds"],
        "warmup_runs": warmup["runs"],
        "warmup_min_secs": warmup["seconds"],
    }
    if "most_seconds" in stop:
        flags["max_secs"] = stop["most_seconds"]
    if request.delegate:
        flags["use_xnnpack"] = XNNPACK[request.delegate]
    if request.signature:
        flags["signature_to_run_for"] = request.signature
    return [tool, *(f"--{name}={value}" for name, value in flags.items())]


def _unable(why: str) -> DeviceError:
    hint = "name another runtime of the device: the native one, or Python's where it has Python"
    return DeviceError("EK-DEVICE-074", why, hint)
