"""The rules of a run, the default limits, and what each candidate is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgekit.gate import fixes
from edgekit.gate.waivers import Waivers
from edgekit.project import Budgets
from edgekit.types import (
    Bound,
    Candidate,
    CheckResult,
    Compiled,
    Evaluation,
    Latency,
    Measurement,
    Status,
)

DEFAULT_MAX_DROP = 0.02
DEFAULT_PERCENT = 5.0


@dataclass(frozen=True)
class Limit:
    """The largest drop allowed, in the metric's unit; ``percent`` of the reference instead.

    A limit that the user did not state fails on a proven loss only.
    """

    value: float
    percent: bool = False
    stated: bool = True

    def absolute(self, reference: float, floor: float = 0.0) -> float:
        """Return the limit in the metric's unit; a share of it is no less than ``floor``.

        A gain that is asked for, which is a drop below zero, has no floor.
        """
        if not self.percent:
            return self.value
        share = self.value / 100 * abs(reference)
        return share if self.value < 0 else max(share, floor)

    def stands_on_floor(self, reference: float, floor: float) -> bool:
        """Tell whether the floor decides: the share alone is finer than float32 arithmetic."""
        return self.percent and self.value >= 0 and floor > self.value / 100 * abs(reference)


@dataclass(frozen=True)
class Rules:
    """What a run is judged by: its metric, and the budgets of the command line, which go first.

    ``others`` are those of the outputs that are judged beside the headline's; ``output`` is the one
    that the metric is taken on, where there are several. ``beside`` are the metrics that are only
    shown, unless a budget names one. ``floor`` is the smallest difference that float32 can tell of
    the metric, where the reference's evaluation does not say it. A file that is judged
    ``by_itself`` is compared with nothing. ``waivers`` accept what is red. ``max_latency`` is of
    the median, in nanoseconds.
    """

    metric: str
    bounded: bool
    higher_is_better: bool
    max_drop: float | None = None
    max_size: int | None = None
    floor: float = 0.0
    output: str = ""
    others: tuple[Rules, ...] = ()
    by_itself: bool = False
    beside: tuple[Rules, ...] = ()
    max_latency: float | None = None
    max_arena: int | None = None
    waivers: Waivers = field(default_factory=Waivers)

    @property
    def share(self) -> Literal["", "points"]:
        """How a limit on the metric, and its drop, are told: see :class:`Bound`."""
        return "points" if self.bounded else ""

    def default(self) -> Limit:
        """Return the limit where none is stated."""
        return default_limit(self.bounded)

    def over(self, budgets: Budgets) -> Budgets:
        """Return the budgets with those of the command line in their place."""
        stated = {
            "size": self.max_size,
            "latency_p50": self.max_latency,
            "arena": self.max_arena,
        }
        changed = {name: value for name, value in stated.items() if value is not None}
        return budgets.model_copy(update=changed) if changed else budgets


def default_limit(bounded: bool) -> Limit:
    """Return the drop that nobody stated: 0.02 for metrics in 0..1, else 5 % of the reference."""
    if bounded:
        return Limit(DEFAULT_MAX_DROP, stated=False)
    return Limit(DEFAULT_PERCENT, percent=True, stated=False)


@dataclass(frozen=True)
class TargetContext:
    """Where a target's figures come from: its id, and why its latency, memory or arena cannot be
    had.

    ``latency`` is what its own device gave, else the candidate's own counts. ``compiled`` is what
    the target's compiler made, by candidate.
    """

    target: str = ""
    no_latency: str = ""
    no_arena: str = ""
    no_memory: str = ""
    latency: Latency | None = None
    compiled: Mapping[str, Compiled] = field(default_factory=dict)

    def key(self, candidate: str) -> str:
        """Name the table of the project file that holds the budgets."""
        return f"[targets.{self.target}.budgets]" if self.target else own_key(candidate)

    def result(
        self,
        name: str,
        candidate: str,
        status: Status,
        message: str,
        limit: str = "",
        stated: bool = True,
        measured: Measurement | None = None,
        bound: Bound | None = None,
        fix: str = "",
    ) -> CheckResult:
        """Return the result of a check for this target; one that passed needs no fix."""
        fix = fixes.unless_passed(status, fix)
        return CheckResult(
            name, candidate, self.target, status, message, limit, stated, measured, bound, fix
        )

    def unavailable(
        self, name: str, candidate: str, reason: str, limit: str, bound: Bound | None, fix: str
    ) -> CheckResult:
        """Return the result of a budget that could not be measured, with the reason."""
        status, message = Status.UNAVAILABLE, f"unavailable, because {reason}"
        return self.result(name, candidate, status, message, limit, bound=bound, fix=fix)


@dataclass(frozen=True)
class Basis:
    """What a candidate is judged by: reference, budgets, the run's rules, and the target.

    ``others`` are the run's other candidates, which a fix may name.
    """

    reference: Evaluation
    budgets: Budgets
    rules: Rules
    place: TargetContext = TargetContext()
    others: tuple[Candidate, ...] = ()


def own_key(candidate: str) -> str:
    """Name the table of the project file that holds a candidate's own budgets."""
    name = f'"{candidate}"' if "@" in candidate else candidate
    return f"[candidates.{name}.budgets]"
