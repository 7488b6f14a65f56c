"""What a cassette holds, held against its form before anything of it is played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgekit import strict_json
from edgekit.targets.devices.cassette.faults import kinds
from edgekit.targets.devices.cassette.format import FORMAT, NewerFormat, of_format_1
from edgekit.types import Json

SHOWN = 3
# What machines and runners give as a number, by its name or the end of it.
NUMBERS = frozenset(
    {
        "activation_bytes",
        "at",
        "batch",
        "block",
        "busy",
        "cores",
        "cpus",
        "items",
        "load1",
        "own",
        "processes",
        "schema",
        "seconds",
        "stolen",
        "threads",
    }
)
# What answers for every model of a request.
ALL_ANSWERED = ("evaluate", "memory", "selftest")
UNITS = ("_ns", "_bytes", "_hz", "_c", "_mhz", "_percent", "_seconds")
TABLES = frozenset({"device", "differences", "memory", "models", "unavailable"})


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Fault(_Table):
    """An error of a device, to be raised again."""

    kind: str
    code: str
    message: str
    hint: str
    item: int | None = None

    @model_validator(mode="after")
    def _known(self) -> _Fault:
        if self.kind not in kinds():
            raise ValueError(f"{self.kind[:40]!r} is no error of a device")
        return self


class _Event(_Table):
    """One thing that was asked: what came of it, or its error."""

    seconds: float = 0.0
    error: _Fault | None = None


class _Device(_Table):
    model_config = ConfigDict(strict=True, extra="forbid")

    runtime: str
    version: str
    transport: str
    address: str
    declared: str


class _Open(_Event):
    device: _Device | None = None

    @model_validator(mode="after")
    def _one(self) -> _Open:
        _check_answered(self, self.device)
        return self


class _Facts(_Event):
    found: dict[str, Any] | None = Field(default=None, alias="is")

    @model_validator(mode="after")
    def _one(self) -> _Facts:
        _check_answer(self.found or {}, "is")
        _check_answered(self, self.found)
        return self


class _State(_Facts):
    """What changes on a machine, of which what is not told is left out."""

    @model_validator(mode="after")
    def _whole(self) -> _State:
        found = self.found or {"unavailable": {}}
        missing = [name for name in ("unavailable",) if name not in found]
        if "busy" in found or "stolen" in found:
            missing += [name for name in ("at", "own") if name not in found]
        missing += [name for name, value in found.items() if value is None]
        if missing:
            raise ValueError(f"it does not say {missing[0][:40]!r}")
        return self


class _Core(_Event):
    model_config = ConfigDict(strict=True, extra="forbid")

    found: int | None = Field(default=None, alias="is")

    @model_validator(mode="after")
    def _one(self) -> _Core:
        if self.error is None and "found" not in self.model_fields_set:
            raise ValueError("it has neither an answer nor an error")
        return self


class _Result(_Table):
    runtime: str
    version: str
    models: dict[str, dict[str, Any]]


class _Memory(_Table):
    peak_bytes: int | None
    baseline_bytes: int | None


class _Evaluated(_Table):
    """What every runner says of a model that it has evaluated."""

    memory: _Memory
    batch: int
    processes: int
    items: int
    seconds: float


class _Request(_Table):
    mode: str
    models: list[dict[str, Any]]


class _Run(_Event):
    request: _Request
    result: _Result | None = None
    outputs: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one(self) -> _Run:
        if self.result is not None:
            _check_answer(self.result.model_dump(), "result")
            asked = {str(one.get("id")) for one in self.request.models}
            if self.request.mode in ALL_ANSWERED and asked != self.result.models.keys():
                raise ValueError("it answers for other models than it was asked")
            if "outputs" not in self.model_fields_set:
                raise ValueError("it does not say which outputs there are")
            if self.request.mode == "evaluate":
                for one in self.result.models.values():
                    _Evaluated.model_validate(one)
        for name in self.outputs:
            number, _, file = name.partition("/")
            known = number.isdecimal() and int(number) < len(self.request.models)
            if not known or not file or "outputs" not in self.request.models[int(number)]:
                raise ValueError(f"{name[:60]!r} is no output of the request")
        _check_answered(self, self.result)
        return self


class _Step(_Event):
    """What a session was asked: whether it is ready, or for a block of runs."""

    call: str
    model: str | None = None
    runs: int | None = None
    count: int | None = Field(default=None, ge=0)
    result: _Result | None = None

    @model_validator(mode="after")
    def _one(self) -> _Step:
        if self.result is not None:
            _check_answer(self.result.model_dump(), "result")
        _check_answered(self, self.count if self.call == "block" else self.result)
        return self


class _Loaded(_Table):
    """What a session says of a model that it has loaded and run once."""

    load_ns: int
    first_ns: int
    memory: dict[str, Any] = Field(default_factory=dict)


class _Session(_Event):
    request: _Request
    events: list[_Step]
    ns: str | None = None

    @model_validator(mode="after")
    def _ready(self) -> _Session:
        asked = [str(one.get("id")) for one in self.request.models]
        for step in self.events:
            if step.call == "ready" and step.result is not None:
                for name in asked:
                    _Loaded.model_validate(step.result.models.get(name, {}))
        return self


class _Track(_Table):
    name: str
    opens: list[_Open]
    facts: list[_Facts]
    states: list[_State]
    cores: list[_Core]
    clock: list[float]
    runs: list[_Run]
    sessions: list[_Session]


class _Budgets(_Table):
    model_config = ConfigDict(strict=True, extra="forbid")

    latency_p50: float | None = None
    latency_p95: float | None = None
    memory: int | None = None
    arena: int | None = None


class _Listed(_Table):
    """A page of the user's device book."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    address: str
    runtime: str
    members: list[str]
    budgets: _Budgets
    estimates: str
    benchmark_model: str
    attempts: int = Field(ge=1)
    time_limit: float | None = None


