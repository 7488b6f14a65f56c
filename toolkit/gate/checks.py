"""One check each: a measurement against a limit, three-valued."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from edgekit import statistics
from edgekit.gate import fixes
from edgekit.gate.decision import decide, decide_time, widened
from edgekit.gate.waivers import Waivers
from edgekit.project import Budgets, Goal
from edgekit.types import (
    Bound,
    Candidate,
    CheckResult,
    Compiled,
    Evaluation,
    Latency,
    Measurement,
    PairedCounts,
    Status,
)

DEFAULT_MAX_DROP = 0.02
DEFAULT_PERCENT = 5.0


COMPARED_WITH_NOTHING = (
    "unavailable, because the file is judged by itself: nothing was compared; --reference MODEL"
    " ([convert] reference) names the model that it was made from"
)


@dataclass(frozen=True)
class Limit:
    """The largest drop allowed, in the metric's unit; ``percent`` of the reference instead.

    A limit that the user did not state fails on a proven loss only.
    """

    value: float
    percent: bool = False
    stated: bool = True

    def absolute(self, reference: float, floor: float = 0.0) -> float:
        """Return the limit in the metric's unit; a share of it is no less than ``floor``."""
        return max(self.value / 100 * abs(reference), floor) if self.percent else self.value

    def stands_on_floor(self, reference: float, floor: float) -> bool:
        """Tell whether the floor decides: the share alone is finer than float32 arithmetic."""
        return self.percent and floor > self.value / 100 * abs(reference)


@dataclass(frozen=True)
class Rules:
    """What a run is judged by: its metric, and the budgets of the command line, which go first.

    ``others`` are those of the outputs that are judged beside the headline's; ``output`` is the one
    that the metric is taken on, where there are several. ``floor`` is the smallest difference that
    float32 can tell of the metric, where the reference's evaluation does not say it. A file that is
    judged ``by_itself`` is compared with nothing. ``waivers`` accept what is red.
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
    waivers: Waivers = field(default_factory=Waivers)

    def default(self) -> Limit:
        """Return the limit where none is stated."""
        return default_limit(self.bounded)


def default_limit(bounded: bool) -> Limit:
    """Return the drop that nobody stated: 0.02 for metrics in 0..1, else 5 % of the reference."""
    if bounded:
        return Limit(DEFAULT_MAX_DROP, stated=False)
    return Limit(DEFAULT_PERCENT, percent=True, stated=False)


@dataclass(frozen=True)
class TargetContext:
    """Where a target's figures come from: its id, and why its latency or arena cannot be had.

    ``latency`` is what its own device gave, else the candidate's own counts.
    """

    target: str = ""
    no_latency: str = ""
    no_arena: str = ""
    latency: Latency | None = None

    @property
    def key(self) -> str:
        """The table of the project file that holds the target's budgets."""
        return f"[targets.{self.target}.budgets]" if self.target else "the budgets"

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


@dataclass(frozen=True)
class Judge:
    """What a candidate is judged by: reference, budgets, the run's rules, and the target.

    ``others`` are the run's other candidates, which a fix may name.
    """

    reference: Evaluation
    budgets: Budgets
    rules: Rules
    place: TargetContext = TargetContext()
    others: tuple[Candidate, ...] = ()

    def check_all(self, candidate: Candidate) -> Iterator[CheckResult]:
        """Make every check of a candidate for the target (or for none)."""
        yield from self.check_file(candidate)
        if candidate.problem:
            return
        yield from _check_latency(candidate, self.budgets, self.place)
        if self.budgets.arena is not None:
            yield _check_arena(candidate, self.budgets.arena, self.place)

    def check_file(self, candidate: Candidate) -> Iterator[CheckResult]:
        """Yield the checks that hold on every device: the file, its metrics and its size."""
        if candidate.problem:
            status, problem = candidate.problem_status, candidate.problem
            fix = fixes.of_problem(problem)
            yield self.place.result("file", candidate.id, status, problem, fix=fix)
            return
        yield from self.check_goals(candidate)
        yield from self._check_size("size", "file", candidate.id, candidate.bytes)

    def check_goals(self, candidate: Candidate) -> Iterator[CheckResult]:
        """Yield the checks of the main metric, then of those of the other outputs."""
        goal = self.budgets.goal
        yield from check_goal(candidate, self.reference, goal, self.rules, self.place)
        for other in self.rules.others:
            goal = self.budgets.outputs.get(other.output)
            yield from check_goal(candidate, self.reference, goal, other, self.place)

    def check_compiled(self, compiled: Compiled) -> Iterator[CheckResult]:
        """Yield the check of the size budget on a compiled file, which is what the device gets."""
        if compiled.bytes is not None:
            name, file = "compiled size", "compiled file"
            yield from self._check_size(name, file, compiled.candidate, compiled.bytes)

    def _check_size(
        self, name: str, file: str, candidate: str, count: int
    ) -> Iterator[CheckResult]:
        limit = self.rules.max_size if self.rules.max_size is not None else self.budgets.size
        if limit is not None:
            status = Status.PASSED if count <= limit else Status.FAILED
            message, shown = f"the {file} has {count:,} bytes", f"at most {limit:,} bytes"
            yield self.place.result(
                name,
                candidate,
                status,
                message,
                shown,
                measured=Measurement(float(count), "byte", tool=f"the {file}"),
                bound=Bound(limit, "byte"),
                fix=fixes.of_size(limit, candidate, self.others),
            )


