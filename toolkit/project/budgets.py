"""Budgets as ``edgekit.toml`` writes them: of a target, or of a candidate whatever its target."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, ValidationInfo, model_validator

from edgekit.project.table import Table
from edgekit.project.units import (
    WRITTEN,
    Drop,
    Nanoseconds,
    Share,
    Size,
    parse_drop,
    parse_unit,
)

COUNTS = {"k": 10**3, "M": 10**6, "G": 10**9}
AtLeastZero = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _parse_count(value: Any) -> int:
    """Return a count: a whole number, or ``4.5 M``. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return round(parse_unit(value, COUNTS, "count"))


def _share(largest_bare: float) -> PlainValidator:
    """Return a share of a whole, ``5%`` or ``0.05``; a bare number up to ``largest_bare``."""

    def read(value: Any, info: ValidationInfo) -> float:
        share = parse_drop(value)
        if info.context != WRITTEN and not isinstance(share, Share) and share > largest_bare:
            meant = f"write {share:g}%" + (f" or {100 * share:g}%" if share <= 1 else "")
            raise ValueError(f"{value!r} can mean two things: {meant}")
        if not 0 <= share <= 1:
            raise ValueError(f"{value!r} is not a share from 0% to 100%")
        return share

    return PlainValidator(read)


def _has_a_figure(share: float) -> float:
    if not 0 <= share <= 1:
        raise ValueError(f"a figure of a class lies in 0..1: write {share:g}% for {share / 100:g}")
    return share


Count = Annotated[int, PlainValidator(_parse_count)]
SmallShare = Annotated[float, _share(0.5)]
LargeShare = Annotated[float, _share(1.0)]
Release = Annotated[str, Field(pattern=r"^\d+(\.\d+){1,2}$")]


class Goal(Table):
    """What a metric must reach, by itself (``threshold``) or against the reference."""

    threshold: Drop | None = None
    max_degradation: Drop | None = None
    percent_max_degradation: AtLeastZero | None = None
    min_improvement: Drop | None = None
    percent_min_improvement: AtLeastZero | None = None


class LatencyGoal(Table):
    """How much slower a model may be, or how much faster it must be, than what it is held against:
    the figure in edgekit.lock, or the reference, timed beside it in the same run.
    """

    percent_max_degradation: AtLeastZero | None = None
    percent_min_improvement: AtLeastZero | None = Field(default=None, lt=100)
    against: Literal["lock", "reference"] = "lock"

    @model_validator(mode="after")
    def _has_a_limit(self) -> LatencyGoal:
        if self.percent_max_degradation is self.percent_min_improvement is None:
            raise ValueError("say percent_max_degradation or percent_min_improvement")
        if self.percent_min_improvement is not None and self.against == "lock":
            raise ValueError('percent_min_improvement is of the reference: against = "reference"')
        return self


class OperatorsGoal(Table):
    """Which operators a file may hold, or must not."""

    allowed: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> OperatorsGoal:
        if not self.allowed and not self.forbidden:
            raise ValueError('say allowed = ["…"] or forbidden = ["…"]')
        return self


class ParityGoal(Table):
    """How closely every output follows the reference's: at least so many dB, at most so far off."""

    sqnr: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max_error: AtLeastZero | None = None

    @model_validator(mode="after")
    def _has_a_limit(self) -> ParityGoal:
        if self.sqnr is self.max_error is None:
            raise ValueError("say sqnr (in dB) or max_error")
        return self


class Budgets(Table):
    """The limits of a target or a candidate; any other key with goal words is a metric's name."""

    size: Size | None = None
    compressed_size: Size | None = None
    delta_size: Size | None = None
    accuracy: Goal | None = None
    metric: Goal | None = None
    metrics: dict[str, Goal] = Field(default_factory=dict)
    outputs: dict[str, Goal] = Field(default_factory=dict)
    classes: dict[str, Annotated[Drop, AfterValidator(_has_a_figure)]] = Field(default_factory=dict)
    flips: SmallShare | None = None
    parity: ParityGoal | None = None
    latency_p50: Nanoseconds | None = None
    latency_p95: Nanoseconds | None = None
    latency: LatencyGoal | None = None
    arena: Size | None = None
    peak_memory: Size | None = None
    operators: OperatorsGoal | None = None
    minimum_runtime: Release | None = None
    macs: Count | None = None
    sparsity: LargeShare | None = None
    npu_share: LargeShare | None = None

    @model_validator(mode="before")
    @classmethod
    def _metrics_by_name(cls, table: Any) -> Any:
        """Take a table under another key as the goal of the metric of that name."""
        if not isinstance(table, dict):
            return table
        named = {
            key: value
            for key, value in table.items()
            if key not in cls.model_fields and isinstance(value, dict)
        }
        if not named:
            return table
        rest = {key: value for key, value in table.items() if key not in named}
        metrics = table.get("metrics", {})
        return {**rest, "metrics": {**metrics, **named} if isinstance(metrics, dict) else metrics}

    @model_validator(mode="after")
    def _has_one_goal(self) -> Budgets:
        if self.accuracy is not None and self.metric is not None:
            raise ValueError("accuracy and metric are the same budget: keep one of the two")
        return self

    @property
    def goal(self) -> Goal | None:
        """What the run's metric must reach; ``accuracy`` and ``metric`` are one budget."""
        return self.accuracy or self.metric

    @property
    def stated(self) -> bool:
        """Whether any limit is stated."""
        return bool(self.model_dump(exclude_none=True, exclude_defaults=True))


class CandidateTable(Table):
    """What a candidate is held to, whatever target ships it."""

    budgets: Budgets = Field(default_factory=Budgets)
