"""How far two samples in the same bins lie apart, and how much of that chance alone explains.

The population stability index is Jeffreys' divergence of the bins' shares. Between samples of one
population, n and m large, it is distributed as a chi-square of (bins - 1) degrees of freedom times
(1/n + 1/m); between populations that differ by an index d it is non-central, with d / (1/n + 1/m)
as the parameter. So its size alone says nothing without n and m: the interval does.

Source: Yurdakul, "Statistical Properties of Population Stability Index", Western Michigan
University, 2018. Checked by simulation in ``benchmarks/monitoring.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
# Jeffreys' prior: an empty bin is not proof that nothing falls into it.
PRIOR = 0.5
# Classes that so few items are expected in are taken together: chi-square is off below.
FEWEST_EXPECTED = 5
MOST_ITEMS = 10**7
# From here on scipy's inverse of the non-central chi-square is slow, or in older releases none.
LARGE = 5000


@dataclass(frozen=True)
class Divergence:
    """What two samples differ by, ``value``, without what chance adds to it: ``raw`` has that too.

    Between ``low`` and ``high`` lies what their populations differ by, each bound by itself at
    ``level``; ``high`` is never less than that of samples as alike as chance lets them be on
    average. ``freedom`` is the degrees of freedom, ``spread`` 1/n + 1/m.
    """

    raw: float
    value: float
    low: float
    high: float
    level: float
    freedom: int
    spread: float

    def p(self, limit: float) -> float:
        """Return the probability of so much, or more, where the populations differ by ``limit``."""
        return _upper(self.raw / self.spread, self.freedom, limit / self.spread)


def psi(reference: Counts, batch: Counts) -> float:
    """Return the population stability index of two samples' counts in the same bins."""
    p, q = _share(reference), _share(batch)
    return float(((q - p) * np.log(q / p)).sum())


def stability(reference: Counts, batch: Counts, level: float = 0.95) -> Divergence:
    """Compare two samples by the population stability index. Raises ValueError without items."""
    kept = reference + batch > 0
    reference, batch = reference[kept], batch[kept]
    n, m = _totals(reference, batch)
    if len(reference) == 1:
        # All in one bin: no more than this share of the batch lies elsewhere.
        elsewhere = 1 - (1 - level) ** (1 / n)
        expected = PRIOR / (m + 1)
        high = elsewhere * math.log(max(elsewhere / expected, 1.0))
        return Divergence(0.0, 0.0, 0.0, high, level, 0, 1 / n + 1 / m)
    return _interval(psi(reference, batch), len(reference) - 1, 1 / n + 1 / m, level)


def balance(reference: Counts, batch: Counts, level: float = 0.95) -> Divergence:
    """Compare two samples of classes by Pearson's chi-square, on the index's scale.

    Rare classes are taken together. Raises ValueError without items.
    """
    from scipy.stats import chi2_contingency

    n, m = _totals(reference, batch)
    share = (reference + batch) / (n + m)
    rare = share * min(n, m) < FEWEST_EXPECTED
    table = np.array([reference, batch], np.float64)
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return stability(reference, batch, level)
    found = chi2_contingency(table, correction=False)
    spread = 1 / n + 1 / m
    return _interval(float(found.statistic) * spread, int(found.dof), spread, level)


def binned_ks(reference: Counts, batch: Counts) -> float:
    """Return the Kolmogorov-Smirnov distance at the bins' edges: the samples' own is no less."""
    p, q = reference / reference.sum(), batch / batch.sum()
    return float(np.abs(np.cumsum(q - p)).max())


def ks_p(distance: float, n: int, m: int, limit: float) -> float:
    """Return at most which probability so large a distance has, where that of the populations is
    ``limit``.

    What it is beyond the limit is no more than what chance adds, by the triangle inequality; and
    the distance at the edges is no more than that of the samples: conservative twice.
    """
    from scipy.stats import kstwobign

    return float(kstwobign.sf(max(0.0, distance - limit) * math.sqrt(n * m / (n + m))))


def ks_of_shift(index: float) -> float:
    """Return the Kolmogorov-Smirnov distance of two normal populations that lie so far apart that
    their population stability index is ``index``.
    """
    from scipy.stats import norm

    return float(2 * norm.cdf(math.sqrt(index) / 2) - 1)


def items_to_pass(divergence: Divergence, limit: float, m: int) -> int | None:
    """Return how many items of such a batch would prove that it is within the limit.

    None where no number would: it is not within, or the reference has too few items.
    """
    n = 1
    while n <= MOST_ITEMS:
        spread = 1 / n + 1 / m
        expected = max(divergence.freedom, 1) + divergence.value / spread
        if (
            _noncentrality(expected, max(divergence.freedom, 1), 1 - divergence.level) * spread
            <= limit
        ):
            return n
        n = math.ceil(n * 1.25)
    return None


def _interval(raw: float, freedom: int, spread: float, level: float) -> Divergence:
    scaled = raw / spread
    low = _noncentrality(scaled, freedom, level) * spread
    # Less than chance alone gives is luck, and proves nothing: few items would pass by it.
    high = _noncentrality(max(scaled, freedom), freedom, 1 - level) * spread
    value = min(max(raw - freedom * spread, low), high)
    return Divergence(raw, value, low, high, level, freedom, spread)


def _noncentrality(x: float, freedom: int, p: float) -> float:
    """Return the parameter at which a non-central chi-square is at most ``x`` with probability
    ``p``; 0 where it is less even for none.
    """
    from scipy.optimize import brentq
    from scipy.special import chndtrinc
    from scipy.stats import chi2

    if chi2.cdf(x, freedom) <= p:
        return 0.0
    if x < LARGE:
        return float(chndtrinc(x, freedom, p))
    wide = x + freedom + 40 * math.sqrt(x + freedom) + 40
    return float(brentq(lambda nc: 1 - _upper(x, freedom, nc) - p, 0.0, wide, xtol=1e-6))


def _upper(x: float, freedom: int, parameter: float) -> float:
    """Return the probability that a non-central chi-square is at least ``x``."""
    from scipy.stats import chi2, ncx2, norm

    if freedom < 1:
        return 1.0
    if parameter <= 0:
        return float(chi2.sf(x, freedom))
    if parameter > 2 * LARGE:
        # The series of the exact one no longer sums: Sankaran's cube root is as good by then.
        mean = freedom + parameter
        h = 1 - 2 * mean * (freedom + 3 * parameter) / (3 * (freedom + 2 * parameter) ** 2)
        ratio = (freedom + 2 * parameter) / mean**2
        centre = 1 + h * (h - 1) * ratio * (1 - (2 - h) * (1 - 3 * h) * ratio / 2)
        scale = h * math.sqrt(2 * ratio * (1 + (1 - h) * (1 - 3 * h) * ratio / 2))
        return float(norm.sf(((x / mean) ** h - centre) / scale))
    return min(1.0, max(0.0, float(ncx2.sf(x, freedom, parameter))))


def _share(counts: Counts) -> npt.NDArray[np.float64]:
    smoothed: npt.NDArray[np.float64] = counts + PRIOR
    total: float = smoothed.sum()
    return smoothed / total


def _totals(reference: Counts, batch: Counts) -> tuple[int, int]:
    n, m = int(batch.sum()), int(reference.sum())
    if not n or not m:
        raise ValueError("there are no items to compare")
    return n, m
