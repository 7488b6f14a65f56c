"""Sustained runs and MLPerf Tiny windows, over written times."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from benching import QUICK, TraceDevice, job, nothing

from edgekit.evaluation.mlperf_tiny import WINDOWS, perform
from edgekit.evaluation.sustained import ratio, summarized, sustain
from edgekit.statistics import Interval
from edgekit.types import Measurement, Second

NONE = Measurement.unavailable("1", "no labels")


def test_plateau_is_set_against_the_first_minute() -> None:
    rows = [Second(float(at), 10, 1e6 if at < 100 else 1.25e6, None, None) for at in range(300)]
    found = summarized(rows, 300.0)
    assert found.first.n == 60
    assert found.first.value == 1e6
    assert found.plateau.n == 75
    assert found.slowdown.value == 1.25
    assert len(found.seconds) == 300


def test_a_short_run_compares_its_quarters() -> None:
    rows = [Second(float(at), 10, 1e6 + at, None, None) for at in range(40)]
    found = summarized(rows, 40.0)
    assert found.first.n == found.plateau.n == 10


def test_a_ratio_adds_both_uncertainties_in_quadrature() -> None:
    one = Interval(100.0, 100 / 1.03, 103.0, 0.95, 9)
    other = Interval(50.0, 50 / 1.04, 52.0, 0.95, 7)
    found = ratio(one, other)
    assert found.value == 2.0
    wide = math.exp(math.hypot(math.log(1.03), math.log(1.04)))
    assert found.high == pytest.approx(2 * wide)
    assert found.low == pytest.approx(2 / wide)
    assert found.n == 7


def test_a_ratio_with_an_unbounded_side_is_unbounded() -> None:
    one = Interval(100.0, -math.inf, math.inf, 0.95, 1)
    assert ratio(one, one).high == math.inf


def test_a_sustained_run_keeps_a_row_per_step() -> None:
    def times(launch: int) -> Iterator[float]:
        while True:
            yield 1e6

    found = sustain(job("m", TraceDevice(times)), QUICK, 0.05, nothing, step=0.01)
    assert found.seconds
    assert all(row.median == 1e6 and row.runs >= 10 for row in found.seconds)
    assert found.slowdown.value == 1.0


def test_mlperf_tiny_gives_the_median_of_five_windows() -> None:
    def times(launch: int) -> Iterator[float]:
        # A slow spell hits one window: the median does not see it, a mean would.
        for at in range(10**9):
            yield 3e6 if 200 <= at < 220 else 1e6

    found = perform(job("m", TraceDevice(times)), QUICK, NONE, nothing, seconds=0.1)
    assert len(found.windows) == WINDOWS == 5
    assert found.throughput.value == pytest.approx(1000.0)
    assert min(found.windows) < 900
    assert found.accuracy.reason == "no labels"


def test_a_window_has_ten_runs_at_least() -> None:
    def times(launch: int) -> Iterator[float]:
        while True:
            yield 2e8

    device = TraceDevice(times)
    found = perform(job("m", device), QUICK, NONE, nothing, seconds=0.1)
    assert found.throughput.value == pytest.approx(5.0)
