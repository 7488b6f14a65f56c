"""Intervals that hold at every moment at once: looked at daily, they err no more often than once.

Of a usual interval of level 95 % that is looked at after every answer, some look sooner or later
excludes the truth. The bounds here hold for all moments together: with probability ``level`` the
truth lies within them from the first answer to the last, so that stopping at any of them is fair.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .interval import MAX_ITEMS, Interval

# Steps of a bisection: to the last bits of a number.
STEPS = 60
# Sum of values, and of their squared distances from the mean.
Mean = tuple[int, float, float]


def proportion_sequence(successes: int, n: int, level: float = 0.95) -> Interval:
    """Compute the interval of a proportion that holds at every n at once.

    It holds the rates under which the likelihood ratio of the beta-binomial mixture with a uniform
    prior stays below 1 / (1 - level): that ratio is a martingale, and Ville's inequality bounds how
    high it ever rises. Exact at every n. Raises ValueError where n < 0 or successes is outside
    0..n.
    Source: Robbins (1970), "Statistical methods related to the law of the iterated logarithm",
    Annals of Mathematical Statistics 41:1397-1409.
    """
    _check(successes, n)
    if not n:
        return Interval(math.nan, 0.0, 1.0, level, 0)
    limit, rate = -math.log1p(-level), successes / n

    def evidence(p: float) -> float:
        return _evidence(successes, n - successes, p)

    low = _crossing(evidence, limit, rate, 0.0)
    high = _crossing(evidence, limit, rate, 1.0)
    return Interval(rate, low, high, level, n)


def difference_sequence(
    before: tuple[float, float], now: tuple[float, float], level: float = 0.95
) -> Interval:
    """Compute the interval of the difference of two independent proportions, now minus before, that
    holds at every moment at once, in whatever order the answers of both come.

    Both are ``(successes, n)``. The product of both mixtures of ``proportion_sequence`` is again a
    martingale under the true pair of rates; the interval holds the differences of all pairs under
    which it stays below 1 / (1 - level). Exact at every n; which of the two answers next may depend
    on all that came before, not on what it will be. ``n`` of the result is of both together.
    Raises ValueError as ``proportion_sequence`` does.
    Source: Robbins (1970); of the product of two, Turner and Grünwald (2023), "Exact anytime-valid
    confidence intervals for contingency tables and beyond", Statistics and Probability Letters
    198:109835; on tests that may be looked at at any time, Johari, Koomen, Pekelis and Walsh
    (2022), "Always valid inference: continuous monitoring of A/B tests", Operations Research
    70:1806-1821.
    """
    for successes, n in (before, now):
        _check(successes, n)
    total = int(before[1] + now[1])
    if not before[1] or not now[1]:
        return Interval(math.nan, -1.0, 1.0, level, total)
    limit = -math.log1p(-level)
    value = now[0] / now[1] - before[0] / before[1]

    def evidence(difference: float) -> float:
        p = _likeliest(before, now, difference)
        return _evidence(before[0], before[1] - before[0], p) + _evidence(
            now[0], now[1] - now[0], min(max(p + difference, 0.0), 1.0)
        )

    low = _crossing(evidence, limit, value, -1.0)
    high = _crossing(evidence, limit, value, 1.0)
    return Interval(value, low, high, level, total)


def answers_to_settle(
    before: tuple[float, float], now: tuple[float, float], level: float = 0.95
) -> int | None:
    """Return how many answers of both together would tell them apart, if rates and shares stay so.

    The number there is where they are told apart already; None where the rates are equal, one has
    no answers, or the number exceeds 10^9.
    """
    if not before[1] or not now[1] or before[0] / before[1] == now[0] / now[1]:
        return None

    def settled(factor: float) -> bool:
        first, second = ((k * factor, n * factor) for k, n in (before, now))
        found = difference_sequence(first, second, level)
        return found.low > 0 or found.high < 0

    total, factor = before[1] + now[1], 1.0
    while not settled(factor):
        factor *= 2
        if factor * total > MAX_ITEMS:
            return None
    below = factor / 2
    for _ in range(10 if factor > 1 else 0):
        middle = (below + factor) / 2
        below, factor = (below, middle) if settled(middle) else (middle, factor)
    return math.ceil(total * factor)


def mean_sequence(values: Mean, level: float = 0.95, at: int = 1000) -> Interval:
    """Compute the interval of a mean of numbers that holds at every moment at once, asymptotically.

    ``values`` are how many there are, their mean, and the sum of squared distances from it. The
    interval is narrowest about n = ``at``. It holds for numbers of any distribution with a
    variance, once there are some hundreds; below 50 there is none.
    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), "Time-uniform central limit
    theory and asymptotic confidence sequences", Annals of Statistics 52:2613-2640.
    """
    n, mean, squares = values
    if n < LEAST:
        return Interval(mean if n else math.nan, -math.inf, math.inf, level, n)
    alpha = 1 - level
    tuned = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / at
    spread = n * tuned + 1
    half = math.sqrt(squares / n) * math.sqrt(
        2 * spread / (n * n * tuned) * math.log(math.sqrt(spread) / alpha)
    )
    return Interval(mean, mean - half, mean + half, level, n)


def mean_difference_sequence(before: Mean, now: Mean, level: float = 0.95) -> Interval:
    """Compute the interval of the difference of two means, now minus before, at every moment.

    Each mean is held at half of what may go wrong, so that both hold together.
    """
    sides = [mean_sequence(one, (1 + level) / 2) for one in (before, now)]
    value = sides[1].value - sides[0].value
    low, high = sides[1].low - sides[0].high, sides[1].high - sides[0].low
    return Interval(value, low, high, level, before[0] + now[0])


# Below this many numbers a variance tells little.
LEAST = 50


def _check(successes: float, n: float) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be within 0..n, got {successes} of {n}")


def _evidence(successes: float, failures: float, p: float) -> float:
    """Return the logarithm of the mixture's likelihood over that of rate ``p``."""
    mixed = math.lgamma(successes + 1) + math.lgamma(failures + 1)
    mixed -= math.lgamma(successes + failures + 2)
    for count, rate in ((successes, p), (failures, 1 - p)):
        if count:
            if rate <= 0:
                return math.inf
            mixed -= count * math.log(rate)
    return mixed


def _likeliest(before: tuple[float, float], now: tuple[float, float], difference: float) -> float:
    """Return the rate before under which both counts are likeliest, given the difference."""
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)

    def slope(p: float) -> float:
        total = 0.0
        for (successes, n), rate in ((before, p), (now, p + difference)):
            failures = n - successes
            total -= successes / max(rate, 1e-300) if successes else 0.0
            total += failures / max(1 - rate, 1e-300) if failures else 0.0
        return total

    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return (low + high) / 2


def _crossing(evidence: Callable[[float], float], limit: float, inside: float, end: float) -> float:
    """Return where a convex function comes above the limit between a point inside and an end."""
    if evidence(end) < limit:
        return end
    outside = end
    for _ in range(STEPS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if evidence(middle) < limit else (inside, middle)
    # The outer one: an interval is never too narrow by a rounding.
    return outside
