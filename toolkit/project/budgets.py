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
)
from edgekit.types.units import parse_unit

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
    """What the metric must reach by itself; what an error may be at most. ``threshold = "85%"``"""
    max_degradation: Drop | None = None
    """How much worse than the SavedModel it may be. ``max_degradation = "1%"``"""
    percent_max_degradation: AtLeastZero | None = None
    """The same, in percent of the SavedModel's value. ``percent_max_degradation = 2``"""
    min_improvement: Drop | None = None
    """How much better than the SavedModel it must be. ``min_improvement = "1pt"``"""
    percent_min_improvement: AtLeastZero | None = None
    """The same, in percent of the SavedModel's value. ``percent_min_improvement = 2``"""


class LatencyGoal(Table):
    """How much slower a model may be, or how much faster it must be, than what it is held against:
    the figure in edgekit.lock, or the reference, timed beside it in the same run.
    """

    percent_max_degradation: AtLeastZero | None = None
    """How much slower it may be, in percent. ``percent_max_degradation = 5``"""
    percent_min_improvement: AtLeastZero | None = Field(default=None, lt=100)
    """How much faster it must be, in percent; against the reference.

    ``percent_min_improvement = 30``, ``against = "reference"``
    """
    against: Literal["lock", "reference"] = "lock"
    """The figure in edgekit.lock, or the SavedModel timed in turns in the same run.

    ``against = "reference"``
    """

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
    """The only operators that a file may hold.

    ``allowed = ["CONV_2D", "FULLY_CONNECTED", "SOFTMAX"]``
    """
    forbidden: tuple[str, ...] = ()
    """Operators that it must not hold. ``forbidden = ["GATHER"]``"""

    @model_validator(mode="after")
    def _says_something(self) -> OperatorsGoal:
        if not self.allowed and not self.forbidden:
            raise ValueError('say allowed = ["…"] or forbidden = ["…"]')
        return self


class ParityGoal(Table):
    """How closely every output follows the reference's: at least so many dB, at most so far off."""

    sqnr: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """The least ratio of signal to quantization noise of every output, in dB. ``sqnr = 20``"""
    max_error: AtLeastZero | None = None
    """The largest error of every output. ``max_error = 0.1``"""

    @model_validator(mode="after")
    def _has_a_limit(self) -> ParityGoal:
        if self.sqnr is self.max_error is None:
            raise ValueError("say sqnr (in dB) or max_error")
        return self


class Budgets(Table):
    """The limits of a target or a candidate; any other key with goal words is a metric's name."""

    size: Size | None = None
    """Bytes of the file; of the compiled one too, where the target has an NPU.

    ``size = "150 kB"``
    """
    compressed_size: Size | None = None
    """Bytes of the file in a zip archive. ``compressed_size = "100 kB"``"""
    delta_size: Size | None = None
    """Bytes of the update from the model in [bundle] delta_from. ``delta_size = "20 kB"``"""
    accuracy: Goal | None = None
    """What the run's metric must reach. ``accuracy = { max_degradation = "1%" }``"""
    metric: Goal | None = None
    """The same, whatever the metric is called. ``metric = { percent_max_degradation = 2 }``"""
    metrics: dict[str, Goal] = Field(default_factory=dict)
    """Other metrics by name; f1 = { … } beside the budgets is the same.

    ``metrics = { f1 = { threshold = 0.8 } }``
    """
    outputs: dict[str, Goal] = Field(default_factory=dict)
    """The metric of another output, by the output's name.

    ``outputs = { boxes = { threshold = 0.4 } }``
    """
    classes: dict[str, Annotated[Drop, AfterValidator(_has_a_figure)]] = Field(default_factory=dict)
    """The least figure of each class, by its name; default is for the rest.

    ``classes = { default = 0.8, cat = 0.9 }``
    """
    flips: SmallShare | None = None
    """Share of items that the SavedModel puts into another class. ``flips = "0.5%"``"""
    parity: ParityGoal | None = None
    """How closely every output follows the SavedModel's.

    ``parity = { sqnr = 20, max_error = 0.1 }``
    """
    latency_p50: Nanoseconds | None = None
    """Median on the target's own device. ``latency_p50 = "5 ms"``"""
    latency_p95: Nanoseconds | None = None
    """95th percentile there. ``latency_p95 = "8 ms"``"""
    latency: LatencyGoal | None = None
    """Time as a share of the lock's, or of the SavedModel's.

    ``latency = { percent_max_degradation = 5 }``
    """
    arena: Size | None = None
    """Smallest tensor arena in which TFLM runs the file. ``arena = "64 KiB"``"""
    peak_memory: Size | None = None
    """Peak resident memory over the runtime's own, on the target's own machine.

    ``peak_memory = "20 MB"``
    """
    operators: OperatorsGoal | None = None
    """Operators that the file may hold. ``operators = { forbidden = ["GATHER"] }``"""
    minimum_runtime: Release | None = None
    """The latest TensorFlow release that the file may need. ``minimum_runtime = "2.14"``"""
    macs: Count | None = None
    """Multiply-accumulates of an inference. ``macs = "4.5 M"``"""
    sparsity: LargeShare | None = None
    """Least share of the weights that are zero. ``sparsity = "50%"``"""
    npu_share: LargeShare | None = None
    """Least share of the multiply-accumulates that are placed on the NPU. ``npu_share = "95%"``"""

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
    """What this candidate must keep to, whatever target ships it.

    ``budgets = { size = "150 kB" }``
    """
