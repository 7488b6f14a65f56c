"""A device behind a shell: requests go there whole, and outputs come back as they are made."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.errors import ConnectionLost, DeviceError, RunnerError
from edgekit.process import Limits
from edgekit.targets.devices.culprit import Range, hull, items_of, located
from edgekit.targets.devices.failures import (
    checked,
    crashed,
    models_of,
    no_runner,
    parsed,
    times_of,
    too_large,
    too_slow,
)
from edgekit.targets.devices.local import PATIENCE, surroundings
from edgekit.targets.devices.remote.client import ANOTHER, Agent, cancel, refusal
from edgekit.targets.devices.remote.outputs import RequestOutputs
from edgekit.targets.devices.remote.requests import Requests
from edgekit.targets.devices.retry import again
from edgekit.targets.devices.transport import Transport
from edgekit.targets.runners import RUNNER_FILES
from edgekit.types import Json, ModelResult, Request, RunnerResult


@dataclass(frozen=True)
class Started:
    """What a session was started for: the host's request, and the limits of one answer."""

    request: Request
    limits: Limits


class RemoteSession:
    """One runner over one connection. It ends with either."""

    def __init__(self, agent: Agent, parameters: Mapping[str, Json], started: Started) -> None:
        self._agent, self._started = agent, started
        self._wire, self._number, self._reply = agent.begin("jobs.serve", parameters)
        self._error: DeviceError | RunnerError | None = None

    def ready(self) -> RunnerResult:
        """Wait until the models are loaded; load and first-inference phases, memory, versions."""
        started = self._started
        return checked(self._receive(), started.request, f"on {self._agent.address}", loaded=True)

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        """Return nanoseconds of consecutive inferences: at least ``runs`` and at least
        ``seconds``.
        """
        if self._error is not None:
            raise self._error
        line = json.dumps({"model": model, "seconds": seconds, "runs": runs})
        self._wire.send({"id": self._number, "line": line})
        return times_of(self._receive(), self._started.request)

    def close(self) -> None:
        """End the runner and all it started; a second time does nothing."""
        if self._error is None:
            self._error = ConnectionLost("EK-DEVICE-030", "the session was closed")
            cancel(self._wire, self._number)

    def _receive(self) -> Json:
        """Return the runner's next line. Raises what ended the session."""
        while self._error is None:
            frame = self._reply.get()
            if frame is None:
                self._error = self._wire.lost()
                break
            header, payload = frame
            event = header.get("event", {})
            if "line" in event:
                return parsed(event["line"])
            if "log" in event:
                self._agent.keep_log(payload)
            if "event" not in header:
                self._error = self._ended(header)
        raise self._error

    def _ended(self, header: Mapping[str, Json]) -> DeviceError | RunnerError:
        started = self._started
        if "error" in header:
            return refusal(self._agent.address, header["error"])
        broke = header["result"]["broke"]
        if broke == "seconds":
            return too_slow(started.request, started.limits)
        if broke == "bytes":
            return too_large(started.request, started.limits)
        return crashed(header["result"]["status"], started.request, self._agent.log)


@dataclass(frozen=True)
class Prepared:
    """A runtime that works on a device.

    ``executable`` is the Python there, ``path`` the folders there that its ``PYTHONPATH`` needs;
    none for a runtime that the device has of its own.
    """

    runtime: str
    version: str
    executable: str
    path: tuple[str, ...]


