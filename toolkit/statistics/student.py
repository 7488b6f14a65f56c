"""Student's t distribution for whole degrees of freedom, without what takes long to import."""

from __future__ import annotations

import math

# More are as good as normal, and the sums below as long as this.
MOST = 100_000


def t_tail(t: float, freedom: int) -> float:
    """Return P(T > t), for t at least 0; ValueError where freedom is not a whole number from 1.

    Source: Abramowitz & Stegun (1964), "Handbook of mathematical functions", 26.7.3 and 26.7.4.
    """
    if freedom < 1 or t < 0:
        raise ValueError(f"there is no such tail: t {t}, {freedom} degrees of freedom")
    freedom = min(freedom, MOST)
    angle = math.atan(t / math.sqrt(freedom))
    square = math.cos(angle) ** 2
    odd = freedom % 2 == 1
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for at in range(1 + odd, freedom, 2):
        total += term
        term *= square * at / (at + 1)
    inside = math.sin(angle) * total
    if odd:
        inside = 2 / math.pi * (angle + inside)
    return max(0.0, (1 - inside) / 2)


def t_quantile(share: float, freedom: int) -> float:
    """Return the t with P(T <= t) = share, for shares from 0.5 to below 1."""
    if not 0.5 <= share < 1:
        raise ValueError(f"share must be from 0.5 to below 1, got {share}")
    low, high = 0.0, 1.0
    while t_tail(high, freedom) > 1 - share:
        high *= 2
    # Until there is no number between the two.
    while low < (middle := (low + high) / 2) < high:
        if t_tail(middle, freedom) > 1 - share:
            low = middle
        else:
            high = middle
    return high
