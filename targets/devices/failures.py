"""What a runner's end means, wherever it ran: errors that name the runtime, the models, the why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgekit.errors import (
    DeviceError,
    NotInstalled,
    RunnerCrashed,
    RunnerError,
    RunnerHung,
    RunnerTooLarge,
    RuntimeCannotRun,
)
from edgekit.process import Limits, describe_exit, tail
from edgekit.types import Json

LIMITS = "raise it under [limits] in edgekit.toml"


def checked(
    result: Mapping[str, Json], request: Mapping[str, Json], where: str = "here"
) -> Mapping[str, Json]:
    """Return a runner's result. Raises what an error in it says."""
    if "error" not in result:
        return result
    error = result["error"]
    if error["kind"] == "runtime-missing":
        message = f"{request['runtime']} is unavailable {where}"
        raise NotInstalled("EK-DEVICE-002", message, error["message"])
    message = f"{request['runtime']} cannot run {models_of(request)}"
    raise RuntimeCannotRun("EK-RUNNER-002", message, error["message"][:500])


def crashed(status: int | None, request: Mapping[str, Json], log: Path) -> RunnerError:
    """Return the error of a runner that ended without a result."""
    how, cause = describe_exit(status)
    message = f"the {request['runtime']} runner {how} on {models_of(request)}"
    return RunnerCrashed("EK-RUNNER-001", message, f"{cause}\n{tail(log)}\nthe whole log is {log}")


def too_slow(request: Mapping[str, Json], limits: Limits) -> RunnerError:
    """Return the error of a runner that broke its limit of time."""
    message = f"{_runner(request)} took longer than its limit of {limits.seconds:g} s"
    return RunnerHung("EK-RUNNER-003", message, LIMITS)


def too_large(request: Mapping[str, Json], limits: Limits) -> RunnerError:
    """Return the error of a runner that broke its limit of memory."""
    megabytes = (limits.bytes or 0) / 1e6
    message = f"{_runner(request)} held more memory than its limit of {megabytes:.0f} MB"
    return RunnerTooLarge("EK-RUNNER-004", message, LIMITS)


def no_runner(runtime: str, where: str = "here") -> DeviceError:
    """Return the error for a runtime that nothing runs there."""
    return DeviceError("EK-DEVICE-001", f"there is no runner for {runtime!r} {where}")


def models_of(request: Mapping[str, Json]) -> str:
    """Return the models of a request, for a message."""
    return ", ".join(str(entry["id"]) for entry in request["models"])


def _runner(request: Mapping[str, Json]) -> str:
    return f"the {request['runtime']} runner on {models_of(request)}"
