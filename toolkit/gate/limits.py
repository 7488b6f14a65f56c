"""Whether limits on a metric can be what was meant, before anything is judged by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgekit.errors import ProjectError, did_you_mean
from edgekit.project import Budgets, CandidateTable, Share, TargetTable

# Half of a metric in 0..1: nobody allows a larger drop, and 1 may mean a point or all of it.
LARGEST_BARE = 0.5
UNKNOWN_OPERATOR = "EK-PROJECT-077"


def check_limits(
    metric: str, bounded: bool, max_drop: float | None, budgets: Mapping[str, Budgets]
) -> None:
    """Raise :class:`ProjectError` where a limit does not fit the metric, or may mean two things."""
    for name, limit, most in _stated(max_drop, budgets, metric):
        if isinstance(limit, Share) and not bounded:
            message = f"{name} is written in per cent or points, and {metric} does not lie in 0..1"
            hint = f"write it in the unit of {metric}, or as percent_max_degradation"
            raise ProjectError("EK-PROJECT-015", message, hint)
        if bounded and not isinstance(limit, Share) and abs(limit) > most:
            raise _two_meanings(name, limit, metric)
    for place, each in budgets.items():
        if each.accuracy is not None and metric != "accuracy":
            message = f"{place}.accuracy: the metric of this run is {metric}"
            raise ProjectError("EK-PROJECT-009", message, "call the budget `metric`")


def stated_budgets(
    targets: Mapping[str, TargetTable], candidates: Mapping[str, CandidateTable]
) -> dict[str, Budgets]:
    """Return all budgets by the name of their table in the project file."""
    found = {f"targets.{name}.budgets": table.budgets for name, table in targets.items()}
    return found | {f"candidates.{name}.budgets": t.budgets for name, t in candidates.items()}


def check_operators(place: str, budgets: Budgets) -> None:
    """Raise :class:`ProjectError` where a budget names an operator that TFLite does not have.

    One of TensorFlow's own, ``Flex…``, and one with a lower-case letter, which is custom, may be
    any.
    """
    goal = budgets.operators
    if goal is None:
        return
    from edgekit.converters.flatbuffer import operator_names

    known = operator_names()
    for name in (*goal.allowed, *goal.forbidden):
        if name not in known and name == name.upper():
            message = f"{place}.operators: unknown operator {name!r}{did_you_mean(name, known)}"
            hint = "`edgekit inspect FILE` lists a file's operators as they are called here"
            raise ProjectError(UNKNOWN_OPERATOR, message, hint)
        if name not in known and (close := name.upper()) in known:
            message = f"{place}.operators: unknown operator {name!r}; did you mean {close!r}?"
            raise ProjectError(UNKNOWN_OPERATOR, message, "operators are written in capitals")


def _two_meanings(name: str, limit: float, metric: str) -> ProjectError:
    points = f"{limit:g} point" + ("" if limit == 1 else "s")
    meant = f"is it {100 * limit:g} points or {points}?" if abs(limit) <= 1 else f"is it {points}?"
    hint = f"write {limit:g}pt, {limit:g}% or {limit / 100:g} for {points}"
    if abs(limit) <= 1:
        hint += f", {100 * limit:g}% for {100 * limit:g} points"
    message = f"{name} {limit:g}: {metric} lies in 0..1, {meant}"
    return ProjectError("EK-PROJECT-015", message, hint)


def _stated(
    max_drop: float | None, budgets: Mapping[str, Budgets], metric: str
) -> Iterator[tuple[str, float, float]]:
    """Yield each limit with its name, and the largest value that a bare number may have."""
    if max_drop is not None:
        yield "--max-drop", max_drop, LARGEST_BARE
    for place, each in budgets.items():
        named = {"accuracy" if each.accuracy else "metric": each.goal}
        named |= {name: goal for name, goal in each.metrics.items() if name == metric}
        for name, goal in named.items():
            for key, most in {
                "max_degradation": LARGEST_BARE,
                "min_improvement": LARGEST_BARE,
                "threshold": 1.0,
            }.items():
                value = getattr(goal, key) if goal is not None else None
                if value is not None:
                    yield f"{place}.{name}.{key}", value, most
