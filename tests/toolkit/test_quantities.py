"""Quantities in words: intervals that say nothing, points, sizes with a mistyped unit."""

from __future__ import annotations

import pytest

from edgekit import quantities
from edgekit.types import Measurement
from edgekit.types.units import parse_size


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (0.0, 0.0, None, "no interval"),
        (1.0, None, 1.0, "no interval"),
        (3.0, None, None, "no interval"),
        (3.0, 2.5, None, "[2.5, ∞]"),
        (3.0, 2.5, 4.0, "[2.5, 4]"),
    ],
    ids=["an error of 0", "r2 of 1", "neither end", "one end", "both ends"],
)
def test_an_interval_that_bounds_nothing_is_none(
    value: float, low: float | None, high: float | None, shown: str
) -> None:
    measured = Measurement(value, "1", low=low, high=high, level=0.95)
    assert quantities.interval(measured, bounded=False) == shown


@pytest.mark.parametrize(
    ("drop", "shown"),
    [(0.01, "1 point"), (-0.01, "-1 point"), (0.0, "0 points"), (0.015, "1.5 points")],
)
def test_one_point_is_no_plural(drop: float, shown: str) -> None:
    assert quantities.in_points(drop) == shown


@pytest.mark.parametrize(
    ("text", "meant"), [("40 kb", "'40 kB'"), ("40KIB", "'40 KiB'"), ("1.5 mb", "'1.5 MB'")]
)
def test_a_unit_in_the_wrong_case_is_told_with_the_right_one(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean {meant}"):
        parse_size(text)
