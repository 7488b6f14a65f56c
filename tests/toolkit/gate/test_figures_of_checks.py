"""Every check carries its figure, its limit as a number, and what mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit import statistics
from edgekit.gate import Rules, judge_run
from edgekit.project import Budgets, TargetTable
from edgekit.types import (
    Bound,
    Candidate,
    CheckResult,
    Evaluation,
    Measurement,
    PairedCounts,
    RuntimeResult,
    Status,
)

HOST = "linux-x86_64"
RULES = Rules(metric="accuracy", bounded=True, higher_is_better=True)
REFERENCE = Evaluation(metrics={"accuracy": Measurement(0.9, "1", n=1000, low=0.88, high=0.92)})


def candidate(precision: str, size: int, lost: int = 0, n: int = 1000) -> Candidate:
    drop = statistics.tango(lost, 0, n).measurement("1", "Tango")
    evaluation = Evaluation(
        metrics=REFERENCE.metrics,
        drop={"accuracy": drop},
        paired={"accuracy": PairedCounts(n, lost, 0)},
        runtimes=(RuntimeResult("litert", "2.3.0", Status.PASSED, "", n),),
    )
    return Candidate(precision, precision, Path("m.tflite"), "", size, size, evaluation=evaluation)


def check(name: str, budgets: str, *made: Candidate) -> CheckResult:
    """The check of that name, of the target that ships float32."""
    table = Budgets.model_validate({budgets.partition("=")[0]: _value(budgets)})
    targets = {HOST: TargetTable(precision="float32", budgets=table)}
    _, _, verdict = judge_run(made, REFERENCE, targets, RULES, False)
    return next(each for each in verdict.checks if each.name == name)


def _value(budgets: str) -> object:
    text = budgets.partition("=")[2]
    return {"max_degradation": float(text)} if text.startswith("0.") else text


def test_file_that_is_too_large_is_told_the_smaller_precision_that_was_made() -> None:
    made = (candidate("float32", 4000), candidate("int8", 1000))
    large = check("size", "size=2 kB", *made)
    assert large.measured is not None
    assert (large.measured.value, large.bound) == (4000, Bound(2000, "byte"))
    assert "ship int8" in large.fix
    assert "1,000 bytes" in large.fix
    assert "ship" not in check("size", "size=2 kB", made[0]).fix


def test_check_that_passed_has_figure_and_limit_and_no_fix() -> None:
    kept = check("size", "size=5 kB", candidate("float32", 4000))
    assert kept.fix == ""
    assert kept.measured is not None
    assert (kept.measured.value, kept.bound) == (4000, Bound(5000, "byte"))


@pytest.mark.parametrize(
    ("lost", "status", "fix"),
    [(40, Status.FAILED, "loses nothing here"), (10, Status.INCONCLUSIVE, "items")],
)
def test_drop_says_how_far_and_what_mends_it(lost: int, status: Status, fix: str) -> None:
    lossy = check("accuracy drop", "accuracy=0.012", candidate("float32", 1, lost))
    assert (lossy.status, lossy.bound) == (status, Bound(0.012, "1", share="points"))
    assert lossy.measured is not None
    assert lossy.measured.value == lost / 1000
    assert fix in lossy.fix