class _Document(_Table):
    format: int
    devices: list[_Track]
    asked: list[str]
    expanded: list[str]
    host: dict[str, Any]
    listed: dict[str, _Listed]

    @model_validator(mode="after")
    def _answers(self) -> _Document:
        _check_answer(self.host, "host")
        return self


def parse(content: bytes) -> Mapping[str, Json]:
    """Return the document of a cassette.

    Raises ValueError, which says where it is wrong, and :class:`NewerFormat`.
    """
    document = strict_json.loads(content)
    made = document.get("format") if isinstance(document, dict) else None
    if isinstance(made, int) and made > FORMAT:
        raise NewerFormat(made)
    if made == 1:
        document = of_format_1(document)
    try:
        _Document.model_validate(document)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(str(part)[:40] for part in one['loc'])}: {one['msg']}"
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise ValueError("\n".join(wrong[:SHOWN])) from error
    return dict(document)


def _check_answered(event: _Event, answer: Any) -> None:
    if event.error is None and answer is None:
        raise ValueError("it has neither an answer nor an error")


def _check_answer(found: Mapping[str, Any], where: str) -> None:
    """Refuse a number that is none, and a table that is none, wherever they stand."""
    for name, value in found.items():
        place = f"{where}.{name[:40]}"
        number = name in NUMBERS or name.endswith(UNITS)
        if where.endswith(".unavailable"):
            if not isinstance(value, str):
                raise ValueError(f"{place} is no reason")
        elif name in TABLES:
            if not isinstance(value, dict):
                raise ValueError(f"{place} is no table")
            _check_answer(value, place)
        elif where.endswith((".memory", ".differences")) or number:
            if isinstance(value, bool) or not isinstance(value, (int, float, type(None))):
                raise ValueError(f"{place} is no number")
        elif isinstance(value, dict):
            _check_answer(value, place)
