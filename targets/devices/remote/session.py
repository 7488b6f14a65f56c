"""A runner on a device that keeps models loaded, relayed line by line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.errors import ConnectionLost, DeviceError, RunnerError, RuntimeCannotRun
from edgekit.process import Limits
from edgekit.targets.devices.failures import checked, crashed, too_large, too_slow
from edgekit.targets.devices.remote.client import Agent, cancel
from edgekit.targets.devices.remote.refusals import refusal
from edgekit.types import Json


@dataclass(frozen=True)
class Started:
    """What a session was started for: the host's request, and the limits of one answer."""

    request: Mapping[str, Json]
    limits: Limits


class RemoteSession:
    """One runner over one connection. It ends with either."""

    def __init__(self, agent: Agent, parameters: Mapping[str, Json], started: Started) -> None:
        self._agent, self._started = agent, started
        self._wire, self._number, self._reply = agent.begin("jobs.serve", parameters)
        self._error: DeviceError | RunnerError | None = None

    def ready(self) -> Mapping[str, Json]:
        """Wait until the models are loaded; load and first-inference phases, memory, versions."""
        started = self._started
        return checked(self._receive(), started.request, f"on {self._agent.address}")

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        """Nanoseconds of consecutive inferences: at least ``runs`` and at least ``seconds``."""
        if self._error is not None:
            raise self._error
        line = json.dumps({"model": model, "seconds": seconds, "runs": runs})
        self._wire.send({"id": self._number, "line": line})
        answer = self._receive()
        if "error" in answer:
            raise RuntimeCannotRun("EK-RUNNER-002", str(answer["error"]["message"]))
        return list(answer["ns"])

    def close(self) -> None:
        """End the runner and all it started; a second time does nothing."""
        if self._error is None:
            self._error = ConnectionLost("EK-DEVICE-030", "the session was closed")
            cancel(self._wire, self._number)

    def _receive(self) -> Mapping[str, Json]:
        """The runner's next line. Raises what ended the session."""
        while self._error is None:
            frame = self._reply.get()
            if frame is None:
                self._error = self._wire.lost()
                break
            header, payload = frame
            event = header.get("event", {})
            if "line" in event:
                answer: Mapping[str, Json] = json.loads(event["line"])
                return answer
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
