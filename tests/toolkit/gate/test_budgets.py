"""Every budget has a fault that turns it red, a case that passes, and one without a figure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekit import statistics
from edgekit.gate import Rules, judge_run
from edgekit.gate.budgets import BUDGETS
from edgekit.project import Budgets, TargetTable
from edgekit.types import (
    Candidate,
    CheckResult,
    Compiled,
    Evaluation,
    Latency,
    Measurement,
    Memory,
    Operator,
    PairedCounts,
    Part,
    RuntimeNeed,
    RuntimeResult,
    Status,
    Verdict,
)

pytestmark = pytest.mark.usefixtures("on_x86")
HOST, NPU = "linux-x86_64", "cortex-m55-ethos-u55-128"
RULES = Rules(
    metric="accuracy",
    bounded=True,
    higher_is_better=True,
    output="probabilities",
    beside=(Rules("macro_f1", True, True, output="probabilities"),),
)
RED, GREEN, ABSENT = Status.FAILED, Status.PASSED, Status.UNAVAILABLE


def share(count: int, n: int) -> Measurement:
    return statistics.wilson(count, n).measurement("1", "Wilson")


def times(nanoseconds: float) -> Latency:
    figure = Measurement(nanoseconds, "ns", n=600, low=0.99 * nanoseconds, high=1.01 * nanoseconds)
    noise = Measurement(0.005, "1")
    return Latency(*[figure] * 10, (60,) * 10, "decided", noise, noise)


REFERENCE = Evaluation(metrics={"accuracy": share(1800, 2000), "macro_f1": share(1700, 2000)})


def candidate() -> Candidate:
    """An int8 file with every figure that a budget is held against."""
    drop = statistics.tango(4, 2, 2000).measurement("1", "Tango")
    evaluation = Evaluation(
        metrics=REFERENCE.metrics,
        drop={"accuracy": drop, "macro_f1": drop},
        paired={"accuracy": PairedCounts(2000, 4, 2)},
        parity={
            "probabilities": {
                "sqnr": Measurement(30.0, "dB"),
                "max_abs_error": Measurement(0.05, "output"),
            }
        },
        latency=times(5e6),
        latency_ratio=Measurement(0.5, "1", n=10, low=0.48, high=0.52),
        memory=Memory(Measurement(2e6, "byte"), Measurement(65536.0, "byte")),
        runtimes=(RuntimeResult("litert", "2.3.0", GREEN, "", 2000),),
        parts=(
            Part(0, "cat", 1000, {"recall": share(950, 1000), "f1": share(900, 1000)}),
            Part(1, "dog", 1000, {"recall": share(850, 1000), "f1": share(880, 1000)}),
        ),
        flips=share(20, 2000),
    )
    operators = (Operator("CONV_2D", 3, 2), Operator("SOFTMAX", 2, 1))
    return Candidate(
        "int8",
        "int8",
        Path("m.tflite"),
        bytes=150_000,
        compressed_bytes=100_000,
        operators=operators,
        minimum_runtime=RuntimeNeed("2.9.0", "1.0.1", "CONV_2D", ""),
        evaluation=evaluation,
        macs=Measurement(4.5e6, "MAC"),
        sparsity=Measurement(0.5, "1"),
        delta=Measurement(20_000.0, "byte", tool="old.tar.gz"),
    )


def judge(
    budgets: Mapping[str, Any], made: Candidate | None = None, target: str = HOST, **rules: Any
) -> Verdict:
    table = {target: TargetTable(budgets=Budgets.model_validate(budgets))}
    compiled = {NPU: [Compiled("int8", (), 1000, Measurement(0.9, "share", "estimated"))]}
    made = made or candidate()
    run = ([made], REFERENCE, table, replace(RULES, **rules), False, compiled)
    return judge_run(*run)[2]


def checked(name: str, verdict: Verdict) -> CheckResult:
    return next(check for check in verdict.checks if check.name == name)


@pytest.mark.parametrize(
    ("name", "key", "passes", "fails"),
    [
        ("size", "size", "150 kB", "149999 B"),
        ("compressed size", "compressed_size", "100 kB", "99999 B"),
        ("delta size", "delta_size", "20 kB", "19999 B"),
        ("accuracy drop", "accuracy", {"max_degradation": "1%"}, {"max_degradation": -0.01}),
        ("accuracy", "accuracy", {"threshold": 0.85}, {"threshold": 0.95}),
        (
            "accuracy drop",
            "metric",
            {"percent_max_degradation": 2},
            {"percent_min_improvement": 1},
        ),
        ("macro_f1 drop", "macro_f1", {"max_degradation": "1pt"}, {"min_improvement": "1pt"}),
        ("macro_f1", "macro_f1", {"threshold": 0.8}, {"threshold": 0.9}),
        ("recall of dog", "classes", {"default": 0.8}, {"default": 0.8, "dog": "90%"}),
        ("flips", "flips", "2%", "0.5%"),
        ("SQNR", "parity", {"sqnr": 30}, {"sqnr": 30.1}),
        ("largest error", "parity", {"max_error": 0.05}, {"max_error": 0.049}),
        ("latency_p50", "latency_p50", "6 ms", "4.5 ms"),
        ("latency_p95", "latency_p95", "6 ms", "4.5 ms"),
        (
            "speed-up",
            "latency",
            {"percent_min_improvement": 40, "against": "reference"},
            {"percent_min_improvement": 60, "against": "reference"},
        ),
        ("peak memory", "peak_memory", "2 MB", "1999999 B"),
        (
            "allowed operators",
            "operators",
            {"allowed": ["CONV_2D", "SOFTMAX"], "forbidden": ["CUSTOM"]},
            {"forbidden": ["SOFTMAX"]},
        ),
        ("allowed operators", "operators", {"forbidden": ["ADD"]}, {"allowed": ["CONV_2D"]}),
        ("minimum runtime", "minimum_runtime", "2.14", "2.8"),
        ("multiply-accumulates", "macs", "4.5 M", 4_499_999),
        ("sparsity", "sparsity", 0.5, "51%"),
    ],
)
def test_budget_lets_what_keeps_it_pass_and_turns_red_by_the_smallest_step(
    name: str, key: str, passes: Any, fails: Any
) -> None:
    kept, broken = judge({key: passes}), judge({key: fails})
    assert (checked(name, kept).status, kept.exit_code) == (GREEN, 0)
    red = checked(name, broken)
    assert (red.status, broken.exit_code) == (RED, 1)
    assert red.limit
    assert red.fix
    assert checked(name, kept).limit


def test_slower_than_the_reference_is_red() -> None:
    slow = candidate()
    ratio = Measurement(1.1, "1", n=10, low=1.08, high=1.12)
    slow = replace(slow, evaluation=replace(slow.evaluation, latency_ratio=ratio))
    verdict = judge({"latency": {"percent_max_degradation": 5, "against": "reference"}}, slow)
    assert (checked("latency", verdict).status, verdict.exit_code) == (RED, 1)


@pytest.mark.parametrize(("size", "status"), [("64 KiB", GREEN), ("65472 B", RED)])
def test_arena_over_by_64_bytes_is_red(size: str, status: Status) -> None:
    verdict = judge({"arena": size}, target="cortex-m4")
    assert checked("arena", verdict).status is status


@pytest.mark.parametrize(("least", "status"), [("90%", GREEN), ("91%", RED)])
def test_npu_share_is_what_the_compiler_places(least: str, status: Status) -> None:
    verdict = judge({"npu_share": least}, target=NPU)
    assert checked("NPU share", verdict).status is status


def without(**figures: Any) -> Candidate:
    """The candidate without some figures of its evaluation."""
    made = candidate()
    return replace(made, evaluation=replace(made.evaluation, **figures))


@pytest.mark.parametrize(
    ("name", "budgets", "made", "target"),
    [
        ("delta size", {"delta_size": "1 MB"}, replace(candidate(), delta=None), HOST),
        ("flips", {"flips": "50%"}, without(flips=None), HOST),
        ("SQNR", {"parity": {"sqnr": 1}}, without(parity={}), HOST),
        ("classes", {"classes": {"default": 0.1}}, without(parts=()), HOST),
        ("latency_p50", {"latency_p50": "1 s"}, without(latency=None), HOST),
        ("latency_p50", {"latency_p50": "1 s"}, candidate(), "raspberry-pi-4"),
        ("latency", {"latency": {"percent_max_degradation": 900}}, candidate(), HOST),
        (
            "latency",
            {"latency": {"percent_max_degradation": 900, "against": "reference"}},
            candidate(),
            "raspberry-pi-4",
        ),
        ("arena", {"arena": "1 GB"}, candidate(), HOST),
        ("peak memory", {"peak_memory": "1 GB"}, candidate(), "raspberry-pi-4"),
        ("peak memory", {"peak_memory": "1 GB"}, without(memory=None), HOST),
        (
            "allowed operators",
            {"operators": {"forbidden": ["ADD"]}},
            replace(candidate(), operators=()),
            HOST,
        ),
        (
            "minimum runtime",
            {"minimum_runtime": "9.0"},
            replace(candidate(), minimum_runtime=RuntimeNeed("", "", "", "", "it is custom")),
            HOST,
        ),
        ("multiply-accumulates", {"macs": "9 G"}, replace(candidate(), macs=None), HOST),
        ("sparsity", {"sparsity": 0.0}, replace(candidate(), sparsity=None), HOST),
        ("NPU share", {"npu_share": "1%"}, candidate(), HOST),
    ],
)
def test_budget_that_cannot_be_measured_is_unavailable_and_never_green(
    name: str, budgets: Mapping[str, Any], made: Candidate, target: str
) -> None:
    verdict = judge(budgets, made, target)
    absent = checked(name, verdict)
    assert (absent.status, verdict.exit_code) == (ABSENT, 3)
    assert absent.message.startswith("unavailable, because ")
    assert absent.fix


@pytest.mark.parametrize(
    ("budgets", "said"),
    [
        ({"balanced_accuracy": {"threshold": 0.1}}, "computed no metric 'balanced_accuracy'"),
        ({"outputs": {"boxes": {"threshold": 0.1}}}, "computed no output 'boxes'"),
        ({"classes": {"bird": 0.1}}, "has no class 'bird'"),
    ],
)
def test_budget_on_a_metric_that_went_missing_is_red(budgets: Mapping[str, Any], said: str) -> None:
    verdict = judge(budgets)
    assert verdict.exit_code == 1
    assert any(said in check.message for check in verdict.checks if check.status is RED)


def test_metric_that_the_candidate_lost_is_red_although_another_is_there() -> None:
    made = without(metrics={"macro_f1": share(1, 2)}, drop={}, paired={})
    assert judge({"accuracy": {"max_degradation": 0.5}}, made).exit_code == 1


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"max_latency": 6e6}, 0),
        ({"max_latency": 4e6}, 1),
        ({"max_size": 149_999}, 1),
        ({"max_arena": 1 << 30}, 3),
    ],
)
def test_limit_of_the_command_line_goes_before_the_file(
    options: Mapping[str, Any], code: int
) -> None:
    wide = {"size": "1 MB", "latency_p50": "1 s"}
    assert judge(wide, **options).exit_code == code


def test_budgets_of_a_candidate_hold_whatever_target_ships_it() -> None:
    table = {HOST: TargetTable(precision="float32")}
    made = [candidate(), replace(candidate(), id="float32", precision="float32")]

    def code(**own: Any) -> int:
        budgets = {name: Budgets.model_validate(table) for name, table in own.items()}
        return judge_run(made, REFERENCE, table, RULES, False, own=budgets)[2].exit_code

    assert code(int8={"size": "150 kB"}) == 0
    assert code(int8={"size": "149999 B"}) == 1
    assert code(int4={"size": "1 MB"}) == 3


def test_every_key_of_the_project_file_has_its_row_here_and_in_the_docs() -> None:
    keys = [key for budget in BUDGETS for key in budget.keys]
    assert sorted(keys) == sorted(Budgets.model_fields)
    rows = (Path(__file__).parents[3] / "docs/gate.md").read_text().split("## Every budget")[1]
    documented = re.findall(r"^\| `([a-z_0-9]+)`", rows.split("\n## ")[0], re.MULTILINE)
    assert documented == [key for key in keys if key != "metrics"]