def check_goal(
    candidate: Candidate,
    reference: Evaluation,
    goal: Goal | None,
    rules: Rules,
    place: TargetContext,
) -> Iterator[CheckResult]:
    """Yield the checks of one metric."""
    drop = candidate.evaluation.drop.get(rules.metric)
    value = candidate.evaluation.metrics.get(rules.metric)
    base = reference.metrics.get(rules.metric)
    limits = list(_limits(goal, rules))
    threshold = goal.threshold if goal else None
    if drop is None or value is None or base is None:
        if any(limit.stated for limit in limits) or threshold is not None:
            message, fix = "nothing was evaluated", fixes.EVALUATE
            yield place.result(rules.metric, candidate.id, Status.UNAVAILABLE, message, fix=fix)
        return
    counts = candidate.evaluation.paired.get(rules.metric)
    for limit in limits:
        floor = reference.floor.get(rules.metric, rules.floor)
        absolute = limit.absolute(base.value or 0.0, floor)
        status, message = judge_drop(drop, counts, absolute, rules)
        fix = fixes.of_drop(status, candidate.id, items_to_settle(drop, counts, absolute))
        if rules.by_itself and limit.stated:
            status, message, fix = Status.UNAVAILABLE, COMPARED_WITH_NOTHING, fixes.REFERENCE
        # What was seen is worse than the limit, and nothing bounds what it may be: no green.
        blind = drop.high is None and (drop.value or 0.0) > absolute
        if status is Status.INCONCLUSIVE and not limit.stated and not blind:
            status = Status.PASSED
        name = f"{rules.metric} drop"
        shown = in_words(limit, base.value or 0.0, floor, rules)
        bound = Bound(absolute, drop.unit)
        yield place.result(
            name, candidate.id, status, message, shown, limit.stated, drop, bound, fix
        )
    if threshold is not None:
        status = decide(value, threshold, at_least=rules.higher_is_better)
        side = "at least" if rules.higher_is_better else "at most"
        message = f"{rules.metric} is {_interval(value, rules)}"
        shown = f"{side} {show(threshold, rules)}"
        bound = Bound(threshold, value.unit, at_least=rules.higher_is_better)
        below = decide(base, threshold, at_least=rules.higher_is_better) is not Status.PASSED
        fix = fixes.of_threshold(status, below)
        yield place.result(
            rules.metric, candidate.id, status, message, shown, True, value, bound, fix
        )


def _limits(goal: Goal | None, rules: Rules) -> Iterator[Limit]:
    goal, stated = goal or Goal(), False
    if rules.max_drop is not None:
        stated = True
        yield Limit(rules.max_drop)
    else:
        if goal.max_degradation is not None:
            stated = True
            yield Limit(goal.max_degradation)
        if goal.percent_max_degradation is not None:
            stated = True
            yield Limit(goal.percent_max_degradation, percent=True)
    # The command line's drop goes before the file's, not before what the file wants gained.
    if goal.min_improvement is not None:
        stated = True
        yield Limit(-goal.min_improvement)
    if not stated:
        yield rules.default()


def largest_drop(reference: Measurement, goal: Goal | None, rules: Rules) -> float:
    """Return the drop that the strictest limit on the metric allows."""
    base = reference.value or 0.0
    allowed = [limit.absolute(base) for limit in _limits(goal, rules)]
    if goal is not None and goal.threshold is not None:
        over = base - goal.threshold
        allowed.append(over if rules.higher_is_better else -over)
    return min(allowed)


def judge_drop(
    drop: Measurement, counts: PairedCounts | None, limit: float, rules: Rules
) -> tuple[Status, str]:
    """Decide on a drop: passed, failed or inconclusive, and why in words."""
    status = decide(drop, limit)
    if status is Status.UNAVAILABLE:
        return status, f"unavailable, because {drop.reason}"
    shown = _interval(drop, rules)
    if status is Status.PASSED:
        return status, f"drop {shown}"
    if status is Status.FAILED:
        return status, f"drop {shown} is over {show(limit, rules)}"
    needed = items_to_settle(drop, counts, limit)
    settle = f"about {needed:,} items would settle it" if needed else "no number of items would"
    if drop.high is None:
        message = (
            f"not proven: {show(drop.value or 0.0, rules)} lost, and any loss is possible on"
            f" {drop.n:,} items that are all alike; {settle}"
        )
        return status, message
    worst = show(drop.high, rules)
    return status, f"not proven: up to {worst} possible on {drop.n:,} items; {settle}"