class RemoteDevice(Transport):
    """The device of an agent, with the Python that is prepared there. Requests lie in ``folder``.

    What runners say there goes to the agent's log. The device is taken for this process with the
    first request, until it is closed.
    """

    def __init__(
        self,
        agent: Agent,
        prepared: Prepared,
        folder: Path,
        limits: Limits | None = None,
        runners: Mapping[str, Path] = RUNNER_FILES,
    ) -> None:
        self._agent, self._prepared, self._folder = agent, prepared, folder
        self._limits = limits or Limits()
        self._runners = runners
        self._requests = Requests(agent, folder)
        self._core: tuple[int | None] | None = None
        # What the runner that failed last was at.
        self._at: Range | None = None

    def facts(self) -> Mapping[str, Json]:
        """Return what the machine there is, its address, and the Python that runners run in."""
        return {**self._agent.call("about.facts"), "address": self._agent.address}

    def state(self, core: int | None = None) -> Mapping[str, Json]:
        """Return temperature, frequency, load and counters there now."""
        return self._agent.call("about.state", core=core)

    def core(self) -> int | None:
        """Return the last of the fastest cores there that runners may use."""
        if self._core is None:
            self._core = (self._agent.call("about.core")["core"],)
        return self._core[0]

    def close(self) -> None:
        """End the connection, and all that still runs there; a second time does nothing."""
        self._agent.close()
        self._requests.drop()

    def run(self, request: Request) -> RunnerResult:
        """Run one request to its end, whatever becomes of the connection in the meantime.

        Raises what :meth:`Transport.run` raises.
        """
        if not _streams(request):
            return again(lambda: self._attempt(request, self._limits.seconds))
        # Each model has items left of its own.
        taken = [self._answered(replace(request, models=(one,))) for one in request.models]
        models = {name: facts for result in taken for name, facts in result["models"].items()}
        return {**taken[-1], "models": models}

    def _answered(self, request: Request) -> RunnerResult:
        """Return the result of one model on all items; the item at fault where there is one."""
        try:
            return self._evaluate(request)
        except RunnerError as error:
            folder = self._folder / f"{os.getpid()}-search-{uuid.uuid4().hex[:12]}"
            raise located(
                error,
                request,
                self._at,
                self._searched,
                lambda _: self._at,
                folder,
                self._limits.seconds,
            ) from error

    def _searched(self, request: Request, seconds: float) -> object:
        return again(lambda: self._attempt(request, seconds))

    def _attempt(self, request: Request, seconds: float | None) -> RunnerResult:
        with contextlib.closing(_outputs(request)) as outputs:
            return self._run(request, outputs, seconds)

    def _evaluate(self, request: Request) -> RunnerResult:
        """Answer every item; after a connection that broke, those that are left."""
        wanted, seconds = items_of(request), 0.0
        result: RunnerResult | None = None
        with contextlib.closing(_outputs(request)) as outputs:
            left = [wanted]

            def attempt() -> None:
                nonlocal left, result, seconds
                while left:
                    # The whole is asked for as it was: it may choose its items otherwise.
                    asked = request if left == [wanted] else replace(request, items=left[0])
                    outputs.begin()
                    try:
                        result = self._run(asked, outputs, self._limits.seconds)
                    except ConnectionLost:
                        seconds += outputs.seconds()
                        left = outputs.left(wanted)
                        if left:
                            raise
                    else:
                        seconds += _seconds(result)
                        left = left[1:]

            # A device that goes away before every first answer will not get any further.
            again(attempt, progress=lambda: len(outputs.finished))
            if result is None:
                # All answers came before the connection broke, and the facts did not.
                result = self._again_for_facts(request, wanted)
        return _of_all(result, wanted, seconds)

    def _again_for_facts(self, request: Request, wanted: Range) -> RunnerResult:
        """Return the result of the last item. Its answers are there already."""
        asked = replace(request, items=(wanted[1] - 1, wanted[1]))
        nowhere = RequestOutputs({}, 0)
        return again(lambda: self._run(asked, nowhere, self._limits.seconds))

    def _run(
        self, request: Request, outputs: RequestOutputs, seconds: float | None
    ) -> RunnerResult:
        """Run one runner there, to its end. Raises :class:`ConnectionLost` too."""
        limits = Limits(seconds, self._limits.bytes)

        def take(event: Mapping[str, Json], payload: bytes) -> None:
            if "log" in event:
                self._agent.keep_log(payload)
            else:
                outputs.take(event, payload)

        told = self._agent.ask("jobs.run", self._parameters(request, limits), take)
        if told["result"] is not None and "error" not in told["result"]:
            return checked(told["result"], request)
        self._at = hull((int(start), int(stop)) for start, stop in told["running"])
        raise self._failure(request, told, limits)

    def _failure(
        self, request: Request, told: Mapping[str, Json], limits: Limits
    ) -> DeviceError | RunnerError:
        address = self._agent.address
        if told["full"]:
            hint = f"free some space, or {ANOTHER}"
            message = f"no space left on {address} for what {models_of(request)} answers"
            return DeviceError("EK-DEVICE-033", message, hint)
        if told["broke"] == "seconds":
            return too_slow(request, limits)
        if told["broke"] == "bytes":
            return too_large(request, limits)
        if told["result"] is None:
            return crashed(told["status"], request, self._agent.log)
        try:
            checked(told["result"], request, f"on {address}")
        except (DeviceError, RunnerError) as error:
            return error
        raise AssertionError("a result without an error is not a failure")

    def open(self, request: Request) -> RemoteSession:
        """Start a runner that keeps the request's models loaded; await it with ``ready``."""
        limits = Limits(self._limits.seconds or PATIENCE, self._limits.bytes)
        started = Started(request, limits)
        return again(lambda: RemoteSession(self._agent, self._parameters(request, limits), started))

    def _parameters(self, request: Request, limits: Limits) -> Mapping[str, Json]:
        """Return what a job there takes: its files pushed, the device this process's own."""
        runtime = request.runtime
        if runtime not in self._runners:
            raise no_runner(runtime, f"on {self._agent.address}")
        self._agent.occupy()
        runner = self._requests.runner(self._runners[runtime])
        environment = surroundings(isolated=bool(self._prepared.path), base={})
        if self._prepared.path:
            environment["PYTHONPATH"] = ":".join(self._prepared.path)
        return {
            "request": self._requests.there(request).to_json(),
            "command": [self._prepared.executable, runner],
            "environment": environment,
            "unset": ["PYTHONPATH", "PYTHONHOME"] if self._prepared.path else [],
            "limits": {"seconds": limits.seconds, "bytes": limits.bytes},
        }


def _streams(request: Request) -> bool:
    """Tell whether a request answers item by item. One without inputs is for the runner to
    refuse.
    """
    files = [*request.inputs.values(), *([request.index] if request.index else [])]
    there = bool(files) and all(path.is_file() for path in files)
    return there and request.mode == "evaluate"


def _outputs(request: Request) -> RequestOutputs:
    folders = {
        number: entry.outputs
        for number, entry in enumerate(request.models)
        if entry.outputs is not None
    }
    # Other modes give whole files.
    return RequestOutputs(folders, items_of(request)[1] if _streams(request) else 0)


def _seconds(result: RunnerResult) -> float:
    return sum(float(facts.get("seconds", 0.0)) for facts in result["models"].values())


def _of_all(result: RunnerResult, wanted: Range, seconds: float) -> RunnerResult:
    """Return the last launch's result, with the items and the seconds of all launches."""
    models: dict[str, ModelResult] = {
        name: {**facts, "items": wanted[1] - wanted[0], "seconds": seconds}
        for name, facts in result["models"].items()
    }
    return {**result, "models": models}
