"""Budgets of metrics: how much may be lost, what must be reached, in all and class by class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from edgekit import quantities, statistics
from edgekit.gate import fixes
from edgekit.gate.decision import decide
from edgekit.gate.rules import Basis, Limit, Rules, TargetContext
from edgekit.project import Budgets, Goal
from edgekit.types import (
    Bound,
    Candidate,
    CheckResult,
    Evaluation,
    Measurement,
    PairedCounts,
    Status,
)

COMPARED_WITH_NOTHING = (
    "unavailable, because the file is judged by itself: nothing was compared; --reference MODEL"
    " ([convert] reference) names the model that it was made from"
)
# The key of the floor of every class that has none of its own.
DEFAULT = "default"


def check_goals(basis: Basis, budgets: Budgets, candidate: Candidate) -> Iterator[CheckResult]:
    """Yield the checks of the main metric, of those of other outputs, and of those named.

    A budget on a metric that the run did not compute is red.
    """
    rules, place, by_name = basis.rules, basis.place, dict(budgets.metrics)
    goal = _merged(budgets.goal, by_name.pop(rules.metric, None))
    yield from check_goal(candidate, basis.reference, goal, rules, place)
    by_output = dict(budgets.outputs)
    for other in rules.others:
        goal = _merged(by_output.pop(other.output, None), by_name.pop(other.metric, None))
        yield from check_goal(candidate, basis.reference, goal, other, place)
    for beside in rules.beside:
        if (named := by_name.pop(beside.metric, None)) is not None:
            shown_only = candidate, basis.reference, named, beside, place
            yield from check_goal(*shown_only, by_default=False)
    known = [each.metric for each in (rules, *rules.others, *rules.beside)]
    outputs = [each.output for each in rules.others]
    for name in by_name:
        yield _missing(name, "metric", known, candidate, place)
    for name in by_output:
        if name != rules.output:
            yield _missing(name, "output", outputs, candidate, place)


def _merged(first: Goal | None, second: Goal | None) -> Goal | None:
    """Return two goals of one metric as one; what both say the first says."""
    if first is None or second is None:
        return first or second
    return Goal(**{**second.model_dump(exclude_none=True), **first.model_dump(exclude_none=True)})


def _missing(
    name: str, noun: str, known: list[str], candidate: Candidate, place: TargetContext
) -> CheckResult:
    """Return the check of a budget on a metric that is not there: red, and never left out."""
    message = f"the run computed no {noun} {name!r}; it computed: {', '.join(known)}"
    fix = f"compute it again ([evaluate]), or take {name} out of {place.key(candidate.id)}"
    return place.result(name, candidate.id, Status.FAILED, message, "must be there", fix=fix)


def check_goal(
    candidate: Candidate,
    reference: Evaluation,
    goal: Goal | None,
    rules: Rules,
    place: TargetContext,
    by_default: bool = True,
) -> Iterator[CheckResult]:
    """Yield the checks of one metric; ``by_default`` also where no drop is limited."""
    drop = candidate.evaluation.drop.get(rules.metric)
    value = candidate.evaluation.metrics.get(rules.metric)
    base = reference.metrics.get(rules.metric)
    limits = [limit for limit in _limits(goal, rules) if limit.stated or by_default]
    threshold = goal.threshold if goal else None
    if drop is None or value is None or base is None:
        if any(limit.stated for limit in limits) or threshold is not None:
            yield _not_evaluated(candidate, rules, place)
        return
    for limit in limits:
        yield _check_drop(candidate, reference, limit, rules, place)
    if threshold is not None:
        yield _check_threshold(candidate.id, value, base, threshold, rules, place)


def _not_evaluated(candidate: Candidate, rules: Rules, place: TargetContext) -> CheckResult:
    """Return the check of a metric without figures: red where others of the candidate have some."""
    status, message, fix = Status.UNAVAILABLE, "nothing was evaluated", fixes.EVALUATE
    others = candidate.evaluation.metrics
    if others and rules.metric not in others:
        status = Status.FAILED
        message = f"the run has no {rules.metric}; it has: {', '.join(others)}"
    return place.result(rules.metric, candidate.id, status, message, fix=fix)


def _check_drop(
    candidate: Candidate, reference: Evaluation, limit: Limit, rules: Rules, place: TargetContext
) -> CheckResult:
    drop = candidate.evaluation.drop[rules.metric]
    base = reference.metrics[rules.metric].value or 0.0
    counts = candidate.evaluation.paired.get(rules.metric)
    floor = reference.floor.get(rules.metric, rules.floor)
    absolute = limit.absolute(base, floor)
    status, message = judge_drop(drop, counts, absolute, rules)
    fix = fixes.of_drop(status, candidate.id, items_to_settle(drop, counts, absolute))
    if rules.by_itself and limit.stated:
        status, message, fix = Status.UNAVAILABLE, COMPARED_WITH_NOTHING, fixes.REFERENCE
    # What was seen is worse than the limit, and nothing bounds what it may be: no green.
    blind = drop.high is None and (drop.value or 0.0) > absolute
    if status is Status.INCONCLUSIVE and not limit.stated and not blind:
        status = Status.PASSED
    name, bound = f"{rules.metric} drop", Bound(absolute, drop.unit, share=rules.share)
    shown = in_words(limit, base, floor, rules)
    return place.result(name, candidate.id, status, message, shown, limit.stated, drop, bound, fix)


def _check_threshold(
    candidate: str,
    value: Measurement,
    base: Measurement,
    threshold: float,
    rules: Rules,
    place: TargetContext,
) -> CheckResult:
    status = decide(value, threshold, at_least=rules.higher_is_better)
    side = "at least" if rules.higher_is_better else "at most"
    message = f"{rules.metric} is {_interval(value, rules)}"
    if value.value is None:
        message = f"unavailable, because {value.reason}"
    shown = f"{side} {show(threshold, rules)}"
    bound = Bound(threshold, value.unit, rules.higher_is_better, rules.share)
    below = decide(base, threshold, at_least=rules.higher_is_better) is not Status.PASSED
    fix = fixes.of_threshold(status, below)
    return place.result(rules.metric, candidate, status, message, shown, True, value, bound, fix)


def check_classes(basis: Basis, budgets: Budgets, candidate: Candidate) -> Iterator[CheckResult]:
    """Check the figure of every class against its floor, or against that of ``default``."""
    floors = dict(budgets.classes)
    if not floors:
        return
    default, parts = floors.pop(DEFAULT, None), candidate.evaluation.parts
    named = {part.name: part for part in parts}
    for name in floors.keys() - named.keys():
        known = ", ".join(list(named)[:20]) or "none: the metric has no figure by class"
        message = f"the run has no class {name!r}; it has: {known}"
        fix = f"name a class of the data, or take {name} out of {basis.place.key(candidate.id)}"
        status = Status.FAILED if named else Status.UNAVAILABLE
        yield basis.place.result(name, candidate.id, status, message, "must be there", fix=fix)
    if default is not None and not parts:
        reason, fix = "the metric has no figure by class", "choose one of classes: --metric"
        shown, bound = (
            f"at least {quantities.in_points(default, 6)}",
            Bound(default, "1", True, "points"),
        )
        yield basis.place.unavailable("classes", candidate.id, reason, shown, bound, fix)
    for part in parts:
        floor = floors.get(part.name, default)
        if floor is not None:
            figure = _figure(basis.rules.metric, part.figures)
            yield _check_class(basis, candidate.id, part.name, figure, part.figures[figure], floor)


def _figure(metric: str, figures: Mapping[str, Measurement]) -> str:
    """Choose the figure of a class that is of the metric; of accuracy that is the recall."""
    akin = [name for name in figures if name in metric]
    if akin:
        return max(akin, key=len)
    return "recall" if "recall" in figures else next(iter(figures))


def _check_class(
    basis: Basis, candidate: str, part: str, figure: str, measured: Measurement, floor: float
) -> CheckResult:
    name, shown = f"{figure} of {part}", f"at least {quantities.in_points(floor, 6)}"
    bound, status = Bound(floor, "1", True, "points"), decide(measured, floor, at_least=True)
    if measured.value is None:
        fix = "evaluate items of this class: --data FILE ([data] evaluate)"
        return basis.place.unavailable(name, candidate, measured.reason, shown, bound, fix)
    bounded = replace(basis.rules, bounded=True)
    message = f"{figure} is {_interval(measured, bounded)} on {measured.n or 0:,} items"
    fix = fixes.of_threshold(status, below=False)
    return basis.place.result(name, candidate, status, message, shown, True, measured, bound, fix)


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
    if goal.percent_min_improvement is not None:
        stated = True
        yield Limit(-goal.percent_min_improvement, percent=True)
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


def in_words(limit: Limit, reference: float, floor: float, rules: Rules) -> str:
    """Format a limit, and say where it is float32's resolution instead of a share."""
    shown = f"at most {show(limit.absolute(reference, floor), rules)}"
    if limit.stands_on_floor(reference, floor):
        shown += f" (float32 resolution; {limit.value:g} % of {show(reference, rules)} is less)"
    return shown


def show(value: float, rules: Rules) -> str:
    """Return a metric's value or drop in words: points for metrics in 0..1."""
    return quantities.in_points(value) if rules.bounded else f"{value:.4g}"


def _interval(measured: Measurement, rules: Rules) -> str:
    value = show(measured.value or 0.0, rules)
    if quantities.bounds_nothing(measured):
        return f"{value} ({quantities.NO_INTERVAL})"
    low = "-∞" if measured.low is None else show(measured.low, rules).split()[0]
    high = "∞" if measured.high is None else show(measured.high, rules).split()[0]
    return f"{value} [{low}, {high}]"