def items_to_settle(drop: Measurement, counts: PairedCounts | None, limit: float) -> int | None:
    """Compute the number of items that would decide the drop, if its rates stayed as they are.

    Nothing where no number does, or where a share cannot but keep the limit.
    """
    if counts is not None and not -1 < limit < 1:
        return None
    if counts is not None:
        return statistics.items_to_settle(counts.lost, counts.gained, counts.n, limit)
    if drop.low is None or drop.high is None or drop.value is None or drop.n is None:
        return None
    interval = statistics.Interval(drop.value, drop.low, drop.high, drop.level or 0.95, drop.n)
    return statistics.items_to_settle_scaled(interval, limit)


def _check_latency(
    candidate: Candidate, budgets: Budgets, place: TargetContext
) -> Iterator[CheckResult]:
    latency = place.latency or candidate.evaluation.latency
    for name, limit in _latency_limits(budgets):
        shown, bound = f"at most {limit / 1e6:g} ms", Bound(limit, "ns")
        if place.no_latency or latency is None:
            reason = place.no_latency or "nothing was timed"
            status, message, measured = Status.UNAVAILABLE, f"unavailable, because {reason}", None
            fix = fixes.DEVICES
        else:
            figure = getattr(latency, name.removeprefix("latency_"))
            status, message = decide_time(figure, limit, latency.noise, "ms", 1e6)
            measured, fix = widened(figure, latency.noise), fixes.of_time(status)
        yield place.result(name, candidate.id, status, message, shown, True, measured, bound, fix)
    if budgets.latency is not None:
        message = f"unavailable, because there is no edgekit.lock with {place.target}"
        fix = "make one with `edgekit lock --update`: `edgekit check` decides by it"
        yield place.result("latency", candidate.id, Status.UNAVAILABLE, message, fix=fix)


def _latency_limits(budgets: Budgets) -> list[tuple[str, float]]:
    limits = {"latency_p50": budgets.latency_p50, "latency_p95": budgets.latency_p95}
    return [(name, limit) for name, limit in limits.items() if limit is not None]


def decides_latency(latency: Latency, budgets: Budgets) -> bool:
    """Tell whether more launches would change nothing of the budgets of a latency."""
    return all(
        decide(getattr(latency, name.removeprefix("latency_")), limit, latency.noise)
        is not Status.INCONCLUSIVE
        for name, limit in _latency_limits(budgets)
    )


def _check_arena(candidate: Candidate, limit: int, place: TargetContext) -> CheckResult:
    memory, shown = candidate.evaluation.memory, f"at most {limit:,} bytes"
    bound = Bound(limit, "byte")
    value = memory.arena.value if memory else None
    if place.no_arena or memory is None or value is None:
        reason = place.no_arena or (memory.arena.reason if memory else "nothing was evaluated")
        message, fix = f"unavailable, because {reason}", f"take arena out of {place.key}"
        if not place.no_arena:
            fix = fixes.DEVICES if memory else fixes.EVALUATE
        return place.result(
            "arena", candidate.id, Status.UNAVAILABLE, message, shown, bound=bound, fix=fix
        )
    status = Status.PASSED if value <= limit else Status.FAILED
    message = f"the smallest arena that runs it on this host is {value:,.0f} bytes"
    measured = memory.arena
    return place.result(
        "arena", candidate.id, status, message, shown, True, measured, bound, fixes.ARENA
    )


def in_words(limit: Limit, reference: float, floor: float, rules: Rules) -> str:
    """Format a limit, and say where it is float32's resolution instead of a share."""
    shown = f"at most {show(limit.absolute(reference, floor), rules)}"
    if limit.stands_on_floor(reference, floor):
        shown += f" (float32 resolution; {limit.value:g} % of {show(reference, rules)} is less)"
    return shown


def show(value: float, rules: Rules) -> str:
    """Return a metric's value or drop in words: points for metrics in 0..1."""
    return f"{value * 100:.3g} points" if rules.bounded else f"{value:.4g}"


def _interval(measured: Measurement, rules: Rules) -> str:
    low = "-∞" if measured.low is None else show(measured.low, rules).split()[0]
    high = "∞" if measured.high is None else show(measured.high, rules).split()[0]
    return f"{show(measured.value or 0.0, rules)} [{low}, {high}]"
