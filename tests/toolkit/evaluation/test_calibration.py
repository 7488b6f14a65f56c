"""The noise of a host: what a model differs from itself by."""

from __future__ import annotations

import pytest

from edgekit.evaluation.latency import noise_floor
from edgekit.types import Measurement


def test_noise_floor_is_the_farther_bound_of_a_model_against_itself() -> None:
    assert noise_floor(Measurement(1.0, "1", low=0.99, high=1.03)).value == pytest.approx(0.03)
    assert noise_floor(Measurement(1.0, "1", low=0.80, high=1.03)).value == pytest.approx(0.25)
