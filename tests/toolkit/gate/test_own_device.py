"""A target's own device: its times count, where it is the machine that the target is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from gating import HOST, REFERENCE, RULES, candidate, latency_of

from edgekit.gate import judge_run, own_device
from edgekit.gate.machine import another_machine
from edgekit.project import Budgets, TargetTable
from edgekit.targets import catalog
from edgekit.types import (
    Measurement,
    OnDevice,
    Status,
    TargetResult,
    Verdict,
)

pytestmark = pytest.mark.usefixtures("on_x86")
BOARD = "raspberry-pi-4"
# What the host gave: no evidence for another target.
FAST = Measurement(1e3, "ns", n=100, low=999.0, high=1001.0, level=0.95)
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
