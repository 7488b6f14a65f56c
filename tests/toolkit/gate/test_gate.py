"""The gate: three-valued checks, what ships, and the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit import statistics
from edgekit.gate import Rules, judge_run, own_device
from edgekit.gate.budgets.metrics import check_goal
from edgekit.gate.machine import another_machine
from edgekit.gate.rules import TargetContext
from edgekit.gate.statuses import worst
from edgekit.gate.verdict import combined
from edgekit.project import Budgets, Goal, TargetTable
from edgekit.targets import catalog
from edgekit.types import (
    Candidate,
    CheckResult,
    Compiled,
    Evaluation,
    Latency,
    Measurement,
    Memory,
    OnDevice,
    PairedCounts,
    RuntimeResult,
    Status,
    TargetResult,
    Verdict,
)

RULES = Rules(metric="accuracy", bounded=True, higher_is_better=True)
HOST = "linux-x86_64"
NPU = "cortex-m55-ethos-u55-128"
REFERENCE = Evaluation(metrics={"accuracy": Measurement(0.9, "1", n=1000, low=0.88, high=0.92)})


def candidate(
    precision: str = "int8", lost: int = 0, gained: int = 0, n: int = 1000, size: int = 1000
) -> Candidate:
    """A candidate that lost and gained so many of n items, with the interval of these counts."""
    interval = statistics.tango(lost, gained, n)
    drop = Measurement(interval.value, "1", n=n, low=interval.low, high=interval.high, level=0.95)
    accuracy = Measurement(0.9, "1", n=n, low=0.88, high=0.92, level=0.95)
    evaluation = Evaluation(
        metrics={"accuracy": accuracy},
        drop={"accuracy": drop},
        paired={"accuracy": PairedCounts(n, lost, gained)},
        runtimes=(
            RuntimeResult("litert", "2.3.0", Status.PASSED, "", n),
            RuntimeResult("tflite-runtime", "2.14.0", Status.PASSED, "", n),
        ),
    )
    return Candidate(precision, precision, Path("m.tflite"), "", size, size, evaluation=evaluation)


def judge(
    *candidates: Candidate,
    rules: Rules = RULES,
    budgets: Budgets | None = None,
    target: str = HOST,
    asked: bool = False,
    precision: str | None = None,
) -> tuple[str | None, Verdict]:
    """What the one target ships, and the verdict."""
    table = {target: TargetTable(precision=precision, budgets=budgets or Budgets())}
    _, (result,), verdict = judge_run(candidates, REFERENCE, table, rules, asked)
    return result.candidate, verdict


@pytest.fixture(autouse=True)
def on_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host these verdicts are about, whatever machine runs the tests."""
    monkeypatch.setattr("edgekit.targets.catalog.host", lambda: HOST)


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


def on_tflm(arena: Measurement | None) -> Candidate:
    """A candidate that TFLM runs, with the arena that was measured."""
    one = candidate()
    ran = RuntimeResult("tflm", "0.dev1", Status.PASSED, "", 200)
    memory = Memory(Measurement(1e6, "byte"), arena) if arena else None
    return replace(one, evaluation=replace(one.evaluation, runtimes=(ran,), memory=memory))


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


def test_target_with_a_precision_ships_no_other() -> None:
    good, bad = candidate("float32"), candidate("int8", lost=90)
    assert judge(good, bad, precision="int8")[0] is None
    assert judge(good, precision="int8")[1].exit_code == 1


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


BOARD = "raspberry-pi-4"
# What the host gave: no evidence for another target.
FAST = Measurement(1e3, "ns", n=100, low=999.0, high=1001.0, level=0.95)
FIGURES = ("p50", "p90", "p95", "p99", "mean", "min", "max", "mad", "std", "p5", "power")


def latency_of(one: Measurement) -> Latency:
    return Latency(**dict.fromkeys(FIGURES, one), launches=(1,), stopped="precision")


LATENCY = latency_of(FAST)
ADDRESS = "ssh://pi@board"


PI = {"system": "Linux", "machine": "aarch64", "model": "Raspberry Pi 4 Model B Rev 1.4"}


def on_device(
    p50: float | None = 2e6,
    estimates: str = "",
    status: Status = Status.PASSED,
    message: str = "",
    facts: Mapping[str, object] = PI,
) -> OnDevice:
    """What the board gave of the int8 candidate: a median of so many nanoseconds."""
    latency = None
    if p50 is not None:
        one = Measurement(p50, "ns", n=100, low=0.99 * p50, high=1.01 * p50, level=0.95)
        latency = latency_of(one)
    found = ("tflite-runtime", "2.14.0", status, message, 200, 0.0, latency, estimates)
    return OnDevice("int8", ADDRESS, *found, facts)


