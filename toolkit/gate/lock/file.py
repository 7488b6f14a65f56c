"""``edgekit.lock``: read with suspicion, written in an order that merges line by line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgekit import strict_json
from edgekit.errors import LockError
from edgekit.gate.lock.entries import LockedLatency, LockedMetric, LockEntry, Tag
from edgekit.types import Measurement, PairedCounts

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "edgekit.lock"
SCHEMA = 1
# More than a lock of ten thousand files has.
LARGEST = 16 << 20
HEADER = "# What edgekit check holds runs against. `edgekit lock --update` writes it; commit it.\n"
DIGITS = 6
# A square of it is still a number.
LARGEST_FLOAT = 1e150


def _computable(value: float) -> float:
    if abs(value) > LARGEST_FLOAT:
        raise ValueError("is a number too large")
    return value


Real = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_computable)]
Count = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Text = Annotated[str, Field(max_length=1000)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class _Figure(_Table):
    value: Real
    unit: Text
    n: Count | None = None
    low: Real | None = None
    high: Real | None = None
    level: Real | None = None
    tool: Text = ""

    @model_validator(mode="after")
    def _is_an_interval(self) -> _Figure:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low:g} lies above high {self.high:g}")
        return self

    def measurement(self) -> Measurement:
        return Measurement(**self.model_dump())


class _Metric(_Table):
    better: Literal["higher", "lower"]
    bounded: bool
    items: Text = ""
    reference: Text = ""
    lost: Count | None = None
    gained: Count | None = None
    measured: _Figure
    drop: _Figure | None = None

    @model_validator(mode="after")
    def _counts_fit(self) -> _Metric:
        if (self.lost or 0) + (self.gained or 0) > (self.measured.n or 0):
            raise ValueError("lost and gained are more than n")
        return self

    def metric(self) -> LockedMetric:
        counts = None
        if self.lost is not None and self.gained is not None and self.measured.n:
            counts = PairedCounts(self.measured.n, self.lost, self.gained)
        drop = self.drop.measurement() if self.drop else None
        higher, figure = self.better == "higher", self.measured.measurement()
        return LockedMetric(figure, higher, self.bounded, drop, counts, self.items, self.reference)


class _Latency(_Table):
    device: Text
    runtime: Text = ""
    reference: Text = ""
    sha256: Text = ""
    machine: dict[Text, Text | Count] = Field(default_factory=dict)
    p50: _Figure
    p95: _Figure
    ratio: _Figure | None = None
    noise: _Figure | None = None

    def latency(self) -> LockedLatency:
        ratio = self.ratio.measurement() if self.ratio else None
        noise = self.noise.measurement() if self.noise else None
        p50, p95 = self.p50.measurement(), self.p95.measurement()
        return LockedLatency(
            self.device,
            dict(self.machine),
            p50,
            p95,
            ratio,
            noise,
            self.sha256,
            self.runtime,
            self.reference,
        )


class _Entry(_Table):
    semantic_hash: Text = ""
    sha256: Text = ""
    bytes: Count
    minimum_runtime: Annotated[str, Field(pattern=r"^(\d+(\.\d+){0,3})?$")] = ""
    minimum_litert: Annotated[str, Field(pattern=r"^(\d+(\.\d+){0,3})?$")] = ""
    arena: Count | None = None
    operators: dict[Text, Count]
    metrics: dict[Text, _Metric] = Field(default_factory=dict)
    latency: _Latency | None = None
    tools: dict[Text, Text] = Field(default_factory=dict)

    def entry(self, tag: Tag) -> LockEntry:
        return LockEntry(
            tag,
            self.semantic_hash,
            self.sha256,
            self.bytes,
            dict(self.operators),
            self.minimum_runtime,
            self.minimum_litert,
            self.arena,
            {name: metric.metric() for name, metric in self.metrics.items()},
            self.latency.latency() if self.latency else None,
            dict(self.tools),
        )


class _Model(_Table):
    targets: dict[Text, dict[Text, _Entry]] = Field(default_factory=dict)
    candidates: dict[Text, _Entry] = Field(default_factory=dict)


class _Lock(_Table):
    schema_: Literal[1] = Field(alias="schema")
    models: dict[Text, _Model] = Field(default_factory=dict)


def read_lock(path: Path) -> tuple[LockEntry, ...]:
    """Read a lock. Raises :class:`LockError` that says where it is wrong."""
    try:
        content = strict_json.bounded(path, LARGEST)
    except ValueError as error:
        raise _damaged(str(path), str(error)) from error
    return parse_lock(content, str(path))


def parse_lock(content: bytes, origin: str) -> tuple[LockEntry, ...]:
    """Return the entries of a lock, in its order. Raises :class:`LockError`."""
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except RecursionError:
        raise _damaged(origin, "it is nested too deeply") from None
    # ValueError: no TOML, no text, or an integer of thousands of digits.
    except ValueError as error:
        hint = f"it is not TOML: {error}"
        if "<<<<<<<" in content.decode("utf-8", "replace"):
            hint = f"it holds the marks of a merge conflict: {hint}"
        raise _damaged(origin, hint) from error
    stated = document.get("schema")
    if isinstance(stated, int) and stated > SCHEMA:
        message = f"{origin} is of a newer edgekit: schema {stated}"
        raise LockError(
            "EK-LOCK-002", message, f"this one reads schema {SCHEMA}: install the newer"
        )
    try:
        lock = _Lock.model_validate(document)
    except (ValidationError, RecursionError) as error:
        raise _damaged(origin, _first(error)) from error
    return tuple(_entries(lock))


def _first(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    detail = error.errors()[0]
    place = ".".join(str(part) for part in detail["loc"])[:300]
    return f"{place}: {detail['msg'].removeprefix('Value error, ')}"


def _damaged(origin: str, why: str) -> LockError:
    hint = f"{why}\nrestore it from git, or remove it and make it anew: edgekit lock --update"
    return LockError("EK-LOCK-001", f"{origin} cannot be read", hint)


def _entries(lock: _Lock) -> Iterator[LockEntry]:
    for model, table in lock.models.items():
        for candidate, entry in table.candidates.items():
            yield entry.entry(Tag(model, "", candidate))
        for target, candidates in table.targets.items():
            for candidate, entry in candidates.items():
                yield entry.entry(Tag(model, target, candidate))


def render_lock(entries: Sequence[LockEntry]) -> str:
    """Write a lock: models, targets and candidates in alphabetical order, a figure a line."""
    import tomli_w

    models: dict[str, Any] = {}
    for entry in sorted(
        entries, key=lambda one: (one.tag.model, one.tag.target, one.tag.candidate)
    ):
        model, tag = models.setdefault(entry.tag.model, {}), entry.tag
        if tag.target:
            place = model.setdefault("targets", {}).setdefault(tag.target, {})
        else:
            place = model.setdefault("candidates", {})
        place[tag.candidate] = _table(entry)
    return HEADER + tomli_w.dumps({"schema": SCHEMA, "models": models})


def _table(entry: LockEntry) -> dict[str, Any]:
    table: dict[str, Any] = {
        "semantic_hash": entry.semantic_hash,
        "sha256": entry.sha256,
        "bytes": entry.bytes,
        "minimum_runtime": entry.runtime,
        "minimum_litert": entry.litert,
    }
    if entry.arena is not None:
        table["arena"] = entry.arena
    table["operators"] = dict(sorted(entry.operators.items()))
    table["metrics"] = {name: _metric(one) for name, one in sorted(entry.metrics.items())}
    if entry.latency is not None:
        table["latency"] = _latency(entry.latency)
    table["tools"] = dict(sorted(entry.tools.items()))
    return table


def _metric(metric: LockedMetric) -> dict[str, Any]:
    table: dict[str, Any] = {
        "better": "higher" if metric.higher_is_better else "lower",
        "bounded": metric.bounded,
        "items": metric.items,
        "reference": metric.reference,
    }
    if metric.counts is not None:
        table |= {"lost": metric.counts.lost, "gained": metric.counts.gained}
    table["measured"] = _figure(metric.measured)
    if metric.drop is not None and metric.drop.value is not None:
        table["drop"] = _figure(metric.drop)
    return table


def _latency(latency: LockedLatency) -> dict[str, Any]:
    table: dict[str, Any] = {"device": latency.device}
    for name in ("runtime", "reference", "sha256"):
        if text := getattr(latency, name):
            table[name] = text
    for name in ("p50", "p95", "ratio", "noise"):
        figure = getattr(latency, name)
        if figure is not None and figure.value is not None:
            table[name] = _figure(figure)
    table["machine"] = dict(sorted(latency.machine.items()))
    return table


def _figure(measured: Measurement) -> Mapping[str, Any]:
    """Return a figure's table; its value exactly, as equal figures are told by it."""
    table: dict[str, Any] = {"value": measured.value, "unit": measured.unit}
    for name in ("low", "high", "n", "level", "tool"):
        value = getattr(measured, name)
        if value is not None and value != "":
            table[name] = float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
    return table
