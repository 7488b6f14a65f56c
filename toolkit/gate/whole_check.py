"""The false-alarm rate of a whole check: of many budgets that sampling decides, not of each.

An interval at 95 % lies beyond a limit that just holds in 2.5 % of all runs, so that of ten
budgets at their limits one would be red by chance in a fifth of them. Holm's procedure keeps it at
2.5 % for all of them together, however they depend on each other. Nothing of the kind is needed for
green: a run passes where every budget does, which is no likelier than that the least certain does.

Source: Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal
of Statistics 6:65-70.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import NormalDist

from edgekit.statistics import t_quantile, t_tail, tango_statistic, two_sided_z
from edgekit.types import Bound, CheckResult, Latency, Measurement, PairedCounts, Status

LEVEL = 0.95
DECIDED = (Status.PASSED, Status.FAILED, Status.INCONCLUSIVE)
RATIOS = ("latency", "speed-up")
# A check by what it says: of two targets that ship one file, a budget of both is one question.
Question = tuple[str, str, Bound | None, Measurement | None]


@dataclass(frozen=True)
class Evidence:
    """What the intervals of checks were made from: paired counts, and latencies with launches.

    ``beyond`` is what an excess was proven against, by the names of checks that have another limit.
    """

    counts: Mapping[tuple[str, str], PairedCounts]
    latencies: Mapping[tuple[str, str], Latency]
    beyond: Mapping[str, float] = field(default_factory=dict)


def overturn(
    counted: Iterable[CheckResult], evidence: Evidence
) -> Callable[[CheckResult], CheckResult]:
    """Return what makes inconclusive each failed check that is not proven among all ``counted``.

    One check stays what it is, and a limit that nobody stated is not one of them.
    """
    family = {_question(check): check for check in counted if _is_sampled(check)}
    failed = {q: c for q, c in family.items() if c.status is Status.FAILED}
    chances = sorted((chance(check, evidence), q) for q, check in failed.items())
    allowed, left = (1 - LEVEL) / 2, len(family)
    unproven: set[Question] = set()
    for probability, question in chances:
        if unproven or (left > 1 and probability > allowed / left):
            unproven.add(question)
        left -= 1

    def applied(check: CheckResult) -> CheckResult:
        if check.status is not Status.FAILED or _question(check) not in unproven:
            return check
        message = (
            f"{check.message} by itself, which is not proven among {len(family)} budgets that"
            " sampling decides: measure more"
        )
        fix = "evaluate more items (--data), or time more launches"
        return replace(check, status=Status.INCONCLUSIVE, message=message, fix=fix)

    return applied


def chance(check: CheckResult, evidence: Evidence) -> float:
    """Return how likely so large an excess is where the limit just holds: the p-value, one-sided.

    It is below 2.5 % exactly where the check's own interval lies beyond the limit: of paired counts
    by Tango's score statistic, of a share by Wilson's, else from how far the interval reaches
    towards the limit, as that of a normal distribution, or for times of Student's t over launches.
    """
    measured, bound = check.measured, check.bound
    if measured is None or bound is None or measured.value is None:
        return 1.0
    value, end = measured.value, measured.low
    limit = evidence.beyond.get(check.name, bound.value)
    if bound.at_least:
        value, limit, end = -value, -limit, None if measured.high is None else -measured.high
    metric = check.name.removesuffix(" drop")
    counts = evidence.counts.get((check.candidate, metric))
    if counts is not None and check.name.endswith(" drop") and -1 < limit < 1:
        return _beyond(tango_statistic(counts.lost, counts.gained, counts.n, limit))
    if measured.tool == "Wilson" and measured.n and 0 < abs(limit) < 1:
        error = math.sqrt(abs(limit) * (1 - abs(limit)) / measured.n)
        return _beyond((value - limit) / error)
    if end is None:
        return 1.0
    is_time = (_is_ratio(check) or bound.unit == "ns") and min(value, limit, end) > 0
    value, limit, end = map(math.log, (value, limit, end)) if is_time else (value, limit, end)
    if value == end:
        return 0.0 if value > limit else 1.0
    return _beyond_interval((value - limit) / (value - end), _launches(check, evidence))


def _question(check: CheckResult) -> Question:
    return (check.candidate, check.name, check.bound, check.measured)


def _is_ratio(check: CheckResult) -> bool:
    """Tell whether a check is of a ratio of times, by itself or against the lock."""
    return check.name.rpartition(" ")[2] in RATIOS


def _is_sampled(check: CheckResult) -> bool:
    measured = check.measured
    return (
        check.stated
        and check.status in DECIDED
        and check.bound is not None
        and measured is not None
        and (measured.low is not None or measured.high is not None)
        # The same network on the same items: nothing was left to chance.
        and measured.low != measured.high
    )


def _launches(check: CheckResult, evidence: Evidence) -> int:
    """Return how many launches a time rests on; 0 for what is not a time."""
    if _is_ratio(check):
        return check.measured.n or 0 if check.measured else 0
    if check.bound is None or check.bound.unit != "ns":
        return 0
    for place in ((check.target, check.candidate), ("", check.candidate)):
        if place in evidence.latencies:
            return len(evidence.latencies[place].launches)
    return 0


def _beyond(z: float) -> float:
    return NormalDist().cdf(-z)


def _beyond_interval(widths: float, launches: int) -> float:
    """Return the chance of an excess of so many half-widths of a 95 % interval."""
    if launches < 2:
        return _beyond(widths * two_sided_z(LEVEL))
    freedom = launches - 1
    t = widths * t_quantile((1 + LEVEL) / 2, freedom)
    return t_tail(t, freedom) if t >= 0 else 1 - t_tail(-t, freedom)