@pytest.mark.parametrize(
    ("found", "status", "code", "words"),
    [
        (on_device(2e6), Status.PASSED, 0, "2 ms"),
        (on_device(9e6), Status.FAILED, 1, "9 ms"),
        (on_device(5.01e6), Status.INCONCLUSIVE, 4, "too noisy"),
        (on_device(2e6, "emulated (qemu-user)"), Status.UNAVAILABLE, 3, "emulated (qemu-user)"),
        (on_device(None, "", Status.UNAVAILABLE, "no route"), Status.UNAVAILABLE, 3, "no route"),
        (on_device(None, "", Status.INCOMPATIBLE, "refused"), Status.INCOMPATIBLE, 5, "refused"),
        (on_device(None), Status.UNAVAILABLE, 3, "it was not timed"),
        (None, Status.UNAVAILABLE, 3, f"nothing was measured on {ADDRESS}"),
    ],
    ids=["fast", "slow", "at the limit", "emulated", "away", "refuses", "untimed", "not measured"],
)
def test_latency_budget_is_judged_by_the_targets_own_device(
    found: OnDevice | None, status: Status, code: int, words: str
) -> None:
    budgets = Budgets.model_validate({"latency_p50": "5 ms"})
    table = {BOARD: TargetTable(device=ADDRESS, budgets=budgets)}
    given = {BOARD: [found]} if found else {}
    fast = replace(candidate(), evaluation=replace(candidate().evaluation, latency=LATENCY))
    _, (result,), verdict = judge_run([fast], REFERENCE, table, RULES, False, None, given)
    assert (result.status, verdict.exit_code) == (status, code)
    assert any(words in check.message for check in result.checks)
    assert result.candidate == ("int8" if status is Status.PASSED else None)
    if status is Status.PASSED:
        assert f"runs on {ADDRESS} (tflite-runtime 2.14.0)" in result.fit


@pytest.mark.parametrize(
    ("target", "device", "own"),
    [
        (BOARD, None, ""),
        (BOARD, "local", ""),
        (BOARD, "local:tflite-runtime", ""),
        (BOARD, "tflm", ""),
        (BOARD, ADDRESS, ADDRESS),
        (HOST, "local", ""),
        (HOST, "local:tflite-runtime", "local:tflite-runtime"),
    ],
)
def test_own_device_is_this_hosts_only_where_this_host_is_the_target(
    target: str, device: str | None, own: str
) -> None:
    assert own_device(target, TargetTable(device=device)) == own


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"system": "Linux", "machine": "x86_64", "model": "NUC"}, "Linux x86_64 (NUC)"),
        ({"system": "Linux", "machine": "armv7l"}, "Linux armv7l"),
        ({"system": "Darwin", "machine": "arm64"}, "Darwin arm64"),
        ({"system": "Linux", "machine": "aarch64", "android": "14"}, "Android aarch64"),
        (PI | {"model": "Raspberry Pi 5 Model B Rev 1.0"}, "Raspberry Pi 5 Model B Rev 1.0"),
        ({}, "did not say what machine it is"),
    ],
)
def test_another_machine_than_the_target_is_unavailable_unless_any_device(
    facts: Mapping[str, object], words: str
) -> None:
    budgets = Budgets.model_validate({"latency_p50": "5 ms"})
    given = {BOARD: [on_device(2e6, facts=facts)]}

    def decided(any_device: bool) -> tuple[TargetResult, Verdict]:
        table = {BOARD: TargetTable(device=ADDRESS, any_device=any_device, budgets=budgets)}
        _, (result,), verdict = judge_run(
            [candidate()], REFERENCE, table, RULES, False, None, given
        )
        return result, verdict

    result, verdict = decided(any_device=False)
    assert (result.candidate, verdict.exit_code) == (None, 3)
    against = {c.name: c.message for c in verdict.checks if c.status is Status.UNAVAILABLE}
    assert set(against) == {"latency_p50", "machine"}
    for message in against.values():
        assert words in message
        assert "raspberry-pi-4 is Linux aarch64 (Raspberry Pi 4 or" in message
    assert "any_device = true" in against["machine"]

    result, verdict = decided(any_device=True)
    assert (result.candidate, verdict.exit_code) == ("int8", 0)
    (machine,) = [c for c in verdict.checks if c.name == "machine"]
    assert words in machine.message
    assert "it counts, because any_device = true" in machine.message
    assert "another machine, which any_device lets count" in result.fit


@pytest.mark.parametrize(
    "facts",
    [
        PI,
        {"system": "Linux", "machine": "arm64"},
        PI | {"model": "Raspberry Pi Compute Module 4 Rev 1.0"},
    ],
)
def test_the_targets_machine_counts_by_whatever_name_it_has(facts: Mapping[str, object]) -> None:
    assert another_machine(catalog.load(BOARD), ADDRESS, facts) == ""


@pytest.mark.parametrize(
    ("facts", "another"),
    [
        ({"system": "bare-metal", "machine": "cortex-m7"}, False),
        ({"system": "Zephyr 3.6", "machine": "Cortex-M4F"}, False),
        ({"system": "bare-metal", "machine": "cortex-m0"}, True),
        ({"system": "Linux", "machine": "x86_64"}, True),
    ],
)
def test_a_microcontroller_is_known_by_its_processor(
    facts: Mapping[str, object], another: bool
) -> None:
    assert bool(another_machine(catalog.load("cortex-m4"), "serial:///dev/x", facts)) is another


def test_figures_of_a_device_that_the_target_does_not_name_are_none_of_its() -> None:
    budgets = Budgets.model_validate({"latency_p50": "5 ms"})
    table = {BOARD: TargetTable(device="ssh://pi@other", budgets=budgets)}
    given = {BOARD: [on_device(2e6)]}
    _, (result,), verdict = judge_run([candidate()], REFERENCE, table, RULES, False, None, given)
    assert (result.candidate, verdict.exit_code) == (None, 3)
    assert any("nothing was run on ssh://pi@other" in check.message for check in verdict.checks)


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
