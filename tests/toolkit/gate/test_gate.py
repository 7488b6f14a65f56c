"""The gate: three-valued checks, what ships, and the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from gating import HOST, NPU, REFERENCE, RULES, candidate, judge, latency_of, on_tflm

from edgekit.gate import Rules, judge_run
from edgekit.gate.budgets.metrics import check_goal
from edgekit.gate.rules import TargetContext
from edgekit.gate.statuses import worst
from edgekit.gate.verdict import combined
from edgekit.project import Budgets, Goal, TargetTable
from edgekit.types import (
    Candidate,
    Evaluation,
    Measurement,
    RuntimeResult,
    Status,
    Verdict,
)

pytestmark = pytest.mark.usefixtures("on_x86")


@pytest.mark.parametrize(
    ("lost", "gained", "n", "max_drop", "status", "code"),
    [
        (0, 0, 20, 0.01, Status.INCONCLUSIVE, 4),  # the planted fault of small numbers
        (0, 0, 1000, 0.01, Status.PASSED, 0),
        (30, 0, 1000, 0.01, Status.FAILED, 1),
        (12, 2, 1000, 0.01, Status.INCONCLUSIVE, 4),
        (0, 30, 1000, 0.0, Status.PASSED, 0),
    ],
)
def test_stated_drop_is_three_valued(
    lost: int, gained: int, n: int, max_drop: float, status: Status, code: int
) -> None:
    rules = replace(RULES, max_drop=max_drop)
    _, verdict = judge(candidate("int8", lost, gained, n), rules=rules)
    assert (verdict.status, verdict.exit_code) == (status, code)


def test_inconclusive_drop_says_how_many_items_settle_it() -> None:
    _, verdict = judge(candidate(n=20), rules=replace(RULES, max_drop=0.01))
    (check, *_) = verdict.checks
    assert "up to 16.1 points possible on 20 items" in check.message
    assert "about 381 items would settle it" in check.message


def test_default_drop_passes_with_a_notice_when_it_is_not_proven() -> None:
    shipped, verdict = judge(candidate(n=20))
    assert (shipped, verdict.exit_code) == ("int8", 0)
    assert "not proven" in verdict.checks[0].message


@pytest.mark.parametrize(("lost", "code"), [(0.0, 0), (0.01, 0), (1.0, 4)])
def test_loss_beyond_the_default_that_nothing_bounds_is_never_green(lost: float, code: int) -> None:
    """Every item right before, every item wrong after: no resample differs, so nothing is known."""
    fallen = candidate()
    drop = Measurement(lost, "1", n=40, level=0.95)
    fallen = replace(
        fallen, evaluation=replace(fallen.evaluation, drop={"accuracy": drop}, paired={})
    )
    _, verdict = judge(fallen)
    assert verdict.exit_code == code


def test_default_drop_fails_when_the_loss_is_proven() -> None:
    shipped, verdict = judge(candidate(lost=60))
    assert (shipped, verdict.exit_code) == (None, 1)


def test_default_for_unbounded_metrics_is_five_per_cent_of_the_reference() -> None:
    rules = Rules(metric="mse", bounded=False, higher_is_better=False)
    base = Evaluation(metrics={"mse": Measurement(2.0, "1", n=100)})

    def status(low: float, high: float) -> Status:
        drop = Measurement((low + high) / 2, "1", n=100, low=low, high=high)
        ran = (RuntimeResult("litert", "2.3.0", Status.PASSED, "", 100),)
        one = Candidate(
            "int8",
            "int8",
            Path("m"),
            evaluation=Evaluation(
                metrics={"mse": Measurement(2.1, "1", n=100)}, drop={"mse": drop}, runtimes=ran
            ),
        )
        return judge_run([one], base, {HOST: TargetTable()}, rules, False)[2].status

    assert status(0.01, 0.09) is Status.PASSED
    assert status(0.11, 0.2) is Status.FAILED


@pytest.mark.parametrize(("limit", "code"), [(1000, 0), (999, 1)])
def test_size_budget_gates(limit: int, code: int) -> None:
    assert judge(candidate(size=1000), rules=replace(RULES, max_size=limit))[1].exit_code == code
    budgets = Budgets.model_validate({"size": f"{limit} B"})
    assert judge(candidate(size=1000), budgets=budgets)[1].exit_code == code


def timed(p50: float, low: float, high: float) -> Candidate:
    """A candidate with this latency, in ms."""
    measured = Measurement(p50 * 1e6, "ns", n=100, low=low * 1e6, high=high * 1e6, level=0.95)
    one = candidate()
    latency = latency_of(measured)
    return replace(one, evaluation=replace(one.evaluation, latency=latency))


@pytest.mark.parametrize(
    ("interval", "code"), [((4.0, 3.9, 4.9), 0), ((5.0, 4.0, 6.0), 4), ((6.0, 5.1, 7.0), 1)]
)
def test_latency_budget_is_three_valued(interval: tuple[float, float, float], code: int) -> None:
    budgets = Budgets.model_validate({"latency_p50": "5 ms"})
    assert judge(timed(*interval), budgets=budgets)[1].exit_code == code


def test_latency_budget_is_unavailable_when_the_host_is_not_the_device() -> None:
    budgets = Budgets.model_validate({"latency_p50": "5 ms"})
    shipped, verdict = judge(timed(1.0, 1.0, 1.0), budgets=budgets, target="raspberry-pi-4")
    assert (shipped, verdict.exit_code) == (None, 3)
    assert any("not raspberry-pi-4" in check.message for check in verdict.checks)


@pytest.mark.parametrize(
    ("target", "arena", "status", "said"),
    [
        ("cortex-m4", Measurement(65536.0, "byte"), Status.PASSED, "65,536 bytes"),
        ("cortex-m4", Measurement(65552.0, "byte"), Status.FAILED, "65,552 bytes"),
        ("cortex-m4", Measurement.unavailable("byte", "no wheel"), Status.UNAVAILABLE, "no wheel"),
        ("cortex-m4", None, Status.UNAVAILABLE, "nothing was evaluated"),
        (NPU, Measurement(16.0, "byte"), Status.UNAVAILABLE, "compiled for ethos-u55-128"),
        (HOST, Measurement(16.0, "byte"), Status.UNAVAILABLE, "has no TFLM"),
    ],
)
def test_arena_budget_is_of_the_smallest_arena_of_a_target_with_tflm(
    target: str, arena: Measurement | None, status: Status, said: str
) -> None:
    budgets = Budgets.model_validate({"arena": "64 KiB"})
    one = on_tflm(arena) if target != HOST else candidate()
    shipped, verdict = judge(one, budgets=budgets, target=target)
    (check,) = [check for check in verdict.checks if check.name == "arena"]
    assert (check.status, check.limit) == (status, "at most 65,536 bytes")
    assert said in check.message
    assert (shipped is not None) == (status is Status.PASSED)
    code = {Status.PASSED: 0, Status.FAILED: 1, Status.UNAVAILABLE: 3}[status]
    assert verdict.exit_code == code


@pytest.mark.parametrize(
    "budgets", [{"arena": "64 KiB"}, {"latency": {"percent_max_degradation": 5}}]
)
def test_budget_that_cannot_be_measured_is_unavailable(budgets: dict[str, object]) -> None:
    _, verdict = judge(candidate(), budgets=Budgets.model_validate(budgets))
    assert (verdict.status, verdict.exit_code) == (Status.UNAVAILABLE, 3)


def test_stated_drop_is_unavailable_when_nothing_was_evaluated() -> None:
    bare = Candidate("int8", "int8", Path("m.tflite"), bytes=10)
    assert judge(bare, rules=replace(RULES, max_drop=0.01))[1].exit_code == 3
    shipped, verdict = judge(bare)
    assert (shipped, verdict.status, verdict.exit_code) == (None, Status.NOT_EVALUATED, 0)


@pytest.mark.parametrize(
    ("goal", "code"),
    [
        ({"threshold": 0.87}, 0),
        ({"threshold": 0.9}, 4),
        ({"threshold": 0.95}, 1),
        ({"max_degradation": 0.02}, 0),
        ({"percent_max_degradation": 0.1}, 4),
        ({"min_improvement": 0.05}, 1),
    ],
)
def test_goal_words_gate(goal: dict[str, float], code: int) -> None:
    budgets = Budgets.model_validate({"accuracy": goal})
    assert judge(candidate(), budgets=budgets)[1].exit_code == code


def test_every_precision_counts_when_they_were_asked_for_without_a_target() -> None:
    good, bad = candidate("float32"), candidate("int8", lost=90)
    assert judge(good, bad)[1].exit_code == 0
    assert judge(good, bad, asked=True)[1].exit_code == 1


@pytest.mark.parametrize(("status", "code"), [(Status.FAILED, 1), (Status.INCOMPATIBLE, 5)])
def test_candidate_without_a_usable_file_decides_when_it_was_asked_for(
    status: Status, code: int
) -> None:
    broken = Candidate("int8", "int8", problem="it died", problem_status=status)
    assert judge(candidate("float32"), broken)[1].exit_code == 0
    assert judge(candidate("float32"), broken, asked=True)[1].exit_code == code


def test_failure_outranks_incompatible_unavailable_and_inconclusive() -> None:
    order = [Status.FAILED, Status.INCOMPATIBLE, Status.UNAVAILABLE, Status.INCONCLUSIVE]
    for number, first in enumerate(order):
        assert worst([Status.PASSED, *reversed(order[number:])]) is first
    assert worst([Status.WAIVED]) is Status.PASSED


def test_what_nothing_judged_is_not_passed() -> None:
    """Neither no check at all, nor one of several runs that was not evaluated."""
    assert worst([]) is Status.NOT_EVALUATED
    bare, good = Verdict(Status.NOT_EVALUATED, 0), Verdict(Status.PASSED, 0)
    together = combined([good, bare])
    assert (together.status, together.exit_code) == (Status.NOT_EVALUATED, 0)


def test_a_candidates_row_names_the_budgets_that_it_breaks() -> None:
    table = {HOST: TargetTable(budgets=Budgets.model_validate({"size": "999 B"}))}
    rows, *_ = judge_run([candidate(size=1000)], REFERENCE, table, RULES, False)
    assert [(row.status, row.failed) for row in rows] == [(Status.FAILED, ("size",))]
    # A target without that budget takes it.
    rows, *_ = judge_run(
        [candidate(size=1000)], REFERENCE, {**table, "linux-aarch64": TargetTable()}, RULES, False
    )
    assert [(row.status, row.failed) for row in rows] == [(Status.PASSED, ())]


def test_the_command_lines_drop_leaves_what_the_file_wants_gained() -> None:
    wanted = Budgets(metric=Goal(max_degradation=0.001, min_improvement=0.05))
    _, verdict = judge(candidate(), budgets=wanted, rules=replace(RULES, max_drop=0.02))
    assert verdict.exit_code == 1
    assert {check.limit for check in verdict.checks if check.name == "accuracy drop"} == {
        "at most 2 points",
        "at most -5 points",
    }


def test_a_precision_that_the_model_cannot_have_sinks_no_other_and_alone_is_a_must() -> None:
    problem = "EK-CONVERT-015 no weight of this model can be dynamic"
    lacking = Candidate("dynamic", "dynamic", problem=problem, problem_status=Status.INCOMPATIBLE)
    table = {HOST: TargetTable()}
    rows, _, verdict = judge_run([candidate(), lacking], REFERENCE, table, RULES, True)
    assert verdict.exit_code == 0
    assert rows[1].status is Status.INCOMPATIBLE
    *_, verdict = judge_run([lacking], REFERENCE, table, RULES, True)
    assert verdict.exit_code == 5
    other = replace(lacking, problem="EK-CONVERT-001 TensorFlow cannot convert this model")
    *_, verdict = judge_run([candidate(), other], REFERENCE, table, RULES, True)
    assert verdict.exit_code == 5


@pytest.mark.parametrize(("floor", "code"), [({}, 1), ({"mse": 1e-12}, 0)])
def test_a_share_of_an_error_near_zero_is_no_less_than_float32_can_tell(
    floor: Mapping[str, float], code: int
) -> None:
    rules = Rules(metric="mse", bounded=False, higher_is_better=False)
    base = Evaluation(metrics={"mse": Measurement(1e-17, "1", n=100)}, floor=floor)
    drop = Measurement(1e-13, "1", n=100, low=0.9e-13, high=1.1e-13)
    one = Candidate(
        "float32",
        "float32",
        Path("m"),
        evaluation=Evaluation(
            metrics={"mse": Measurement(1e-13, "1", n=100)},
            drop={"mse": drop},
            runtimes=(RuntimeResult("litert", "2.3.0", Status.PASSED, "", 100),),
        ),
    )
    verdict = judge_run([one], base, {HOST: TargetTable()}, rules, False)[2]
    assert verdict.exit_code == code
    limit = "at most 1e-12 (float32 resolution; 5 % of 1e-17 is less)"
    assert (verdict.checks[0].limit == limit) is (code == 0)


@pytest.mark.parametrize(
    ("goal", "max_drop", "expected"),
    [
        (Goal(max_degradation=0.01), None, Status.UNAVAILABLE),
        (Goal(percent_max_degradation=5), None, Status.UNAVAILABLE),
        (None, 0.02, Status.UNAVAILABLE),
        (Goal(threshold=0.5), None, Status.PASSED),
        (None, None, Status.PASSED),
    ],
    ids=["max_degradation", "percent", "--max-drop", "threshold", "nothing stated"],
)
def test_a_limit_on_the_drop_is_unavailable_where_nothing_was_compared(
    goal: Goal | None, max_drop: float | None, expected: Status
) -> None:
    rules = replace(RULES, by_itself=True, max_drop=max_drop)
    (found,) = list(check_goal(candidate(), REFERENCE, goal, rules, TargetContext()))[:1]
    assert found.status is expected
    assert ("--reference MODEL" in found.message) == (expected is Status.UNAVAILABLE)
    compared = replace(rules, by_itself=False)
    (other,) = list(check_goal(candidate(), REFERENCE, goal, compared, TargetContext()))[:1]
    assert other.status is Status.PASSED
