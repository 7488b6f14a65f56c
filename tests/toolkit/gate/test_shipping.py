"""What a target ships: what it may, what ran on its runtimes, and the smallest that passes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gating import HOST, NPU, REFERENCE, RULES, candidate, judge, on_tflm

from edgekit.gate import judge_run
from edgekit.project import Budgets, TargetTable
from edgekit.types import (
    Candidate,
    CheckResult,
    Compiled,
    Measurement,
    RuntimeResult,
    Status,
)

pytestmark = pytest.mark.usefixtures("on_x86")


@pytest.mark.parametrize("name", ["android-arm64", "ios-arm64"])
def test_target_whose_runtime_is_not_here_is_unavailable_and_never_passed(name: str) -> None:
    """The planted fault: the candidate passes on this host, by LiteRT and by tflite-runtime."""
    here = candidate(n=1000)
    ran = tuple(RuntimeResult(r, "1", Status.PASSED, "") for r in ("litert", "tflite-runtime"))
    here = replace(here, evaluation=replace(here.evaluation, runtimes=ran))
    shipped, verdict = judge(here, target=name)
    assert (shipped, verdict.status, verdict.exit_code) == ("int8", Status.UNAVAILABLE, 3)


def test_server_of_saved_models_ships_the_float32_file_however_small_another_is() -> None:
    made = (candidate("int8", size=100), candidate("float16", size=500), candidate("float32"))
    made = tuple(
        replace(one, evaluation=replace(one.evaluation, runtimes=one.evaluation.runtimes[:0]))
        for one in made
    )
    shipped, verdict = judge(*made, target="tf-serving")
    assert (shipped, verdict.status, verdict.exit_code) == ("float32", Status.UNAVAILABLE, 3)


def test_smallest_passing_candidate_ships() -> None:
    big, small, broken = candidate("float32", size=9000), candidate(size=3000), candidate(lost=90)
    assert judge(big, small, replace(broken, id="bad", bytes=10))[0] == "int8"


def test_candidate_that_a_runtime_refuses_does_not_ship() -> None:
    refused = RuntimeResult("tflite-runtime", "2.14.0", Status.INCOMPATIBLE, "no such operator")
    small = candidate("float16", size=10)
    small = replace(small, evaluation=replace(small.evaluation, runtimes=(refused,)))
    assert judge(small, candidate("int8", size=3000))[0] == "int8"
    shipped, verdict = judge(small)
    assert (shipped, verdict.exit_code) == (None, 5)


def test_where_nothing_ships_the_nearest_is_told_which_runs_and_is_over_a_budget() -> None:
    """The planted fault: the smallest cannot run there at all."""
    refused = RuntimeResult("tflite-runtime", "2.14.0", Status.INCOMPATIBLE, "no such operator")
    small = candidate("float16", size=10)
    small = replace(small, evaluation=replace(small.evaluation, runtimes=(refused,)))
    shipped, verdict = judge(small, candidate("int8", size=3000, lost=90))
    assert (shipped, verdict.exit_code) == (None, 1)
    assert {check.candidate for check in verdict.checks} == {"int8"}


@pytest.mark.parametrize(("id_", "ships"), [("dynamic", False), ("dynamic@tflite-2.14", True)])
def test_target_chooses_among_what_was_made_for_its_profile(id_: str, ships: bool) -> None:
    smaller = replace(candidate("dynamic", size=10), id=id_)
    assert judge(smaller, candidate("int8", size=3000))[0] == (id_ if ships else "int8")


@pytest.mark.parametrize("precision", ["int4", "int4-block32"])
def test_target_refuses_a_precision_with_its_reason(precision: str) -> None:
    one = candidate(precision)
    shipped, verdict = judge(one)
    assert (shipped, verdict.exit_code) == (None, 5)
    refused = [c for c in verdict.checks if c.status is Status.INCOMPATIBLE]
    assert [c.message.split(" for ")[0] for c in refused] == ["tflite-runtime 2.14 has no kernel"]
    assert judge(one, asked=True)[1].exit_code == 0


def test_runtime_that_is_not_installed_stops_nothing() -> None:
    absent = RuntimeResult("tflite-runtime", "2.14.0", Status.UNAVAILABLE, "no wheel")
    one = candidate()
    one = replace(one, evaluation=replace(one.evaluation, runtimes=(absent,)))
    assert judge(one)[0] == "int8"


def untried(precision: str = "int8", lost: int = 0) -> Candidate:
    """A candidate for a target whose only runtime is not here."""
    one = candidate(precision, lost)
    absent = RuntimeResult("tflm", "0.dev1", Status.UNAVAILABLE, "no runner")
    return replace(one, evaluation=replace(one.evaluation, runtimes=(absent,)))


def test_target_whose_only_runtime_is_not_here_ships_and_is_unavailable() -> None:
    shipped, verdict = judge(untried(), target="cortex-m4")
    assert (shipped, verdict.status, verdict.exit_code) == ("int8", Status.UNAVAILABLE, 3)
    (check,) = [check for check in verdict.checks if check.status is Status.UNAVAILABLE]
    assert check.message == "unavailable, because no runner"


def test_untried_candidate_does_not_ship_when_something_else_stands_against_it() -> None:
    assert judge(untried(lost=90), target="cortex-m4")[0] is None
    late = Budgets.model_validate({"latency_p50": "5 ms"})
    shipped, verdict = judge(untried(), budgets=late, target="cortex-m55-ethos-u55-128")
    assert (shipped, verdict.exit_code) == (None, 3)


@pytest.mark.parametrize(
    ("status", "shipped", "code"),
    [(Status.INCOMPATIBLE, None, 5), (Status.UNAVAILABLE, None, 3), (Status.PASSED, "int8", 3)],
)
def test_check_made_elsewhere_counts_for_its_target_and_candidate(
    status: Status, shipped: str | None, code: int
) -> None:
    def compiled(candidate: str, target: str, status: Status) -> Compiled:
        return Compiled(candidate, (CheckResult("compiles", candidate, target, status, ""),))

    other = "cortex-m55-ethos-u55-128"
    found = {
        "cortex-m4": [
            compiled("int8", "cortex-m4", status),
            compiled("float32", "cortex-m4", Status.FAILED),
        ],
        other: [compiled("int8", other, Status.FAILED)],
    }
    table = {"cortex-m4": TargetTable()}
    _, (result,), verdict = judge_run([untried()], REFERENCE, table, RULES, False, found)
    assert (result.candidate, verdict.exit_code) == (shipped, code)


@pytest.mark.parametrize(
    ("size", "arena", "target", "name"),
    [
        ((1 << 20) + 1, 6000.0, "nrf52840", "flash"),
        (1000, 256 * 1024.0 + 1, "nrf52840", "RAM"),
        (1000, 160 * 1024.0 + 1, "esp32", "RAM"),
        (1 << 20, 256 * 1024.0, "nrf52840", ""),
        (1 << 22, 256 * 1024.0, "cortex-m4", ""),
    ],
)
def test_candidate_that_a_targets_memories_do_not_hold_is_incompatible(
    size: int, arena: float, target: str, name: str
) -> None:
    one = replace(on_tflm(Measurement(arena, "byte")), bytes=size)
    shipped, verdict = judge(one, target=target)
    red = [check.name for check in verdict.checks if check.status is Status.INCOMPATIBLE]
    assert red == ([name] if name else [])
    assert (shipped, verdict.exit_code) == ((None, 5) if name else ("int8", 0))


def test_browser_ships_no_file_with_inputs_that_it_does_not_take() -> None:
    shipped, verdict = judge(candidate("int8"), target="web-wasm")
    assert (shipped, verdict.exit_code) == (None, 5)


def test_target_whose_only_runtime_ran_the_candidate_passes() -> None:
    shipped, verdict = judge(on_tflm(None), target="cortex-m4")
    assert (shipped, verdict.status, verdict.exit_code) == ("int8", Status.PASSED, 0)


def test_target_with_a_precision_ships_no_other() -> None:
    good, bad = candidate("float32"), candidate("int8", lost=90)
    assert judge(good, bad, precision="int8")[0] is None
    assert judge(good, precision="int8")[1].exit_code == 1


def test_an_npus_candidate_that_was_not_compiled_is_unavailable() -> None:
    table = {NPU: TargetTable()}
    _, (result,), verdict = judge_run([on_tflm(None)], REFERENCE, table, RULES, False, {})
    assert (result.candidate, verdict.exit_code) == (None, 3)
    assert "the run did not compile it" in " ".join(c.message for c in verdict.checks)


def test_a_target_that_the_run_was_not_about_is_unavailable() -> None:
    table = {HOST: TargetTable(), "linux-aarch64": TargetTable()}
    _, results, verdict = judge_run([candidate()], REFERENCE, table, RULES, False, tried=[HOST])
    assert [one.candidate for one in results] == ["int8", None]
    assert verdict.exit_code == 3
    (check,) = [c for c in verdict.checks if c.status is Status.UNAVAILABLE]
    assert check.target == "linux-aarch64"
    assert "nothing was compiled, run or packed for it" in check.message
