"""Score intervals of one proportion and of the difference of two paired proportions."""

from __future__ import annotations

import math
from collections.abc import Callable

from .interval import MAX_ITEMS, Interval, two_sided_z


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Compute Wilson's score interval of a proportion, successes / n.

    Raises ValueError where n < 1 or successes is outside 0..n.
    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference",
    JASA 22:209-212.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be within 0..{n}, got {successes}")
    z2 = two_sided_z(level) ** 2
    rate = successes / n
    centre = (successes + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (n * rate * (1 - rate) + z2 / 4)) / (n + z2)
    # At the ends the bound is exact, and rounding would put it just outside [0, 1] or inside.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(rate, low, high, level, n)


def tango(lost: int, gained: int, n: int, level: float = 0.95) -> Interval:
    """Compute Tango's score interval of a paired difference, positive when worse.

    Of n items answered by both, `lost` are those only the reference had right and `gained` those
    only the candidate had right; the value is (lost - gained) / n.
    Raises ValueError where n < 1, a count is negative or lost + gained > n.
    Source: Tango (1998), "Equivalence test and confidence interval for the difference in
    proportions for the paired-sample design", Statistics in Medicine 17:891-908.
    """
    _check_counts(lost, gained, n)
    low, high = _tango_bounds(lost, gained, n, two_sided_z(level))
    return Interval((lost - gained) / n, low, high, level, n)


def tango_statistic(lost: int, gained: int, n: int, limit: float) -> float:
    """Return Tango's score statistic of a drop against a limit: a standard normal where it holds.

    Above z exactly where the lower bound of `tango` at that level is above the limit. Raises
    ValueError as `items_to_settle` does.
    """
    _check_counts(lost, gained, n)
    if not -1 < limit < 1:
        raise ValueError(f"limit must be between -1 and 1, got {limit}")
    excess = (lost - gained) / n - limit
    spread = _variance(limit, lost / n, gained / n)
    if spread <= 0:
        return 0.0 if excess == 0 else math.copysign(math.inf, excess)
    return excess * math.sqrt(n / spread)


def items_to_settle(
    lost: int, gained: int, n: int, limit: float, level: float = 0.95
) -> int | None:
    """Return the smallest number of items >= n at which Tango's interval decides, were the rates to
    stay.

    It decides where high <= limit or low > limit, limit being the drop allowed, as a fraction. n
    itself where it already does; None where the observed drop equals the limit or the number
    exceeds 10^9.
    Raises ValueError as `tango` does, and where limit is outside (-1, 1).
    """
    _check_counts(lost, gained, n)
    if not -1 < limit < 1:
        raise ValueError(f"limit must be between -1 and 1, got {limit}")
    z = two_sided_z(level)
    distance = abs((lost - gained) / n - limit)
    if distance == 0:
        return None
    # The interval is what the score test does not reject, and at fixed rates the squared score
    # statistic is proportional to the number of items: no search is needed.
    needed = z * z * _variance(limit, lost / n, gained / n) / distance**2
    if needed > max(n, MAX_ITEMS):
        return None
    return max(n, math.ceil(needed))


def _check_counts(lost: int, gained: int, n: int) -> None:
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if lost < 0 or gained < 0:
        raise ValueError(f"counts must not be negative, got lost={lost}, gained={gained}")
    if lost + gained > n:
        raise ValueError(f"lost + gained exceeds n: {lost} + {gained} > {n}")


def _tango_bounds(lost: float, gained: float, n: float, z: float) -> tuple[float, float]:
    """Return the (low, high) of Tango's interval, for real-valued counts."""
    if gained > lost:
        low, high = _tango_bounds(gained, lost, n, z)
        return -high, -low
    z2 = z * z
    # In the two corners the statistic is 0/0 at the estimate; its limits have closed forms.
    if lost == 0:
        bound = z2 / (n + z2)
        return -bound, bound
    if lost == n:
        return (n - z2) / (n + z2), 1.0
    p_lost, p_gained = lost / n, gained / n
    estimate = p_lost - p_gained

    def rejected(delta: float) -> bool:
        return n * (estimate - delta) ** 2 > z2 * _variance(delta, p_lost, p_gained)

    return _bisect(rejected, estimate, -1.0), _bisect(rejected, estimate, 1.0)


def _variance(delta: float, p_lost: float, p_gained: float) -> float:
    """Compute n times the variance of the estimated difference, where the true difference is delta.

    The remaining parameter, q = P(gained), is at its maximum-likelihood value given delta: the
    larger root of A q^2 + B q + C = 0 (Tango 1998, with all coefficients divided by n).
    """
    a = 2.0
    b = (2 - p_lost + p_gained) * delta - p_lost - p_gained
    c = -p_gained * delta * (1 - delta)
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    # Of two equal formulas the one that does not subtract nearly equal numbers.
    q = (root - b) / (2 * a) if b <= 0 else -2 * c / (root + b)
    return 2 * q + delta * (1 - delta)


def _bisect(rejected: Callable[[float], bool], inside: float, outside: float) -> float:
    """Return the point between an accepted and a rejected value where acceptance ends."""
    while True:
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            return middle
        if rejected(middle):
            outside = middle
        else:
            inside = middle
