"""What a runner's end means, wherever it ran: errors that name the runtime, the models, the why."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from edgekit.errors import (
    DeviceError,
    NotInstalled,
    RunnerCrashed,
    RunnerError,
    RunnerHung,
    RunnerTooLarge,
    RuntimeCannotRun,
    StoreError,
)
from edgekit.process import Limits, describe_exit, tail
from edgekit.targets.devices.answers import check_loaded, check_result
from edgekit.types import Json, Request, RunnerResult

LIMITS = "raise it under [limits] in edgekit.toml"


def checked(
    result: Json, request: Request, where: str = "here", loaded: bool = False
) -> RunnerResult:
    """Return a runner's result; with ``loaded`` the first of a session, whose models are loaded.

    Raises what an error in it says, and :class:`RunnerError` where it is not what runners answer.
    """
    error = result.get("error") if isinstance(result, Mapping) else None
    if error is None:
        return _whole(result, request, loaded)
    if not isinstance(error, Mapping) or not {"kind", "message"} <= error.keys():
        raise _invalid(request, "its error has no kind and no message")
    if error["kind"] == "runtime-missing":
        message = f"{request.runtime} is unavailable {where}"
        raise NotInstalled("EK-DEVICE-002", message, str(error["message"]))
    message = f"{request.runtime} cannot run {models_of(request)}"
    raise RuntimeCannotRun("EK-RUNNER-002", message, str(error["message"])[:500])


def _whole(result: Json, request: Request, loaded: bool) -> RunnerResult:
    ids = [entry.id for entry in request.models]
    try:
        check_result(result, "load" if loaded else request.mode, ids)
        if loaded:
            check_loaded(result, ids)
    except ValueError as error:
        raise _invalid(request, str(error)) from error
    return cast(RunnerResult, dict(result))


def times_of(answer: Json, request: Request) -> list[int]:
    """Return the nanoseconds that answer a block. Raises what :func:`checked` raises."""
    answer = answer if isinstance(answer, Mapping) else {}
    if "error" in answer:
        raise RuntimeCannotRun("EK-RUNNER-002", str(answer["error"]["message"]))
    times = answer.get("ns")
    if not isinstance(times, list) or not all(isinstance(one, int) for one in times):
        raise _invalid(
            request, "a block is answered without its times: ns is not a list of integers"
        )
    return times


def _invalid(request: Request, why: str) -> RunnerError:
    hint = f"{why}\na runner of another package is tested by edgekit.contracts.runner"
    return RunnerError("EK-RUNNER-009", f"{_runner(request)} gave no valid result", hint)


def parsed(text: str | bytes) -> Json:
    """Read what a runner wrote; ``None`` where it is not JSON, which :func:`checked` refuses."""
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return None


def crashed(status: int | None, request: Request, log: Path) -> RunnerError:
    """Return the error of a runner that ended without a result."""
    how, cause = describe_exit(status)
    message = f"the {request.runtime} runner {how} on {models_of(request)}"
    return RunnerCrashed("EK-RUNNER-001", message, f"{cause}\n{tail(log)}\nthe whole log is {log}")


def too_slow(request: Request, limits: Limits) -> RunnerError:
    """Return the error of a runner that broke its limit of time."""
    message = f"{_runner(request)} took longer than its limit of {limits.seconds:g} s"
    return RunnerHung("EK-RUNNER-003", message, LIMITS)


def too_large(request: Request, limits: Limits) -> RunnerError:
    """Return the error of a runner that broke its limit of memory."""
    megabytes = (limits.bytes or 0) / 1e6
    message = f"{_runner(request)} held more memory than its limit of {megabytes:.0f} MB"
    return RunnerTooLarge("EK-RUNNER-004", message, LIMITS)


def no_space(what: str) -> StoreError:
    """Return the error of a disk of this host that is full; ``what`` did not fit."""
    hint = "free some space, or choose another disk with --output DIR"
    return StoreError("EK-STORE-001", f"no space left for {what}", hint)


def no_runner(runtime: str, where: str = "here") -> DeviceError:
    """Return the error for a runtime that nothing runs there."""
    return DeviceError("EK-DEVICE-001", f"there is no runner for {runtime!r} {where}")


def models_of(request: Request) -> str:
    """Return the models of a request, for a message."""
    return ", ".join(entry.id for entry in request.models)


def _runner(request: Request) -> str:
    return f"the {request.runtime} runner on {models_of(request)}"
