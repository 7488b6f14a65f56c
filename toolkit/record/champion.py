"""Whether a version may take another's place: only where it is proven not worse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgekit.errors import ExitCode
from edgekit.gate.lock import LockEntry, Tolerances, compare_entries, entries_of
from edgekit.gate.statuses import EXIT_CODES, counts, worst
from edgekit.gate.waivers import Waivers
from edgekit.types import CheckResult, Report, Status, Verdict

# What a new champion may lose of a metric in 0..1, and how much slower it may be, by default.
DROP = 0.01
SLOWDOWN = 0.10
AGAINST = "champion"
LATENCY = f"{AGAINST} latency"


def promotion_checks(
    champion: Report, challenger: Report, tolerances: Tolerances, waivers: Waivers
) -> tuple[CheckResult, ...]:
    """Hold each figure that must not be worse against the champion's: metrics and latency.

    A metric is paired item by item, which takes the same items in both runs; on other items
    nothing is proven. ``tolerances`` state the drop that is allowed, without which hardly anything
    could ever be proven. Size, operators and memory are what budgets and the lock hold. Both
    reports have their details, where which items are right stands.
    """
    before = {entry.tag.target: entry for entry in entries_of(champion)}
    now = {entry.tag.target: entry for entry in entries_of(challenger)}
    checks: list[CheckResult] = []
    for target, entry in before.items():
        checks += _gone(entry) if target not in now else _held(entry, now[target], tolerances)
    return waivers.apply(checks)


def _gone(entry: LockEntry) -> Iterator[CheckResult]:
    target = entry.tag.target
    message = f"the champion ships for {target}, and this version does not"
    fix = "convert it for that target as well, or promote it under another name: --to"
    yield CheckResult(f"{AGAINST} target", "", target, Status.FAILED, message, target, fix=fix)


def _held(before: LockEntry, now: LockEntry, tolerances: Tolerances) -> Iterator[CheckResult]:
    names = {f"{AGAINST} {name}" for name in before.metrics}
    if not names:
        message = "unavailable, because the champion's run evaluated nothing"
        fix = "convert both with labelled items: [data] evaluate"
        yield CheckResult(
            f"{AGAINST} metric",
            now.tag.candidate,
            now.tag.target,
            Status.UNAVAILABLE,
            message,
            fix=fix,
        )
    if before.latency is None:
        message = "unavailable, because the champion's run was not timed on the target's device"
        fix = (
            "name the target's device in the project file, and convert, register and promote again"
        )
        tag, status = now.tag, Status.UNAVAILABLE
        yield CheckResult(
            LATENCY, tag.candidate, tag.target, status, message, stated=False, fix=fix
        )
    for check in compare_entries(before, now, tolerances, AGAINST):
        if check.name == LATENCY:
            yield check
        elif check.name in names:
            yield _paired(check, before, now)


def _paired(check: CheckResult, before: LockEntry, now: LockEntry) -> CheckResult:
    """Return a metric's check; one on other items proves nothing, whatever its interval says."""
    name = check.name.removeprefix(f"{AGAINST} ")
    metric = now.metrics.get(name)
    known = before.metrics[name]
    if metric is None or check.status is not Status.PASSED:
        return check
    if known.items and known.items == metric.items and known.measured.n == metric.measured.n:
        return check
    message = f"{check.message}: what is not paired proves nothing here"
    fix = "evaluate both versions on the same items, then register and promote again"
    return replace(check, status=Status.INCONCLUSIVE, message=message, fix=fix)


def verdict_of(run: Verdict, checks: Sequence[CheckResult]) -> Verdict:
    """Return the verdict on a promotion: the run's own by its budgets, and the checks'."""
    status = worst([run.status, *(check.status for check in checks if counts(check))])
    return Verdict(status, int(EXIT_CODES.get(status, ExitCode.FAILED)), (*run.checks, *checks))
