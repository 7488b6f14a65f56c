"""Latency: against resamples built one by one, and planted differences."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.statistics import Interval, launch_ratio, percentile_interval
from edgekit.statistics.launch_intervals import _block_counts, _resampled_percentiles

FloatArray = npt.NDArray[np.float64]


def timings(
    seed: int,
    *,
    launches: int = 5,
    blocks: int = 12,
    samples: int = 200,
    launch_noise: float = 0.0,
    factor: float = 1.0,
) -> list[list[FloatArray]]:
    """Log-normal times around 1 ms; blocks differ by 1 %, launches by `launch_noise`."""
    rng = np.random.default_rng(seed)
    result = []
    for _ in range(launches):
        centre = 1e6 * factor * math.exp(rng.normal(0, launch_noise))
        result.append(
            [
                centre * math.exp(rng.normal(0, 0.01)) * rng.lognormal(0, 0.05, samples)
                for _ in range(blocks)
            ]
        )
    return result


def width(interval: Interval) -> float:
    return interval.high - interval.low


@pytest.mark.parametrize("q", [1, 50, 90, 99])
def test_percentile_is_that_of_all_samples(q: float) -> None:
    launches = timings(0, launches=3, blocks=4)
    pooled = np.concatenate([block for launch in launches for block in launch])
    interval = percentile_interval(launches, q)
    assert interval.value == np.percentile(pooled, q, method="inverted_cdf")
    assert interval.low < interval.value < interval.high
    assert interval.n == pooled.size


@pytest.mark.parametrize(("q", "rank"), [(0.01, 1), (7, 70), (55, 550), (99.9, 999), (99.99, 1000)])
def test_percentile_has_nearest_rank_when_share_rounds_up(q: float, rank: int) -> None:
    half = np.arange(1.0, 501.0)
    assert percentile_interval([[half, half + 500]], q, resamples=10).value == rank


@pytest.mark.parametrize("q", [0.5, 50, 97, 99.9])
def test_resampled_percentiles_equal_those_of_resamples_built_one_by_one(q: float) -> None:
    rng = np.random.default_rng(1)
    # Rounded, so that samples tie; of different sizes, as cut-off blocks are.
    blocks = [np.sort(rng.lognormal(0, 0.5, size).round(1)) for size in (40, 7, 1, 100)]
    counts = _block_counts((2, 2), 50, seed=0)
    expected = [
        np.percentile(
            np.concatenate([np.tile(b, k) for b, k in zip(blocks, row, strict=True)]),
            q,
            method="inverted_cdf",
        )
        for row in counts
    ]
    pooled = np.sort(np.concatenate(blocks))
    assert _resampled_percentiles(blocks, pooled, counts, q).tolist() == expected


def test_block_counts_draw_whole_launches() -> None:
    counts = _block_counts((2, 3), 2000, seed=0)
    launches = {(int(row[:2].sum()), int(row[2:].sum())) for row in counts}
    assert launches == {(4, 0), (2, 3), (0, 6)}
    assert counts.mean(axis=0) == pytest.approx(np.ones(5), abs=0.1)


def test_percentile_interval_widens_when_one_launch_is_slow() -> None:
    calm = timings(0)
    shifted = [[block * 1.3 for block in calm[0]], *calm[1:]]
    for q in (50, 90):
        assert width(percentile_interval(shifted, q)) > 3 * width(percentile_interval(calm, q))


@pytest.mark.parametrize("apart", [1.5, 2.0, 10.0])
@pytest.mark.parametrize("q", [5, 50, 95])
def test_percentile_interval_stays_above_zero_when_two_launches_differ(
    apart: float, q: float
) -> None:
    """The fault: on a plain scale, nine times as far below the value is below zero."""
    rng = np.random.default_rng(0)
    launches = [[speed * rng.uniform(0.9, 1.1, 50) for _ in range(4)] for speed in (1.0, apart)]
    found = percentile_interval(launches, q)
    assert 0 < found.low <= found.value <= found.high
    # A unit is not part of it, and what is twice as slow has bounds twice as large.
    longer = percentile_interval([[7.0 * block for block in launch] for launch in launches], q)
    assert (longer.low, longer.high) == pytest.approx((7 * found.low, 7 * found.high))


def test_percentile_interval_bears_runs_that_a_clock_calls_zero() -> None:
    launches = [[np.zeros(20), np.full(20, 100.0)], [np.full(20, 100.0), np.full(20, 100.0)]]
    found = percentile_interval(launches, 50)
    assert 0 <= found.low <= found.value <= found.high < np.inf


def test_percentile_interval_has_no_width_when_every_sample_is_the_same() -> None:
    interval = percentile_interval([[np.full(9, 5.0)] * 3] * 2, 50)
    assert (interval.low, interval.value, interval.high) == (5.0, 5.0, 5.0)


def test_percentile_interval_is_unbounded_when_there_is_one_block() -> None:
    one = timings(0, launches=1, blocks=1)
    interval = percentile_interval(one, 50)
    assert (interval.low, interval.high) == (-math.inf, math.inf)


def test_intervals_repeat_when_seed_is_the_same() -> None:
    one = timings(0)
    assert percentile_interval(one, 90) == percentile_interval(one, 90)
    assert percentile_interval(one, 90) != percentile_interval(one, 90, seed=1)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_launch_ratio_excludes_one_when_a_tenth_is_planted(factor: float) -> None:
    interval = launch_ratio(timings(0, launches=12, factor=factor), timings(1, launches=12))
    assert interval.low < factor < interval.high
    assert not interval.low <= 1 <= interval.high
    assert interval.n == 12


def test_launch_ratio_covers_one_when_both_are_the_same_program() -> None:
    rounds = 200
    hits = 0
    for seed in range(rounds):
        interval = launch_ratio(
            timings(2 * seed, launches=6, samples=20), timings(2 * seed + 1, launches=6, samples=20)
        )
        hits += interval.low <= 1 <= interval.high
    assert hits / rounds >= 0.93


def test_launch_ratio_is_unaffected_when_drift_is_common() -> None:
    candidate, reference = timings(0, launches=6), timings(1, launches=6)
    drift = np.random.default_rng(2).uniform(1, 3, (6, 12))

    def drifted(launches: list[list[FloatArray]]) -> list[list[FloatArray]]:
        return [
            [block * by for block, by in zip(launch, row, strict=True)]
            for launch, row in zip(launches, drift, strict=True)
        ]

    before = launch_ratio(candidate, reference)
    after = launch_ratio(drifted(candidate), drifted(reference))
    assert (after.low, after.high) == pytest.approx((before.low, before.high))


@pytest.mark.parametrize(
    "launches",
    [
        [],
        [[]],
        [[np.array([])]],
        [[np.ones((2, 2))]],
        [[np.array([1.0, np.nan])]],
        [[np.ones(3)], []],
    ],
)
def test_intervals_raise_when_timings_are_missing(launches: list[list[FloatArray]]) -> None:
    with pytest.raises(ValueError, match=r"there must be|every block must"):
        percentile_interval(launches, 50)
    with pytest.raises(ValueError, match=r"there must be|every block must"):
        launch_ratio(launches, launches)


@pytest.mark.parametrize("q", [0, 100, -1, math.nan])
def test_percentile_interval_raises_when_q_is_no_percentile(q: float) -> None:
    with pytest.raises(ValueError, match="q must be"):
        percentile_interval(timings(0), q)


def test_launch_ratio_raises_when_sides_differ_or_reference_is_zero() -> None:
    with pytest.raises(ValueError, match="the same launches"):
        launch_ratio(timings(0, blocks=3), timings(0, blocks=4))
    with pytest.raises(ValueError, match="positive"):
        launch_ratio([[np.ones(3)]], [[np.zeros(3)]])


@pytest.mark.parametrize(("level", "resamples"), [(0.0, 10), (0.95, 0)])
def test_intervals_raise_when_settings_are_impossible(level: float, resamples: int) -> None:
    with pytest.raises(ValueError, match=r"level|resamples"):
        percentile_interval(timings(0), 50, level=level, resamples=resamples)


def coverage(launches: int, trials: int = 300) -> float:
    """How often the interval of the median holds the true one, where launches differ by 10 %."""
    hits = 0
    for seed in range(trials):
        found = percentile_interval(
            timings(seed, launches=launches, blocks=4, samples=20, launch_noise=0.1),
            50,
            resamples=400,
        )
        hits += found.low <= 1e6 <= found.high
    return hits / trials


@pytest.mark.parametrize("launches", [3, 5])
def test_percentile_interval_keeps_its_level_when_launches_are_few(launches: int) -> None:
    assert coverage(launches) >= 0.9


def test_percentile_interval_would_not_keep_it_without_the_small_sample_factor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgekit.statistics.launch_intervals._small_sample_factor", lambda *_: 1.0)
    assert coverage(3) < 0.85


def test_launch_ratio_stands_two_wild_launches_of_twelve() -> None:
    reference, candidate = timings(7, launches=12), timings(8, launches=12, factor=1.1)
    calm = launch_ratio(candidate, reference)
    assert 1.08 < calm.low < calm.value < calm.high < 1.12
    wild = [[block * 1.5 for block in launch] for launch in candidate[:2]] + candidate[2:]
    found = launch_ratio(wild, reference)
    assert 1.08 < found.low < found.high < 1.12
    assert found.n == 12


def test_launch_ratio_is_inverted_when_the_sides_are_swapped() -> None:
    left, right = timings(9, launches=9), timings(10, launches=9, factor=1.3)
    found, swapped = launch_ratio(left, right), launch_ratio(right, left)
    assert found.low == pytest.approx(1 / swapped.high)
    assert found.high == pytest.approx(1 / swapped.low)


def test_launch_ratio_is_of_launches_when_whole_launches_shift() -> None:
    shifts = np.random.default_rng(11).uniform(1, 1.5, 12)
    reference, candidate = timings(12, launches=12), timings(13, launches=12, factor=1.1)
    reference, candidate = (
        [[block * shift for block in launch] for launch, shift in zip(side, shifts, strict=True)]
        for side in (reference, candidate)
    )
    found = launch_ratio(candidate, reference)
    assert 1.08 < found.low < found.high < 1.12


def test_launch_ratio_is_unbounded_when_there_are_five_launches() -> None:
    found = launch_ratio(timings(14), timings(15))
    assert (found.low, found.high) == (0.0, math.inf)


def test_launch_ratio_refuses_a_side_without_time() -> None:
    zero, one = [[np.zeros(3)]], [[np.ones(3)]]
    with pytest.raises(ValueError, match="candidate"):
        launch_ratio(zero, one)
    with pytest.raises(ValueError, match="reference"):
        launch_ratio(one, zero)
