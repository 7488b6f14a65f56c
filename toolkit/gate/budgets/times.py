"""Budgets of time: percentiles of the target's own device, and the ratio to the reference."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.gate import fixes
from edgekit.gate.decision import decide, decide_time, time_unit, widened
from edgekit.gate.rules import Basis
from edgekit.project import Budgets
from edgekit.types import Bound, Candidate, CheckResult, Latency, Measurement, Status


def check_percentiles(
    basis: Basis, budgets: Budgets, candidate: Candidate
) -> Iterator[CheckResult]:
    """Check the median and the 95th percentile on the target's own device."""
    place = basis.place
    latency = place.latency or candidate.evaluation.latency
    for name, limit in latency_limits(budgets):
        unit, scale = time_unit(limit)
        shown, bound = f"at most {limit / scale:g} {unit}", Bound(limit, "ns")
        if place.no_latency or latency is None:
            reason, fix = place.no_latency or "nothing was timed", fixes.DEVICES
            yield place.unavailable(name, candidate.id, reason, shown, bound, fix)
            continue
        figure = getattr(latency, name.removeprefix("latency_"))
        status, message = decide_time(figure, limit, latency.noise, unit, scale)
        measured, fix = widened(figure, latency.noise), fixes.of_time(status)
        yield place.result(name, candidate.id, status, message, shown, True, measured, bound, fix)


def check_ratio(basis: Basis, budgets: Budgets, candidate: Candidate) -> Iterator[CheckResult]:
    """Check how much slower or faster a file is than the reference, timed in turns with it.

    Both ran on this host, which is evidence for a target only where it is this host.
    """
    goal, place = budgets.latency, basis.place
    if goal is None:
        return
    for name, limit, words in (
        ("latency", goal.percent_max_degradation, "at most {:g} % slower than {}"),
        ("speed-up", goal.percent_min_improvement, "at least {:g} % faster than {}"),
    ):
        if limit is None:
            continue
        most = 1 + limit / 100 if name == "latency" else 1 - limit / 100
        against = "edgekit.lock" if goal.against == "lock" else "the reference"
        shown, bound = words.format(limit, against), Bound(most, "1", share="%")
        ratio = candidate.evaluation.latency_ratio
        if goal.against == "lock":
            reason = f"there is no edgekit.lock with {place.target or candidate.id}"
            fix = "make one of this run: `edgekit lock --update`"
            yield place.unavailable(name, candidate.id, reason, shown, bound, fix)
        elif place.latency or place.no_latency or ratio is None:
            reason = place.no_latency or "nothing was timed"
            if place.latency:
                reason = f"the reference was not timed on the own device of {place.target}"
            fix = f"limit the time there: latency_p50 in {place.key(candidate.id)}"
            yield place.unavailable(name, candidate.id, reason, shown, bound, fix)
        else:
            latency = candidate.evaluation.latency
            noise = latency.noise if latency else None
            status, message = decide_time(ratio, most, noise, "times the reference's time", 1.0)
            measured, fix = widened(ratio, noise), fixes.of_time(status)
            yield place.result(
                name, candidate.id, status, message, shown, True, measured, bound, fix
            )


def latency_limits(budgets: Budgets) -> list[tuple[str, float]]:
    """List the percentiles that budgets limit, with their limits in nanoseconds."""
    limits = {"latency_p50": budgets.latency_p50, "latency_p95": budgets.latency_p95}
    return [(name, limit) for name, limit in limits.items() if limit is not None]


def ratio_limits(budgets: Budgets) -> list[float]:
    """List the ratios to the reference's time that budgets limit."""
    goal = budgets.latency
    if goal is None or goal.against != "reference":
        return []
    most, least = goal.percent_max_degradation, goal.percent_min_improvement
    limits = [] if most is None else [1 + most / 100]
    return limits if least is None else [*limits, 1 - least / 100]


def decides_ratio(ratio: Measurement, noise: Measurement | None, budgets: Budgets) -> bool:
    """Tell whether more launches would change nothing of the budgets of a ratio."""
    return all(
        decide(ratio, limit, noise) is not Status.INCONCLUSIVE for limit in ratio_limits(budgets)
    )


def decides_latency(latency: Latency, budgets: Budgets) -> bool:
    """Tell whether more launches would change nothing of the budgets of a latency."""
    return all(
        decide(getattr(latency, name.removeprefix("latency_")), limit, latency.noise)
        is not Status.INCONCLUSIVE
        for name, limit in latency_limits(budgets)
    )
