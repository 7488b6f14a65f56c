"""Bootstrap: against scipy, its coverage, and what it says where resamples say nothing."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

from edgekit.statistics import (
    Interval,
    bca_mean,
    bootstrap_statistic,
    constant_mean,
    items_to_settle_scaled,
)

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]


def skewed(n: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).exponential(size=n)


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("sign", [1, -1])
def test_bca_mean_equals_scipy(level: float, sign: int) -> None:
    scores = sign * skewed(40)
    ours = bca_mean(scores, level=level, resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (scores,), np.mean, n_resamples=20_000, confidence_level=level, random_state=1
    ).confidence_interval
    # The percentile interval of these scores is off by three times this.
    tolerance = 0.02 * (theirs.high - theirs.low)
    assert ours.low == pytest.approx(theirs.low, abs=tolerance)
    assert ours.high == pytest.approx(theirs.high, abs=tolerance)
    assert (ours.value, ours.level, ours.n) == (scores.mean(), level, 40)


def test_bca_mean_covers_nominally() -> None:
    rounds = 300
    hits = 0
    for seed in range(rounds):
        interval = bca_mean(skewed(100, seed), resamples=500)
        hits += interval.low <= 1.0 <= interval.high
    assert 0.90 <= hits / rounds <= 0.98


def test_bca_mean_repeats_when_seed_is_the_same() -> None:
    assert bca_mean(skewed(30)) == bca_mean(skewed(30))
    assert bca_mean(skewed(30)) != bca_mean(skewed(30), seed=1)


@pytest.mark.parametrize("scores", [[0.0] * 50, [0.1] * 7, [-0.3]])
def test_bca_mean_is_unbounded_when_scores_have_no_spread(scores: list[float]) -> None:
    interval = bca_mean(np.array(scores))
    assert interval.value == pytest.approx(scores[0])
    assert (interval.low, interval.high, interval.n) == (-math.inf, math.inf, len(scores))


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_bca_mean_scales_with_its_scores(scale: float) -> None:
    one, scaled = bca_mean(skewed(30)), bca_mean(skewed(30) * scale)
    assert scaled.low == pytest.approx(one.low * scale)
    assert scaled.high == pytest.approx(one.high * scale)


@pytest.mark.parametrize("scores", [np.empty(0), np.zeros((3, 2)), np.array([0.0, np.nan])])
def test_bca_mean_raises_when_scores_are_no_sample(scores: FloatArray) -> None:
    with pytest.raises(ValueError, match="scores must be"):
        bca_mean(scores)


def test_bca_mean_stays_below_100_mb_when_items_are_many() -> None:
    scores = skewed(100_000)
    tracemalloc.start()
    bca_mean(scores, resamples=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_bootstrap_statistic_agrees_with_bca_when_statistic_is_a_mean() -> None:
    scores = np.random.default_rng(0).normal(size=200)
    ours = bootstrap_statistic(lambda items: float(scores[items].mean()), 200, resamples=4000)
    bca = bca_mean(scores, resamples=4000)
    assert ours.value == pytest.approx(bca.value)
    assert (ours.low, ours.high) == pytest.approx((bca.low, bca.high), abs=0.02)


def auc(labels: IndexArray, scores: FloatArray) -> float:
    positive, negative = scores[labels == 1], scores[labels == 0]
    if not positive.size or not negative.size:
        return math.nan
    return float((positive[:, None] > negative[None, :]).mean())


@pytest.mark.parametrize(("positives", "bounded"), [(20, True), (3, True), (1, False)])
def test_bootstrap_statistic_is_unbounded_when_a_class_is_often_missing(
    positives: int, bounded: bool
) -> None:
    # 3 positives are all missed by 5 % of the resamples, 1 by 37 %.
    labels = (np.arange(60) < positives).astype(np.int64)
    scores = np.random.default_rng(0).normal(size=60) + 0.8 * labels
    interval = bootstrap_statistic(lambda items: auc(labels[items], scores[items]), 60)
    assert math.isfinite(interval.low) == math.isfinite(interval.high) == bounded
    assert interval.low <= interval.value <= interval.high


@pytest.mark.parametrize("n", [1, 40])
def test_bootstrap_statistic_is_unbounded_when_resamples_have_no_spread(n: int) -> None:
    interval = bootstrap_statistic(lambda items: 1.0 if items.size else 0.0, n, resamples=50)
    assert (interval.value, interval.low, interval.high) == (1.0, -math.inf, math.inf)


def test_bootstrap_statistic_raises_when_it_is_undefined() -> None:
    with pytest.raises(ValueError, match="n must be"):
        bootstrap_statistic(lambda _: 0.0, 0)
    with pytest.raises(ValueError, match="finite"):
        bootstrap_statistic(lambda _: math.nan, 10)


@pytest.mark.parametrize(("level", "resamples"), [(1.5, 100), (0.95, 0)])
def test_bootstrap_raises_when_settings_are_impossible(level: float, resamples: int) -> None:
    with pytest.raises(ValueError, match=r"level|resamples"):
        bca_mean(skewed(9), level=level, resamples=resamples)
    with pytest.raises(ValueError, match=r"level|resamples"):
        bootstrap_statistic(lambda _: 0.0, 9, level=level, resamples=resamples)


def scaled_to(interval: Interval, n: int) -> tuple[float, float]:
    shrink = math.sqrt(interval.n / n)
    value = interval.value
    return value - (value - interval.low) * shrink, value + (interval.high - value) * shrink


@pytest.mark.parametrize("limit", [0.004, 0.0, 0.012, -0.005, 0.029])
def test_items_to_settle_scaled_is_the_smallest_that_decides(limit: float) -> None:
    interval = Interval(0.01, -0.01, 0.03, 0.95, 200)
    n = items_to_settle_scaled(interval, limit)
    assert n is not None
    low, high = scaled_to(interval, n)
    assert high <= limit or low > limit
    low, high = scaled_to(interval, n - 1)
    assert low <= limit < high


def test_items_to_settle_scaled_excludes_the_limit_when_the_lower_bound_would_touch_it() -> None:
    assert items_to_settle_scaled(Interval(1.0, -1.0, 3.0, 0.95, 100), 0.0) == 401
    assert items_to_settle_scaled(Interval(1.0, -1.0, 3.0, 0.95, 100), 2.0) == 400


@pytest.mark.parametrize("limit", [0.03, 0.5, -0.02])
def test_items_to_settle_scaled_is_n_when_already_decided(limit: float) -> None:
    assert items_to_settle_scaled(Interval(0.01, -0.01, 0.03, 0.95, 200), limit) == 200


@pytest.mark.parametrize(
    ("interval", "limit"),
    [
        (Interval(0.01, -0.01, 0.03, 0.95, 200), 0.01),
        (Interval(0.01, -0.01, 0.03, 0.95, 200), 0.01 + 1e-9),
        (Interval(0.0, -math.inf, math.inf, 0.95, 200), 0.01),
    ],
)
def test_items_to_settle_scaled_is_none_when_no_number_would(
    interval: Interval, limit: float
) -> None:
    assert items_to_settle_scaled(interval, limit) is None


def test_items_to_settle_scaled_raises_when_limit_is_not_finite() -> None:
    with pytest.raises(ValueError, match="limit"):
        items_to_settle_scaled(Interval(0.0, -1.0, 1.0, 0.95, 10), math.nan)


@pytest.mark.parametrize(("n", "share"), [(1, 0.975), (50, 0.0711), (558, 0.00659)])
def test_equal_scores_bound_what_others_may_score(n: int, share: float) -> None:
    """With so large a share of others, n items without one come up in 2.5 % of samples."""
    assert (1 - share) ** n == pytest.approx(0.025, rel=0.02)
    alike = constant_mean(0.0, n, low=-1.0, high=1.0)
    assert (alike.low, alike.high) == pytest.approx((-share, share), rel=0.01)
    right = constant_mean(1.0, n, low=0.0, high=1.0)
    assert (right.low, right.high) == (pytest.approx(1 - share, abs=1e-4), 1.0)
    with pytest.raises(ValueError, match="does not lie within"):
        constant_mean(1.5, n, low=0.0, high=1.0)
