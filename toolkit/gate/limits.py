"""Whether limits on a metric can be what was meant, before anything is judged by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgekit.errors import ProjectError
from edgekit.project import Share, TargetTable

# Half of a metric in 0..1: nobody allows a larger drop, and 1 may mean a point or all of it.
LARGEST_BARE = 0.5


def check_limits(
    metric: str, bounded: bool, max_drop: float | None, targets: Mapping[str, TargetTable]
) -> None:
    """Raise :class:`ProjectError` where a limit does not fit the metric, or may mean two things."""
    for name, limit, most in _stated(max_drop, targets):
        if isinstance(limit, Share) and not bounded:
            message = f"{name} is written in per cent or points, and {metric} does not lie in 0..1"
            hint = f"write it in the unit of {metric}, or as percent_max_degradation"
            raise ProjectError("EK-PROJECT-015", message, hint)
        if bounded and not isinstance(limit, Share) and abs(limit) > most:
            raise _two_meanings(name, limit, metric)
    for name, table in targets.items():
        if table.budgets.accuracy is not None and metric != "accuracy":
            message = f"targets.{name}.budgets.accuracy: the metric of this run is {metric}"
            raise ProjectError("EK-PROJECT-009", message, "call the budget `metric`")


def _two_meanings(name: str, limit: float, metric: str) -> ProjectError:
    points = f"{limit:g} point" + ("" if limit == 1 else "s")
    meant = f"is it {100 * limit:g} points or {points}?" if abs(limit) <= 1 else f"is it {points}?"
    hint = f"write {limit:g}pt, {limit:g}% or {limit / 100:g} for {points}"
    if abs(limit) <= 1:
        hint += f", {100 * limit:g}% for {100 * limit:g} points"
    message = f"{name} {limit:g}: {metric} lies in 0..1, {meant}"
    return ProjectError("EK-PROJECT-015", message, hint)


def _stated(
    max_drop: float | None, targets: Mapping[str, TargetTable]
) -> Iterator[tuple[str, float, float]]:
    """Yield each limit with its name, and the largest value that a bare number may have."""
    if max_drop is not None:
        yield "--max-drop", max_drop, LARGEST_BARE
    for name, table in targets.items():
        goal = table.budgets.goal
        if goal is None:
            continue
        place = f"targets.{name}.budgets.{'accuracy' if table.budgets.accuracy else 'metric'}"
        for key, most in {
            "max_degradation": LARGEST_BARE,
            "min_improvement": LARGEST_BARE,
            "threshold": 1.0,
        }.items():
            value = getattr(goal, key)
            if value is not None:
                yield f"{place}.{key}", value, most
