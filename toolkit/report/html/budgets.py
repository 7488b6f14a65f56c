"""Budgets as bars: what was measured, its interval and the limit on one scale."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.report.charts.axis import Reading
from edgekit.report.charts.budgets import scale
from edgekit.report.ci.judged import bounds, figure, margin
from edgekit.report.html.shell import Badge, badge
from edgekit.report.table import outcome
from edgekit.types import CheckResult


@dataclass(frozen=True)
class Bar:
    """Places on a scale of 0 to 100: from ``start`` to ``end`` the figure, then the others."""

    start: float
    end: float
    limit: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class BudgetRow:
    """A check as a page shows it; ``at`` is its JSON pointer."""

    name: str
    badge: Badge
    limit: str
    figure: str
    interval: str
    margin: str
    message: str
    fix: str
    candidate: str
    target: str
    at: str
    bar: Bar | None = None


def budget_row(check: CheckResult, at: str) -> BudgetRow:
    """Return a check with its figure in words, and as a bar where it is a number with a limit."""
    return BudgetRow(
        check.name,
        badge(check.status),
        check.limit,
        figure(check),
        bounds(check),
        margin(check),
        # The fix has a line of its own.
        outcome(check).removesuffix(f"\n  {check.fix}"),
        check.fix,
        check.candidate,
        check.target,
        at,
        bar(check),
    )


def bar(check: CheckResult) -> Bar | None:
    """Return a check as places on its scale: where that does not begin at zero, as a point."""
    measured, bound = check.measured, check.bound
    if measured is None or measured.value is None or bound is None:
        return None
    if measured.unit != bound.unit:
        return None
    reading = Reading(measured.value, "", measured.low, measured.high)
    lowest, highest = scale(bound.value, reading, bound.at_least)

    def place(value: float) -> float:
        return round(100 * (value - lowest) / (highest - lowest), 2)

    at = place(measured.value)
    return Bar(
        0.0 if lowest == 0 else at,
        at,
        place(bound.value),
        None if measured.low is None else place(measured.low),
        None if measured.high is None else place(measured.high),
    )
