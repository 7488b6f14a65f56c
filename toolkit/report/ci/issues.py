"""What a machine-read list of issues holds: the checks that are not passed, and the notes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edgekit import explanations
from edgekit.report import evidence
from edgekit.report.ci.judged import Judged, Outcome, margin, outcome_of, place_of
from edgekit.report.ci.source import Source
from edgekit.report.table import outcome as without_status
from edgekit.types import CheckResult, Status, Waiver

Level = Literal["error", "warning", "note"]
LEVELS: dict[Outcome, Level] = {
    "red": "error",
    "unavailable": "error",
    "undecided": "warning",
    "waived": "note",
}
# The rule of a run in which nothing was evaluated.
UNEVALUATED = "edgekit/evaluation"
SEVERITIES: dict[str, Level] = {"error": "error", "warning": "warning", "info": "note"}


@dataclass(frozen=True)
class Issue:
    """One issue: the rule that it breaks, how grave it is, what it says, and in which file and
    line.
    """

    rule: str
    level: Level
    title: str
    text: str
    place: tuple[str, int]
    subject: str = ""
    waiver: Waiver | None = None


def issues(judged: Judged, source: Source) -> Iterator[Issue]:
    """Yield the checks that are not passed, the red first, then the notes of the run.

    Where nothing was evaluated, that is a note too.
    """
    for outcome in LEVELS:
        for check in judged.having(outcome):
            yield _of_check(check, judged, source)
    if lacking := evidence.lacking(judged.verdict):
        title = f"{judged.title}: {judged.verdict.status.value}"
        yield Issue(UNEVALUATED, "note", title, lacking, source.place(), judged.title)
    for advice in judged.advice:
        text = f"{advice.message}\n{advice.fix}" if advice.fix else advice.message
        yield Issue(advice.code, SEVERITIES[advice.severity], advice.code, text, source.place())


def _of_check(check: CheckResult, judged: Judged, source: Source) -> Issue:
    level = LEVELS[outcome_of(check, judged.undecided)]
    held = "; ".join(part for part in (check.limit, margin(check)) if part)
    text = without_status(check) + (f" ({held})" if held else "")
    if check.status in (Status.UNAVAILABLE, Status.INCONCLUSIVE):
        text = f"{check.status.value}: {text}"
    if check.fix and check.waiver is None:
        text += f"\n{check.fix}"
    title = f"{place_of(check)}: {check.name}"
    return Issue(
        rule_of(check.name), level, title, text, source.place(check), place_of(check), check.waiver
    )


def rule_of(check: str) -> str:
    """Return the rule of a check: its name, without what varies in it."""
    known = explanations.of_check(check)
    name = known.name if known else explanations.METRIC
    return f"edgekit/{name.replace(' ', '-')}"


def explained(rule: str) -> explanations.Explanation | None:
    """Return what a rule means; None for a code that nobody has explained."""
    name = rule.removeprefix("edgekit/").replace("-", " ")
    by_check = explanations.checks().get(name) or explanations.checks().get(
        rule.removeprefix("edgekit/")
    )
    return by_check or explanations.codes().get(rule)
