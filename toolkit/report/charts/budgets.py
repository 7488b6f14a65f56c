"""Every budget as a bar: what was measured, its interval, and the limit it is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.report.charts.axis import Absent, Reading
from edgekit.report.charts.frame import Chart
from edgekit.report.charts.run import Run
from edgekit.report.ci.judged import bounds, figure, margin, outcome_of, quantity
from edgekit.report.table import outcome
from edgekit.types import CheckResult, Status

TITLE = "Budgets"
# Room beyond what is drawn, as a share of it.
ROOM = 0.12


@dataclass(frozen=True)
class BudgetBar:
    """One budget: how a figure stands to its limit, and how far it is from it.

    ``start`` and ``end`` are the scale that figure and limit are drawn on; where the scale does
    not begin at zero, the figure is a point and no bar. Without a ``figure`` there is nothing to
    draw, and ``message`` says why. ``outcome`` is red, undecided, unavailable, waived, skipped or
    passed.
    """

    check: str
    target: str
    model: str
    status: Status
    outcome: str
    message: str
    limit_text: str
    margin: str = ""
    limit: Reading | None = None
    at_least: bool = False
    figure: Reading | None = None
    start: float = 0.0
    end: float = 1.0
    fix: str = ""


@dataclass(frozen=True)
class Budgets(Chart):
    """The budgets of a run, in the verdict's order."""

    bars: tuple[BudgetBar, ...]
    kind: str = "budgets"


def budgets(run: Run) -> Budgets | Absent:
    """Draw each check that has a limit, and each that is red or undecided."""
    checks = [c for c in run.checks if c.limit or c.status is not Status.PASSED]
    if not checks:
        return Absent(TITLE, "no budget was stated")
    return Budgets(TITLE, _text(checks), tuple(map(_bar, checks)))


def _bar(check: CheckResult) -> BudgetBar:
    bound, measured = check.bound, check.measured
    limit = reading = None
    ends = (0.0, 1.0)
    if bound is not None and measured is not None and measured.value is not None:
        limit = Reading(bound.value, quantity(bound.value, bound.unit, bound.share))
        reading = Reading(
            measured.value,
            figure(check),
            measured.low,
            measured.high,
            bounds(check),
            measured.how == "estimated",
        )
        ends = scale(limit.value, reading, bound.at_least)
    return BudgetBar(
        check.name,
        check.target,
        check.candidate,
        check.status,
        outcome_of(check),
        outcome(check),
        check.limit,
        margin(check),
        limit,
        bound is not None and bound.at_least,
        reading,
        *ends,
        check.fix,
    )


def scale(limit: float, reading: Reading, at_least: bool) -> tuple[float, float]:
    """Return the ends of a bar's scale: from zero, unless all that is drawn lies far from it."""
    ends = [v for v in (limit, reading.value, reading.low, reading.high) if v is not None]
    low, high = min(ends), max(ends)
    if low >= 0 and not at_least:
        return 0.0, high * (1 + ROOM) or 1.0
    room = ROOM * (high - low) or ROOM * abs(high) or 1.0
    return low - room, high + room


def _text(checks: Sequence[CheckResult]) -> str:
    """State how many budgets are kept, and which is the worst."""
    outcomes = [outcome_of(check) for check in checks]
    total = len(checks)
    for state, word in (
        ("red", "broken"),
        ("unavailable", "not measured"),
        ("undecided", "not decided"),
        ("waived", "waived"),
    ):
        hit = [c for c, outcome in zip(checks, outcomes, strict=True) if outcome == state]
        if hit:
            count = f"{len(hit)} of {total} budgets {'is' if len(hit) == 1 else 'are'} {word}"
            return f"{count}: {'; '.join(_named(check) for check in hit[:2])}{_more(hit)}."
    closest = _closest(checks)
    kept, which = "The budget is kept", ": "
    if total > 1:
        kept, which = f"All {total} budgets are kept", "; the closest is "
    return f"{kept}{which}{_named(closest)}." if closest else f"{kept}."


def _named(check: CheckResult) -> str:
    where = f" of {check.candidate or check.target}" if check.candidate or check.target else ""
    far = margin(check)
    return f"{check.name}{where}, {far}" if far else f"{check.name}{where}"


def _more(hit: Sequence[CheckResult]) -> str:
    return f" and {len(hit) - 2} more" if len(hit) > 2 else ""


def _closest(checks: Sequence[CheckResult]) -> CheckResult | None:
    """Return the passed check whose figure uses most of its limit."""

    def share(check: CheckResult) -> float:
        value = check.measured.value if check.measured else None
        if value is None or check.bound is None or not check.bound.value:
            return float("-inf")
        used = value / check.bound.value
        return 1 / used if check.bound.at_least and used > 0 else used

    known = [check for check in checks if share(check) > float("-inf")]
    return max(known, key=share, default=None)
