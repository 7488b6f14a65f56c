"""One decision for all commands: an interval against a limit, as finely as the host can tell."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.gate import Rules, decide, judge_run
from edgekit.gate.decision import settle
from edgekit.pipeline.measure import bench_budgets
from edgekit.pipeline.measure.compare import _check_slowdown
from edgekit.pipeline.measure.model_on_device import ModelOnDevice
from edgekit.project import Budgets, TargetTable
from edgekit.report.document import evaluation_from, plain
from edgekit.targets import catalog
from edgekit.types import (
    Benched,
    Candidate,
    Contrast,
    Evaluation,
    Latency,
    Measured,
    Measurement,
    Status,
)

MS = 1e6
LIMIT = 5 * MS
RULES = Rules(metric="accuracy", bounded=True, higher_is_better=True)


def ratio(low: float | None, value: float, high: float | None) -> Measurement:
    return Measurement(value, "1", n=12, low=low, high=high, level=0.95)


def floor(value: float) -> Measurement:
    return Measurement(value, "1", n=12, level=0.95)


@pytest.mark.parametrize(
    ("bounds", "noise", "status"),
    [
        ((0.99, 1.00, 1.02), 0.01, Status.PASSED),
        ((0.99, 1.00, 1.05), 0.01, Status.PASSED),
        ((0.99, 1.02, 1.06), 0.01, Status.INCONCLUSIVE),
        ((1.05, 1.07, 1.09), 0.01, Status.INCONCLUSIVE),
        ((1.06, 1.10, 1.12), 0.01, Status.FAILED),
        # A budget finer than the noise says nothing of small differences …
        ((0.99, 1.00, 1.02), 0.05, Status.INCONCLUSIVE),
        ((1.06, 1.10, 1.12), 0.08, Status.INCONCLUSIVE),
        # … and much of large ones.
        ((1.40, 1.50, 1.60), 0.08, Status.FAILED),
        ((0.50, 0.60, 0.70), 0.08, Status.PASSED),
        # Not proven faster, but farther from the limit than noise and interval reach (as bench).
        ((0.80, 0.90, 0.95), 0.08, Status.PASSED),
        # A proven difference is not a proven breach, where noise may be what breaks the budget.
        ((1.12, 1.14, 1.16), 0.10, Status.INCONCLUSIVE),
        ((None, 1.00, None), 0.01, Status.INCONCLUSIVE),
    ],
)
def test_verdict_follows_from_the_bounds_and_the_noise_floor(
    bounds: tuple[float | None, float, float | None], noise: float, status: Status
) -> None:
    assert decide(ratio(*bounds), 1.05, floor(noise)) is status


def test_verdict_is_unavailable_when_a_measurement_is() -> None:
    missing = Measurement.unavailable("1", "the device is gone")
    assert decide(missing, 1.05, floor(0.01)) is Status.UNAVAILABLE
    assert decide(ratio(0.9, 1.0, 1.1), 1.05, missing) is Status.UNAVAILABLE


def test_more_launches_settle_an_interval_that_holds_the_limit() -> None:
    said = settle(ratio(1.00, 1.03, 1.07), 1.05, floor(0.01))
    # Half the width over the distance to the limit, squared: 12 (0.04 / 0.02)^2.
    assert "between 1.000 and 1.070, its limit 1.05" in said
    assert "about 48 launches" in said


def test_more_launches_settle_a_budget_finer_than_the_noise() -> None:
    said = settle(ratio(0.99, 1.00, 1.01), 1.05, floor(0.10))
    assert "by up to 10.00% here, the budget is 5.00%" in said
    assert "about 49 launches" in said


def test_a_ratio_that_is_the_limit_itself_is_settled_by_no_launches() -> None:
    assert "launches" not in settle(ratio(1.05, 1.05, 1.05), 1.05, floor(0.02))


@pytest.mark.parametrize("budget", [0.0, 0.0001])
def test_only_a_quieter_host_settles_a_budget_of_nothing(budget: float) -> None:
    assert "quieter host" in settle(ratio(0.99, 1.00, 1.01), 1 + budget, floor(0.10))
    assert "launches" not in settle(ratio(0.99, 1.00, 1.01), 1 + budget, floor(0.10))


def test_there_is_nothing_to_settle_when_it_is_decided() -> None:
    assert settle(ratio(0.99, 1.00, 1.02), 1.05, floor(0.01)) == ""


@pytest.mark.parametrize(
    ("value", "low", "high", "status"),
    [
        (0.9, 0.85, 0.95, Status.PASSED),
        (0.9, 0.80, 0.95, Status.PASSED),
        (0.77, 0.75, 0.79, Status.FAILED),
        (0.8, 0.75, 0.85, Status.INCONCLUSIVE),
        (0.9, None, None, Status.INCONCLUSIVE),
    ],
)
def test_at_least_is_the_mirrored_decision(
    value: float, low: float | None, high: float | None, status: Status
) -> None:
    assert decide(ratio(low, value, high), 0.8, at_least=True) is status


# A median of milliseconds with its interval, the noise of its host, and what follows at 5 ms.
CASES = [
    ((3.0, 2.9, 3.1), 0.01, Status.PASSED),
    ((7.0, 6.9, 7.1), 0.01, Status.FAILED),
    ((5.0, 4.9, 5.1), 0.01, Status.INCONCLUSIVE),
    # The interval alone would pass the first and fail the second: the host cannot tell so much.
    ((4.6, 4.5, 4.7), 0.20, Status.INCONCLUSIVE),
    ((5.6, 5.5, 5.7), 0.20, Status.INCONCLUSIVE),
    ((4.6, 4.5, 4.7), 0.05, Status.PASSED),
    ((3.0, 2.9, 3.1), 0.20, Status.PASSED),
    ((9.0, 8.9, 9.1), 0.20, Status.FAILED),
    ((4.0, None, None), 0.01, Status.INCONCLUSIVE),
]


@pytest.mark.parametrize(("bounds", "noise", "status"), CASES)
def test_all_commands_answer_alike_on_one_measurement(
    bounds: tuple[float, float | None, float | None], noise: float, status: Status
) -> None:
    """By ``bench``, ``convert``, ``check`` and ``compare``; ``evaluate`` judges by no limit."""
    value, low, high = (None if one is None else one * MS for one in bounds)
    p50 = Measurement(value, "ns", n=12, low=low, high=high, level=0.95)
    assert decide(p50, LIMIT, floor(noise)) is status
    assert benched(p50, noise) is status
    made = Evaluation(latency=replace(latency_of(p50), noise=floor(noise)))
    assert converted(made) is status
    assert converted(read_again(made)) is status
    assert compared(p50, noise) is status


def latency_of(p50: Measurement) -> Latency:
    names = ("p50", "p90", "p95", "p99", "mean", "min", "max", "mad", "std", "p5", "power")
    return Latency(**dict.fromkeys(names, p50), launches=(12,), stopped="precision")


def benched(p50: Measurement, noise: float) -> Status:
    latency = replace(latency_of(p50), noise=None)
    row = Benched("m", "m.tflite", "local", latency=latency)
    return bench_budgets.judge([row], {}, floor(noise), LIMIT, None, None).status


def converted(evaluation: Evaluation) -> Status:
    """The status of the budget of a target that this host is."""
    table = TargetTable(budgets=Budgets.model_validate({"latency_p50": "5 ms"}))
    made = Candidate("int8", "int8", Path("m"), evaluation=evaluation)
    _, (target,), _ = judge_run([made], Evaluation(), {catalog.host(): table}, RULES, False)
    return next(check.status for check in target.checks if check.name == "latency_p50")


def read_again(evaluation: Evaluation) -> Evaluation:
    """As ``check`` has it: of the report that was written."""
    return evaluation_from(json.loads(json.dumps(plain(evaluation))))


def compared(p50: Measurement, noise: float) -> Status:
    """The first model takes 4 ms in every launch, and the budget is 25 %."""
    assert p50.value is not None
    first = 4 * MS
    low, high = (None if one is None else one / first for one in (p50.low, p50.high))
    other = Contrast(
        "b",
        latency_ratio=Measurement(p50.value / first, "1", n=12, low=low, high=high),
        noise=floor(noise),
    )
    sides = (ModelOnDevice(Measured("a", "a", "local")), ModelOnDevice(Measured("b", "b", "local")))
    return _check_slowdown(other, sides, LIMIT / first - 1).status
