"""A two-sided confidence interval and what every method in this room needs to build one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from edgekit.types import Measurement

#: Beyond this many items "measure more" is not worth advising.
MAX_ITEMS = 10**9


@dataclass(frozen=True, slots=True)
class Interval:
    """A point estimate with a two-sided confidence interval, in the unit of the estimate.

    `level` is the nominal coverage in (0, 1) and `n` the number of observations the estimate rests
    on. Bounds are -inf and +inf where the data cannot bound the estimate, so that a comparison of
    a bound with any limit is inconclusive rather than passed.
    """

    value: float
    low: float
    high: float
    level: float
    n: int

    def measurement(self, unit: str, tool: str) -> Measurement:
        """Return the estimate as a measurement; an infinite bound is absent, as in JSON."""
        low, high = (bound if math.isfinite(bound) else None for bound in (self.low, self.high))
        return Measurement(
            self.value, unit, n=self.n, low=low, high=high, level=self.level, tool=tool
        )


def unbounded(value: float, level: float, n: int) -> Interval:
    """Return the interval of an estimate whose uncertainty the data do not show."""
    return Interval(value, -math.inf, math.inf, level, n)


def two_sided_z(level: float) -> float:
    """Return the standard normal quantile z with P(|Z| <= z) = level; ValueError outside (0, 1)."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    # Not scipy: importing it costs more than everything else a caller of this may do.
    return NormalDist().inv_cdf((1 + level) / 2)


def items_to_settle_scaled(interval: Interval, limit: float) -> int | None:
    """Return the smallest n >= interval.n at which the interval decides, its half widths ~
    1/sqrt(n).

    It decides where high <= limit or low > limit. interval.n where it already does; None where
    the value equals the limit, a bound needed is infinite or the number exceeds 10^9.
    Raises ValueError where the limit is not finite.
    """
    if not math.isfinite(limit):
        raise ValueError(f"limit must be finite, got {limit}")
    if interval.high <= limit or interval.low > limit:
        return interval.n
    if interval.value == limit:
        return None
    below = interval.value < limit
    half = interval.high - interval.value if below else interval.value - interval.low
    needed = interval.n * (half / (interval.value - limit)) ** 2
    if needed > MAX_ITEMS:
        return None
    # A bound may touch the limit from below, not from above.
    return max(interval.n, math.ceil(needed) if below else math.floor(needed) + 1)
