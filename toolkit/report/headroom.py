"""How far a check is from its limit, in words."""

from __future__ import annotations

from edgekit.report import words
from edgekit.types import CheckResult, Measurement

BYTES, TIME, SHARE = "byte", "ns", "1"


def headroom(check: CheckResult) -> str:
    """Say how much of its limit a check takes, and how much is left, or how far it is over.

    Empty where there is no figure, or no limit as a number: "27.7 kB of 150 kB (82 % left)".
    """
    measured, bound = check.measured, check.bound
    if measured is None or measured.value is None or bound is None:
        return ""
    value, limit = measured.value, bound.value
    apart = value - limit if bound.at_least else limit - value
    of = "where at least" if bound.at_least else "of"
    # 150,001 bytes of 150 kB must not read "150.0 kB of 150.0 kB".
    near = apart != 0 and abs(apart) < 100
    figures = [_figure(number, bound.unit, check, near) for number in (value, limit)]
    shown = f" {of} ".join(figures)
    if apart == 0:
        return f"{shown} (nothing left)"
    side = "left" if apart > 0 else "short" if bound.at_least else "over"
    if bound.unit not in (BYTES, TIME) or limit <= 0:
        return f"{shown} ({_figure(abs(apart), bound.unit, check)} {side})"
    share = 100 * abs(apart) / limit
    # What is over by less than a per cent is not over by nothing.
    exact = f"{share:.0f} %" if share >= 1 else _figure(abs(apart), bound.unit, check)
    return f"{shown} ({exact} {side})"


def _figure(value: float, unit: str, check: CheckResult, exactly: bool = False) -> str:
    if unit == BYTES:
        return words.exact(value) if exactly else words.size(value)
    if unit == TIME:
        return words.duration(Measurement(value, unit))
    for scale in ("points", "%"):
        # The limit's own words say how its unit is written.
        if unit == SHARE and scale in check.limit:
            return f"{value * 100:.4g} {scale}"
    return words.number(value, 4) + (f" {unit}" if unit not in (SHARE, "output") else "")
