"""The planner's settings and its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgekit.errors import CompressionError


@dataclass(frozen=True)
class ChannelSettings:
    """How much must go and how the planner chooses.

    ``macs`` is the share of the multiply-accumulates to remove, at least. Counts stay multiples of
    ``multiple``. ``allocation`` is one ratio for all groups, or a budget that the least important
    channels of the whole model meet; ``objective`` is what that budget's choices save.
    Raises :class:`CompressionError` for invalid values.
    """

    macs: float
    multiple: int = 8
    importance: Literal["l1", "taylor"] = "l1"
    allocation: Literal["global", "uniform"] = "global"
    objective: Literal["macs", "latency"] = "macs"

    def __post_init__(self) -> None:
        problem = ""
        if not 0 < self.macs < 1:
            problem = f"macs = {self.macs}: the share to remove is above 0 and below 1"
        elif self.multiple < 1:
            problem = f"multiple = {self.multiple}: channel counts are multiples of 1, 8, 16, …"
        elif self.importance not in ("l1", "taylor"):
            problem = f"importance = {self.importance!r}: it is l1 or taylor"
        elif self.allocation not in ("global", "uniform"):
            problem = f"allocation = {self.allocation!r}: it is global or uniform"
        elif self.objective not in ("macs", "latency"):
            problem = f"objective = {self.objective!r}: it is macs or latency"
        elif self.allocation == "uniform" and self.objective == "latency":
            problem = (
                "objective = 'latency' needs allocation = 'global': a uniform cut has no choice"
            )
        if problem:
            raise CompressionError("EK-COMPRESS-020", problem, "[compress] channels, or --channels")


@dataclass(frozen=True)
class Group:
    """Channels that can only be removed together, and the layers that they run through.

    ``producers`` make them (their filters go), ``carriers`` treat them one by one (batch norms,
    depthwise kernels), ``consumers`` read them. ``kept`` are the places in ``range(before)`` that
    stay. ``frozen`` says why the group cannot shrink, or is empty.
    """

    name: str
    producers: tuple[str, ...]
    carriers: tuple[str, ...]
    consumers: tuple[str, ...]
    before: int
    kept: tuple[int, ...]
    frozen: str = ""

    @property
    def after(self) -> int:
        """How many channels stay."""
        return len(self.kept)


@dataclass(frozen=True)
class LayerRow:
    """A layer with weights before and after; ``reason`` says why its channels stay, if they do."""

    name: str
    kind: str
    channels_before: int
    channels_after: int
    macs_before: int
    macs_after: int
    reason: str = ""


@dataclass(frozen=True)
class ChannelPlan:
    """Which channels of a model stay, and what that saves. Multiply-accumulates are of batch 1.

    ``importance_lost`` is the planner's own measure, to compare plans of one model: the sum over
    layers that make channels of -log(share of the importance kept). ``nanoseconds_before`` and
    ``nanoseconds_after`` are what a given cost function measured.
    """

    groups: tuple[Group, ...]
    macs_before: int
    macs_after: int
    parameters_before: int
    parameters_after: int
    layers: tuple[LayerRow, ...]
    importance_lost: float = 0.0
    nanoseconds_before: float | None = None
    nanoseconds_after: float | None = None

    @property
    def removed(self) -> float:
        """The share of the multiply-accumulates that goes."""
        return 1 - self.macs_after / self.macs_before if self.macs_before else 0.0
