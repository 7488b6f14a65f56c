"""What a cassette holds, held against its form before anything of it is played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgekit import strict_json
from edgekit.targets.devices.answers import (
    check_loaded,
    check_result,
    check_state,
    check_values,
)
from edgekit.targets.devices.cassette.faults import kinds
from edgekit.targets.devices.cassette.format import FORMAT, NewerFormat, of_format_1
from edgekit.types import Json

SHOWN = 3


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
            raise ValueError(f"{self.kind[:40]!r} is not an error of a device")
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
    def _answers(self) -> _Open:
        _check_answered(self, self.device)
        return self


class _Facts(_Event):
    answer: dict[str, Any] | None = Field(default=None, alias="is")

    @model_validator(mode="after")
    def _answers(self) -> _Facts:
        check_values(self.answer or {}, "is")
        _check_answered(self, self.answer)
        return self


class _State(_Facts):
    """What changes on a machine, of which what is not told is left out."""

    @model_validator(mode="after")
    def _whole(self) -> _State:
        if self.answer is not None:
            check_state(self.answer)
        return self


class _Core(_Event):
    model_config = ConfigDict(strict=True, extra="forbid")

    answer: int | None = Field(default=None, alias="is")

    @model_validator(mode="after")
    def _answers(self) -> _Core:
        if self.error is None and "answer" not in self.model_fields_set:
            raise ValueError("it has neither an answer nor an error")
        return self


class _Request(_Table):
    mode: str
    models: list[dict[str, Any]]

    @property
    def ids(self) -> list[str]:
        """The models that it names."""
        return [str(one.get("id")) for one in self.models]


class _Run(_Event):
    request: _Request
    result: dict[str, Any] | None = None
    outputs: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _answers(self) -> _Run:
        if self.result is not None:
            check_result(self.result, self.request.mode, self.request.ids)
            if "outputs" not in self.model_fields_set:
                raise ValueError("it does not say which outputs there are")
        for name in self.outputs:
            number, _, file = name.partition("/")
            known = number.isdecimal() and int(number) < len(self.request.models)
            if not known or not file or "outputs" not in self.request.models[int(number)]:
                raise ValueError(f"{name[:60]!r} is not an output of the request")
        _check_answered(self, self.result)
        return self


class _Step(_Event):
    """What a session was asked: whether it is ready, or for a block of runs."""

    call: str
    model: str | None = None
    runs: int | None = None
    count: int | None = Field(default=None, ge=0)
    result: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _answers(self) -> _Step:
        _check_answered(self, self.count if self.call == "block" else self.result)
        return self


class _Session(_Event):
    request: _Request
    events: list[_Step]
    ns: str | None = None

    @model_validator(mode="after")
    def _ready(self) -> _Session:
        for step in self.events:
            if step.call == "ready" and step.result is not None:
                check_result(step.result, "load", self.request.ids)
                check_loaded(step.result, self.request.ids)
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
        check_values(self.host, "host")
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
