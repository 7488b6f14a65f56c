"""A run in Markdown, for a job summary or a comment: what is red first, the rest folded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgekit.report import evidence
from edgekit.report.ci.escaping import markdown
from edgekit.report.ci.judged import (
    Change,
    Group,
    Judged,
    Outcome,
    Undecided,
    margin,
    outcome_of,
    place_of,
    seconds_in_words,
)
from edgekit.report.table import outcome as without_status
from edgekit.types import CheckResult, Status

MARKS: dict[Outcome, str] = {
    "red": "❌",
    "undecided": "❔",
    "unavailable": "🚫",
    "waived": "⚠️",
    "skipped": "⏭️",
    "passed": "✅",
}
COUNTS: dict[Outcome, str] = {
    "red": "failed",
    "undecided": "inconclusive",
    "unavailable": "unavailable",
    "waived": "waived",
    "passed": "passed",
    "skipped": "skipped",
}
AGAINST: tuple[Outcome, ...] = ("red", "unavailable", "undecided", "waived")
NO_BREAK = "\N{NO-BREAK SPACE}"
# A comment of GitHub holds 65,536 characters, and whoever posts it adds some.
LONGEST = 60_000
COUNTED = {
    "fail": "inconclusive counts as failed (`--inconclusive fail`)",
    "pass": "inconclusive counts as passed (`--inconclusive pass`)",
}


def summary(judged: Judged) -> str:
    """Return the run in Markdown: the verdict, what is red, what changed, and the rest folded."""
    parts = ["\n".join(_head(judged))]
    parts += ["\n".join(section) for section in (_against(judged), _changes(judged)) if section]
    text = "\n\n".join(parts) + "\n"
    left_out = 0
    for section in _folded(judged):
        if len(text) + len(section) > LONGEST:
            left_out += 1
            continue
        text += f"\n{section}\n"
    if left_out:
        text += f"\n{left_out} more parts are too long for a summary: `edgekit report` has them.\n"
    return text


def _head(judged: Judged) -> Iterator[str]:
    status = judged.verdict.status
    mark = MARKS[_overall(judged)]
    yield f"## {mark} {markdown(judged.title)}: {status.value}"
    yield ""
    parts = []
    for outcome, name in COUNTS.items():
        number = len(judged.having(outcome))
        if number:
            parts.append(f"**{number} {name}**" if outcome == "red" else f"{number} {name}")
    parts += [f"exit code {judged.verdict.exit_code}", f"`edgekit {judged.command}`"]
    if judged.seconds:
        parts.append(f"the run took {seconds_in_words(judged.seconds)}")
    yield " · ".join(parts)
    if lacking := evidence.lacking(judged.verdict):
        yield ""
        yield markdown(lacking)
    if judged.undecided in COUNTED and Status.INCONCLUSIVE in {c.status for c in judged.checks}:
        yield ""
        yield COUNTED[judged.undecided]


def _overall(judged: Judged) -> Outcome:
    for outcome in AGAINST[:-1]:
        if judged.having(outcome):
            return outcome
    return "passed" if judged.verdict.status is Status.PASSED else "skipped"


def _against(judged: Judged) -> list[str]:
    """Return the table of what is not passed, the red first, and what to do about it."""
    checks = [check for outcome in AGAINST for check in judged.having(outcome)]
    if not checks:
        return []
    lines = ["| | check | found | limit | how far |", "| --- | --- | --- | --- | --- |"]
    lines += [_line(check, judged.undecided) for check in checks]
    fixes: dict[str, list[str]] = {}
    for check in checks:
        if check.fix and check.status is not Status.WAIVED:
            fixes.setdefault(check.fix, []).append(f"{check.name} of {_subject(check)}")
    if fixes:
        lines += ["", "**What to do**", ""]
        lines += [f"- **{markdown(', '.join(of))}**: {markdown(fix)}" for fix, of in fixes.items()]
    return lines


def _line(check: CheckResult, undecided: Undecided) -> str:
    outcome = outcome_of(check, undecided)
    away = figures(margin(check))
    return row(
        f"{MARKS[outcome]} {check.status.value}",
        f"**{markdown(check.name)}**<br>{markdown(_subject(check))}",
        markdown(without_status(check)),
        figures(check.limit),
        f"**{away}**" if away and outcome != "passed" else away,
    )


def _subject(check: CheckResult) -> str:
    """Name the target, whose table names the candidate; or the model where there is no target."""
    return check.target or place_of(check)


def figures(text: str) -> str:
    """Return figures as Markdown, each on one line with its unit."""
    return re.sub(r"(?<=[\d↑↓]) (?=\w|%)", NO_BREAK, markdown(text))


def row(*cells: str) -> str:
    """Return a row of a table, whose cells are Markdown already."""
    return "| " + " | ".join(cell or " " for cell in cells) + " |"


def _changes(judged: Judged) -> list[str]:
    lines: list[str] = []
    for group in judged.groups:
        if group.changes:
            lines += ["", *_of_group(group, judged)] if lines else _of_group(group, judged)
    return lines


def _of_group(group: Group, judged: Judged) -> list[str]:
    """Return a target's figures: beside the reference's, with intervals and budgets."""
    mark = MARKS[_worst(group, judged.undecided)]
    note = f": {markdown(group.note)}" if group.note else ""
    compared = any(change.before for change in group.changes)
    before, moved = markdown(judged.reference), "change"
    model = markdown(group.model) or "now"
    titles: tuple[str, ...] = ("", before, model, moved, "95 % interval", "budget", "room")
    lines = [f"### {mark} {markdown(group.name)}{note}", ""]
    if not compared:
        titles = ("", "measured", "95 % interval", "budget", "room")
    lines += [row(*titles), row(*[":-" if not at else "--:" for at in range(len(titles))])]
    lines += [_change(change, compared, judged.undecided) for change in group.changes]
    return lines


def _worst(group: Group, undecided: Undecided) -> Outcome:
    outcomes = {outcome_of(check, undecided) for check in group.checks}
    return next((outcome for outcome in MARKS if outcome in outcomes), "skipped")


def _change(change: Change, compared: bool, undecided: Undecided) -> str:
    check = change.check
    budget = away = ""
    if check is not None:
        mark = MARKS[outcome_of(check, undecided)]
        default = "" if check.stated else " (default)"
        budget, away = f"{mark} {figures(check.limit)}{default}", figures(margin(check))
    now = figures(change.now)
    if check is not None and outcome_of(check, undecided) == "red":
        now = f"**{now}**"
    middle = (figures(change.before), now, figures(change.change)) if compared else (now,)
    return row(markdown(change.what), *middle, figures(change.interval), budget, away)


def _folded(judged: Judged) -> Iterator[str]:
    passed = judged.having("passed", "skipped")
    if passed:
        lines = [row("", "check", "found", "limit", "room"), row(*["---"] * 5)]
        lines += [_line(check, judged.undecided) for check in passed]
        yield _fold(f"Passed: {_count(len(judged.having('passed')), 'check')}", lines)
    for table in judged.tables:
        lines = [row(*map(markdown, table.headings)), row(*["---"] * len(table.headings))]
        lines += [row(*map(markdown, cells)) for cells in table.rows]
        yield _fold(table.title, lines)
    notes = [f"- {markdown(line.strip())}" for line in judged.lines]
    if notes:
        yield _fold("Details", notes)
    advice = [
        f"- {each.severity} {each.code}: {markdown(each.message)}"
        + (f"<br>{markdown(each.fix)}" if each.fix else "")
        for each in judged.advice
    ]
    if advice:
        yield _fold(f"Notes: {len(advice)}", advice)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _fold(title: str, lines: Sequence[str]) -> str:
    return "\n".join(
        (f"<details><summary>{markdown(title)}</summary>", "", *lines, "", "</details>")
    )
