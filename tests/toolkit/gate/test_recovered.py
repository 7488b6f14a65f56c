"""A recovered candidate stands in for the one that lost too much."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgekit import statistics
from edgekit.gate import Rules, judge_run
from edgekit.gate.budgets.metrics import largest_drop
from edgekit.project import Budgets, Goal, TargetTable
from edgekit.types import Candidate, Evaluation, Measurement, PairedCounts, Recovery, Status

RULES = Rules(metric="accuracy", bounded=True, higher_is_better=True, max_drop=0.01)
VALUE = Measurement(0.9, "1", n=1000, low=0.88, high=0.92)
REFERENCE = Evaluation(metrics={"accuracy": VALUE})


def candidate(name: str, lost: int) -> Candidate:
    interval = statistics.tango(lost, 0, 1000)
    drop = Measurement(interval.value, "1", n=1000, low=interval.low, high=interval.high)
    evaluation = Evaluation(
        metrics={"accuracy": VALUE},
        drop={"accuracy": drop},
        paired={"accuracy": PairedCounts(1000, lost, 0)},
    )
    return Candidate(name, name, Path("m.tflite"), bytes=1000, evaluation=evaluation)


def recovered(lost: int, succeeded: bool = True) -> Candidate:
    found = candidate("mixed", lost)
    drop = found.evaluation.drop["accuracy"]
    recovery = Recovery(
        stands_for="int8",
        outcome="recovered" if succeeded else "not recovered",
        evaluations=9,
        allowed=24,
        seconds=1.0,
        operators=31,
        float_operators=("CONV_2D (a)",),
        equalized=0,
        bias_corrected=0,
        drop_before=drop,
        drop_after=drop,
        bytes_before=1,
        bytes_after=2,
        latency_ratio=Measurement.unavailable("ratio", "nothing was timed"),
        sentence="",
    )
    return replace(found, recovery=recovery)


def test_verdict_passes_when_the_stand_in_does_and_int8_keeps_its_own_status() -> None:
    both = (candidate("int8", 300), recovered(0))
    judged, _, verdict = judge_run(both, REFERENCE, {}, RULES, precisions_stated=True)
    assert [one.status for one in judged] == [Status.FAILED, Status.PASSED]
    assert (verdict.status, verdict.exit_code) == (Status.PASSED, 0)
    assert {check.candidate for check in verdict.checks} == {"mixed"}


def test_verdict_fails_when_what_was_found_does_not_recover() -> None:
    both = (candidate("int8", 300), recovered(100, succeeded=False))
    _, _, verdict = judge_run(both, REFERENCE, {}, RULES, precisions_stated=True)
    assert (verdict.status, verdict.exit_code) == (Status.FAILED, 1)
    assert {check.candidate for check in verdict.checks} == {"int8", "mixed"}


def test_verdict_fails_when_the_stand_in_fails_a_later_stricter_check() -> None:
    both = (candidate("int8", 300), recovered(60))
    _, _, verdict = judge_run(both, REFERENCE, {}, RULES, precisions_stated=True)
    assert verdict.status is Status.FAILED


@pytest.mark.parametrize("precision", ["int8", "mixed", None])
def test_target_that_wants_int8_ships_the_stand_in(precision: str | None) -> None:
    both = (candidate("int8", 300), recovered(0))
    table = {"linux-x86_64": TargetTable(precision=precision, budgets=Budgets())}
    _, (result,), _ = judge_run(both, REFERENCE, table, RULES, precisions_stated=False)
    assert result.candidate == "mixed"


@pytest.mark.parametrize(
    ("max_drop", "goal", "allowed"),
    [
        (0.01, Goal(max_degradation=0.5), 0.01),
        (None, None, 0.02),
        (None, Goal(max_degradation=0.03), 0.03),
        (None, Goal(percent_max_degradation=10), 0.09),
        (None, Goal(max_degradation=0.03, percent_max_degradation=1), 0.009),
        (None, Goal(max_degradation=0.5, threshold=0.85), 0.05),
    ],
)
def test_largest_drop_is_that_of_the_strictest_limit(
    max_drop: float | None, goal: Goal | None, allowed: float
) -> None:
    rules = replace(RULES, max_drop=max_drop)
    assert largest_drop(VALUE, goal, rules) == pytest.approx(allowed)
