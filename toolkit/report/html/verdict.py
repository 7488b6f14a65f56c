"""The verdict of a run: what stands against it, by how much, and what mends it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from edgekit.report import evidence, words
from edgekit.report.html.budgets import BudgetRow, budget_row
from edgekit.report.html.shell import Badge, badge
from edgekit.types import Report, Status, Verdict

# What stands against a run, worst first.
AGAINST = (
    Status.FAILED,
    Status.INCOMPATIBLE,
    Status.UNAVAILABLE,
    Status.INCONCLUSIVE,
    Status.WAIVED,
)
MEANS = {
    0: "every check that counts passed",
    1: "a check failed, and the run fails with it",
    3: "a device or a runtime was not there, so something stated was not measured",
    4: "the items or the times do not suffice to decide",
    5: "a target cannot run what was made for it",
}
RAN = "it ran and answered; no limit was given, so no figure was judged"


@dataclass(frozen=True)
class VerdictView:
    """The verdict: a badge, what its exit code means, what stands against it, and all checks."""

    badge: Badge
    exit_code: int
    meaning: str
    counts: tuple[tuple[Badge, int], ...]
    against: tuple[BudgetRow, ...]
    checks: tuple[BudgetRow, ...]
    task: str


@dataclass(frozen=True)
class WaiverRow:
    """A waiver of the project, whether a check of the run needs it, and its JSON pointer."""

    check: str
    target: str
    candidate: str
    reason: str
    expires: str
    used: bool
    at: str


def view(report: Report) -> VerdictView:
    """Return what the verdict's section shows."""
    return of_verdict(report.verdict, words.task(report.settings))


def of_verdict(verdict: Verdict, task: str = "") -> VerdictView:
    """Return what a section on any command's verdict shows."""
    rows = [
        (check.status, budget_row(check, f"/verdict/checks/{number}"))
        for number, check in enumerate(verdict.checks)
        if evidence.counts(check)
    ]
    against = [row for status in AGAINST for each, row in rows if each is status]
    counted = Counter(status for status, _ in rows)
    return VerdictView(
        badge(verdict.status),
        verdict.exit_code,
        _meaning(verdict),
        tuple((badge(each), counted[each]) for each in (*AGAINST, Status.PASSED) if counted[each]),
        tuple(against),
        tuple(row for _, row in rows),
        task,
    )


def _meaning(verdict: Verdict) -> str:
    """Say what a verdict rests on: where no check has a limit, only on what ran."""
    if lacking := evidence.lacking(verdict):
        return lacking
    checks = [check for check in verdict.checks if evidence.counts(check)]
    if verdict.status is Status.PASSED and not any(check.limit for check in checks):
        return RAN
    return MEANS.get(verdict.exit_code, "")


def waivers(report: Report) -> tuple[WaiverRow, ...]:
    """Return the waivers that the run was made with."""
    waived = [check.waiver for check in report.verdict.checks if check.waiver is not None]
    return tuple(
        WaiverRow(
            str(waiver["check"]),
            str(waiver.get("target", "")),
            str(waiver.get("candidate", "")),
            str(waiver["reason"]),
            str(waiver["expires"]),
            any(
                (each.check, each.target, each.candidate, each.reason)
                == (
                    waiver["check"],
                    waiver.get("target", ""),
                    waiver.get("candidate", ""),
                    waiver["reason"],
                )
                for each in waived
            ),
            f"/settings/waivers/{number}",
        )
        for number, waiver in enumerate(report.settings.get("waivers", ()))
    )
