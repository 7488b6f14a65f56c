"""Verdicts on a latency ratio, and what would settle an open one."""

from __future__ import annotations

import pytest

from edgekit.evaluation.calibration import decide, settle
from edgekit.evaluation.latency import noise_floor
from edgekit.types import Measurement, Status


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
        ((0.80, 0.90, 0.95), 0.08, Status.INCONCLUSIVE),
        ((None, 1.00, None), 0.01, Status.INCONCLUSIVE),
    ],
)
def test_verdict_follows_from_the_bounds_and_the_noise_floor(
    bounds: tuple[float | None, float, float | None], noise: float, status: Status
) -> None:
    assert decide(ratio(*bounds), floor(noise), 0.05) is status


def test_verdict_is_unavailable_when_a_measurement_is() -> None:
    missing = Measurement.unavailable("1", "the device is gone")
    assert decide(missing, floor(0.01), 0.05) is Status.UNAVAILABLE
    assert decide(ratio(0.9, 1.0, 1.1), missing, 0.05) is Status.UNAVAILABLE


def test_more_launches_settle_an_interval_that_holds_the_limit() -> None:
    said = settle(ratio(1.00, 1.03, 1.07), floor(0.01), 0.05)
    # Half the width over the distance to the limit, squared: 12 (0.04 / 0.02)^2.
    assert "between 1.000 and 1.070, its limit 1.05" in said
    assert "about 48 launches" in said


def test_more_launches_settle_a_budget_finer_than_the_noise() -> None:
    said = settle(ratio(0.99, 1.00, 1.01), floor(0.10), 0.05)
    assert "by up to 10.00% here, the budget is 5.00%" in said
    assert "about 49 launches" in said


@pytest.mark.parametrize("budget", [0.0, 0.0001])
def test_only_a_quieter_host_settles_a_budget_of_nothing(budget: float) -> None:
    assert "quieter host" in settle(ratio(0.99, 1.00, 1.01), floor(0.10), budget)
    assert "launches" not in settle(ratio(0.99, 1.00, 1.01), floor(0.10), budget)


def test_there_is_nothing_to_settle_when_it_is_decided() -> None:
    assert settle(ratio(0.99, 1.00, 1.02), floor(0.01), 0.05) == ""


def test_noise_floor_is_the_farther_bound_of_a_model_against_itself() -> None:
    assert noise_floor(ratio(0.99, 1.00, 1.03)).value == pytest.approx(0.03)
    assert noise_floor(ratio(0.80, 1.00, 1.03)).value == pytest.approx(0.25)
