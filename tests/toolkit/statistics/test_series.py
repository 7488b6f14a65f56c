"""Series of times: drift, modes, and the median's interval, by simulation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.statistics import bimodal, drift, median_interval

FloatArray = npt.NDArray[np.float64]


def times(seed: int, n: int = 400, *, spread: float = 0.02, correlation: float = 0.0) -> FloatArray:
    """Times around 1 ms, each sample like the one before by ``correlation``."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 1, n)
    noise = np.empty(n)
    noise[0] = steps[0]
    for k in range(1, n):
        noise[k] = correlation * noise[k - 1] + (1 - correlation**2) ** 0.5 * steps[k]
    return np.asarray(1e6 * np.exp(spread * noise))


@pytest.mark.parametrize("share", [0.05, 0.5, -0.1])
def test_drift_is_found_with_its_size_when_planted(share: float) -> None:
    found = drift(times(0) * np.linspace(1, 1 + share * 1.5, 400))
    assert found.slope_share == pytest.approx(share, rel=0.3)
    assert found.p < 0.001


def test_drift_is_rarely_seen_when_there_is_none() -> None:
    seen = [drift(times(seed, 200, correlation=0.5)).p < 0.01 for seed in range(200)]
    assert sum(seen) <= 8


def test_drift_of_a_steady_clock_is_none() -> None:
    found = drift(np.full(100, 7.0))
    assert (found.slope_share, found.p) == (0.0, 1.0)


@pytest.mark.parametrize("share", [0.15, 0.5, 0.8])
@pytest.mark.parametrize("apart", [1.1, 1.5, 3.0])
def test_two_speeds_are_bimodal(share: float, apart: float) -> None:
    rng = np.random.default_rng(1)
    series = times(2, spread=0.015) * np.where(rng.random(400) < share, apart, 1.0)
    assert bimodal(series)


@pytest.mark.parametrize("n", [50, 500, 5000])
@pytest.mark.parametrize("spread", [0.0001, 0.02, 0.3])
def test_one_speed_is_not_bimodal(n: int, spread: float) -> None:
    assert sum(bimodal(times(seed, n, spread=spread)) for seed in range(30)) <= 1


def test_a_tail_of_slow_samples_is_not_bimodal() -> None:
    rng = np.random.default_rng(3)
    slow = np.where(rng.random(500) < 0.06, rng.uniform(1.2, 4, 500), 1.0)
    assert not bimodal(times(4, 500) * slow)


def test_ticks_of_a_clock_are_not_modes() -> None:
    assert not bimodal(np.round(times(5, 500, spread=0.0003) / 500) * 500)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_median_interval_covers_the_median_when_samples_are_correlated(correlation: float) -> None:
    intervals = [median_interval(times(seed, correlation=correlation)) for seed in range(300)]
    covered = np.mean([found.low <= 1e6 <= found.high for found in intervals])
    assert covered >= 0.91


def test_median_interval_narrows_with_the_length_of_the_series() -> None:
    short, long = median_interval(times(6, 100)), median_interval(times(6, 10_000))
    assert long.high - long.low < (short.high - short.low) / 5
    assert long.low < long.value < long.high


def test_median_interval_is_unbounded_when_there_are_few_samples() -> None:
    found = median_interval(np.arange(1.0, 8.0))
    assert (found.value, found.low, found.high) == (4.0, -np.inf, np.inf)


@pytest.mark.parametrize("samples", [[], [[1.0]], [1.0, np.nan]])
def test_series_are_refused_when_they_are_none(samples: list[float]) -> None:
    for function in (drift, bimodal, median_interval):
        with pytest.raises(ValueError, match="1-D"):
            function(np.array(samples))
