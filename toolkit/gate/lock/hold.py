"""A judged run held against a lock or against another run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edgekit.gate.lock.checks import compare_entries
from edgekit.gate.lock.entries import LockEntry
from edgekit.gate.lock.from_report import entries_of, shipped
from edgekit.gate.lock.latency import latency_check
from edgekit.gate.lock.tolerances import Tolerances
from edgekit.gate.lock.update import locked_for
from edgekit.gate.shipping import rejudged
from edgekit.gate.statuses import RED, counts, worst
from edgekit.gate.verdict import evidence_of, with_checks
from edgekit.gate.waivers import Waivers
from edgekit.gate.whole_check import overturn
from edgekit.project import LatencyGoal, TargetTable
from edgekit.types import CheckResult, Report, Status, TargetResult

LATENCY = "latency"


@dataclass(frozen=True)
class Baseline:
    """What a run is held against: the entries, and the word for them in checks.

    ``origin`` says where they are from. ``whole`` says that each of them is to be met: the run was
    not narrowed to some of its targets.
    """

    entries: tuple[LockEntry, ...]
    against: str = "lock"
    origin: str = ""
    whole: bool = True


def hold(
    report: Report,
    baseline: Baseline,
    tolerances: Tolerances,
    waivers: Waivers,
    tables: Mapping[str, TargetTable],
) -> Report:
    """Return the report with a check for every figure of its model that the baseline has.

    A target that is red by it ships nothing, as one that is red by its budgets.
    A target or a candidate that the baseline has and the run has not is red; one that the baseline
    has not is unavailable. Budgets of a latency against the lock are decided. What chance may make
    red among so many checks, those of budgets too, is inconclusive.
    """
    mine = [entry for entry in baseline.entries if entry.tag.model == report.model["name"]]
    added: dict[str, tuple[CheckResult, ...]] = {}
    for entry in entries_of(report):
        before = locked_for(mine, entry.tag)
        checks = (
            (_not_there(entry, baseline),)
            if before is None
            else tuple(compare_entries(before, entry, tolerances, baseline.against))
        )
        added[entry.tag.target] = (*added.get(entry.tag.target, ()), *waivers.apply(checks))
        table = tables.get(entry.tag.target)
        goal = table.budgets.latency if table else None
        if before is not None and before.latency and goal is not None and goal.against == "lock":
            report = _with_goal(report, before, entry, baseline, goal, waivers)
    if baseline.whole:
        for check in waivers.apply(tuple(_gone(report, mine, baseline))):
            added[check.target] = (*added.get(check.target, ()), check)
    report = with_checks(*_proven(report, added, tolerances, baseline.against))
    targets = tuple(
        replace(result, candidate=None) if result.status in RED else result
        for result in report.targets
    )
    return replace(report, targets=targets)


def _proven(
    report: Report, added: Mapping[str, tuple[CheckResult, ...]], allowed: Tolerances, against: str
) -> tuple[Report, dict[str, tuple[CheckResult, ...]]]:
    """Return the report, and the checks that are to be added, as they stand among all of them."""
    on_device = {result.id: result.on_device for result in report.targets}
    # Without a stated slowdown a latency is red where it is proven slower at all.
    beyond = {} if allowed.slowdown is not None else {f"{against} {LATENCY}": 1.0}
    evidence = replace(evidence_of(report.candidates, on_device), beyond=beyond)
    every = (*report.verdict.checks, *(check for more in added.values() for check in more))
    proven = overturn(every, evidence)
    targets = tuple(rejudged(one, tuple(map(proven, one.checks))) for one in report.targets)
    verdict = replace(report.verdict, checks=tuple(map(proven, report.verdict.checks)))
    return (
        replace(report, targets=targets, verdict=verdict),
        {target: tuple(map(proven, checks)) for target, checks in added.items()},
    )


def _not_there(entry: LockEntry, baseline: Baseline) -> CheckResult:
    tag, against = entry.tag, baseline.against
    message = f"unavailable, because {baseline.origin or against} has no entry for {tag}"
    fix = "`edgekit lock --update` adds it; then commit edgekit.lock"
    if against != "lock":
        fix = "compare with a run that has it"
    return CheckResult(
        f"{against} entry", tag.candidate, tag.target, Status.UNAVAILABLE, message, fix=fix
    )


def _gone(report: Report, mine: list[LockEntry], baseline: Baseline) -> Iterator[CheckResult]:
    """Yield a red check for each entry whose target, or precision, the run does not have."""
    now = entries_of(report)
    targets = {entry.tag.target for entry in now if entry.tag.target}
    candidates = {entry.tag.candidate for entry in now if not entry.tag.target}
    for entry in mine:
        target, candidate = entry.tag.target, entry.tag.candidate
        if target in targets or (not target and candidate in candidates):
            continue
        what, where = ("target", target) if target else ("candidate", candidate)
        message = f"{baseline.against} has {entry.tag}, and the run does not judge {where}"
        fix = (
            f"convert it again; or accept it by a [[waiver]] of {baseline.against} {what}"
            f" until its table is taken out of {baseline.origin or 'the ' + baseline.against}"
        )
        name = f"{baseline.against} {what}"
        yield CheckResult(name, candidate, target, Status.FAILED, message, str(entry.tag), fix=fix)


def _with_goal(
    report: Report,
    before: LockEntry,
    now: LockEntry,
    baseline: Baseline,
    goal: LatencyGoal,
    waivers: Waivers,
) -> Report:
    """Replace a target's undecided budget of a latency against the lock by what it says."""
    if before.latency is None or goal.percent_max_degradation is None:
        return report
    allowed = goal.percent_max_degradation / 100
    check = latency_check(before, now, allowed, baseline.against, LATENCY)
    (check,) = waivers.apply((check,))

    def decided(checks: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
        same = (LATENCY, now.tag.target, now.tag.candidate)
        return tuple(check if (c.name, c.target, c.candidate) == same else c for c in checks)

    targets = tuple(
        _judged_again(result, decided(result.checks)) if result.id == now.tag.target else result
        for result in report.targets
    )
    verdict = replace(report.verdict, checks=decided(report.verdict.checks))
    return with_checks(replace(report, targets=targets, verdict=verdict), {})


def _judged_again(result: TargetResult, checks: tuple[CheckResult, ...]) -> TargetResult:
    """Return a target by its checks; it ships what they are about where all pass now."""
    result = replace(result, checks=checks)
    status = worst(check.status for check in checks if counts(check))
    ships = result.candidate
    if status is Status.PASSED and ships is None:
        ships = shipped(result) or None
    return replace(result, status=status, candidate=ships)
