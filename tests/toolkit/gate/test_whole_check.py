"""Many budgets in one check: chance turns no more of them red than it would turn one."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit import statistics
from edgekit.gate.whole_check import Evidence, chance, overturn
from edgekit.types import Bound, CheckResult, Measurement, PairedCounts, Status

NOTHING = Evidence({}, {})
N = 2000


def drop(name: str, lost: int, limit: float = 0.01, stated: bool = True) -> CheckResult:
    """The check of a drop of so many of 2,000 items, as the gate makes it by itself."""
    measured = statistics.tango(lost, 5, N).measurement("1", "Tango")
    assert measured.low is not None
    assert measured.high is not None
    status = Status.INCONCLUSIVE
    if measured.high <= limit:
        status = Status.PASSED
    elif measured.low > limit:
        status = Status.FAILED
    bound = Bound(limit, "1")
    return CheckResult(
        f"{name} drop", "int8", "", status, "drop", "", stated, measured, bound, "mend"
    )


def evidence(*lost: int) -> Evidence:
    counts = {("int8", str(k)): PairedCounts(N, count, 5) for k, count in enumerate(lost)}
    return Evidence(counts, {})


def statuses(*checks: CheckResult, known: Evidence = NOTHING) -> list[Status]:
    return [overturn(checks, known)(check).status for check in checks]


def test_one_budget_answers_as_its_interval_does() -> None:
    barely = next(lost for lost in range(100) if drop("0", lost).status is Status.FAILED)
    assert statuses(drop("0", barely)) == [Status.FAILED]
    assert statuses(drop("0", barely), drop("1", 0, stated=False))[0] is Status.FAILED


def test_barely_red_among_many_is_inconclusive_and_says_so() -> None:
    barely = next(lost for lost in range(100) if drop("0", lost).status is Status.FAILED)
    checks = [drop("0", barely), *(drop(str(k), 0) for k in range(1, 6))]
    (overturned, *_) = map(overturn(checks, NOTHING), checks)
    assert overturned.status is Status.INCONCLUSIVE
    assert "among 6 budgets that sampling decides" in overturned.message
    assert overturned.fix


def test_clearly_red_stays_red_among_many_and_lends_its_place_to_the_next() -> None:
    checks = [drop("0", 90), drop("1", 60), *(drop(str(k), 0) for k in range(2, 8))]
    assert statuses(*checks)[:2] == [Status.FAILED, Status.FAILED]


def test_counted_bytes_are_not_among_what_sampling_decides() -> None:
    barely = next(lost for lost in range(100) if drop("0", lost).status is Status.FAILED)
    size = CheckResult(
        "size",
        "int8",
        "",
        Status.FAILED,
        "",
        measured=Measurement(2.0, "byte"),
        bound=Bound(1, "byte"),
    )
    assert statuses(drop("0", barely), *[size] * 9) == [Status.FAILED] * 10


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("limit", [0.002, 0.01, 0.02])
def test_chance_is_below_the_level_exactly_where_the_interval_is_beyond(
    limit: float, known: bool
) -> None:
    for lost in range(0, 90, 3):
        check = drop("0", lost, limit)
        probability = chance(check, evidence(lost) if known else NOTHING)
        assert (probability < 0.025) == (check.status is Status.FAILED)


def test_chance_turns_a_check_of_eight_budgets_red_as_seldom_as_one_of_one() -> None:
    """Eight independent drops, each exactly at its limit, in 400 checks."""
    rng, together, alone = np.random.default_rng(0), 0, 0
    for _ in range(400):
        lost = rng.binomial(N, 0.0125, 8)
        checks = [drop(str(k), int(count)) for k, count in enumerate(lost)]
        alone += any(check.status is Status.FAILED for check in checks)
        together += Status.FAILED in statuses(*checks, known=evidence(*map(int, lost)))
    assert alone > 40
    assert together < 20


def locked(name: str, low: float, value: float, high: float, bound: float) -> CheckResult:
    measured = Measurement(value, "1", n=12, low=low, high=high, level=0.95)
    status = Status.FAILED if low > (1.0 if "latency" in name else bound) else Status.PASSED
    limit = Bound(bound, "1")
    return CheckResult(name, "int8", "", status, "worse", "", True, measured, limit, "mend")


def test_figures_of_the_lock_are_questions_among_the_others() -> None:
    barely = locked("lock accuracy", 0.0001, 0.01, 0.0199, 0.0)
    others = [drop(str(k), 0) for k in range(5)]
    assert statuses(barely) == [Status.FAILED]
    assert statuses(barely, *others)[0] is Status.INCONCLUSIVE
    clearly = locked("lock accuracy", 0.006, 0.01, 0.014, 0.0)
    assert statuses(clearly, *others)[0] is Status.FAILED
    # What is the same file on the same items leaves nothing to chance.
    same = [locked(f"lock {k}", 0.0, 0.0, 0.0, 0.0) for k in range(5)]
    assert statuses(barely, *same)[0] is Status.FAILED


def test_latency_of_the_lock_is_held_against_what_it_was_proven_against() -> None:
    slower = locked("lock latency", 1.03, 1.06, 1.09, 1.05)
    assert chance(slower, NOTHING) > 0.1
    assert chance(slower, Evidence({}, {}, {"lock latency": 1.0})) < 0.002
