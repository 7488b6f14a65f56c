"""One decision for every check: an interval against a limit, as finely as the host can tell."""

from __future__ import annotations

import math
from dataclasses import replace

from edgekit.statistics import Interval, items_to_settle_scaled
from edgekit.types import Measurement, Status

# More launches than this are not worth advising.
MANY_LAUNCHES = 1000
TIME_UNITS = (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1.0))


def decide(
    measured: Measurement,
    limit: float,
    noise: Measurement | None = None,
    *,
    at_least: bool = False,
) -> Status:
    """Decide whether a measurement keeps a limit: passed, failed, inconclusive or unavailable.

    Passed where the whole interval is at most the limit (or ``at_least`` it), failed where all of
    it is beyond, else inconclusive; a bound that is not there is infinite. ``noise`` is the
    smallest difference that the host can tell, as a share of the value: an interval narrower than
    that on either side counts as that wide, and a value exactly so far from the limit is
    inconclusive. Without it, and with ``at_least``, the interval alone decides. Unavailable where
    either is.
    """
    share = noise.value if noise is not None else 0.0
    if measured.value is None or share is None:
        return Status.UNAVAILABLE
    if at_least:
        return decide(_mirrored(measured), -limit)
    low, high = _bounds(measured)
    if high <= limit and (not share or measured.value * (1 + share) < limit):
        return Status.PASSED
    if low > limit and (not share or measured.value / (1 + share) > limit):
        return Status.FAILED
    return Status.INCONCLUSIVE


def widened(measured: Measurement, noise: Measurement | None) -> Measurement:
    """Return the measurement with an interval at least as wide as the noise of its host."""
    if measured.value is None or noise is None or noise.value is None:
        return measured
    low, high = _bounds(measured)
    return replace(
        measured,
        low=min(low, measured.value / (1 + noise.value)),
        high=max(high, measured.value * (1 + noise.value)),
    )


def time_unit(limit: float) -> tuple[str, float]:
    """Return the unit that a limit in nanoseconds is written in, and how many of them it is."""
    return next(((unit, scale) for unit, scale in TIME_UNITS if limit >= scale), TIME_UNITS[-1])


def decide_time(
    measured: Measurement, limit: float, noise: Measurement | None, unit: str, scale: float
) -> tuple[Status, str]:
    """Decide on a time or a ratio of times; its interval in units of ``scale``, and why, in words.

    The one writing of a latency budget: the commands that judge by one differ in who measured.
    """
    status = decide(measured, limit, noise)
    if measured.value is None or status is Status.UNAVAILABLE:
        reason = measured.reason or (noise.reason if noise else "") or "nothing was timed"
        return status, f"unavailable, because {reason}"
    low, high = _bounds(widened(measured, noise))
    interval = f"{measured.value / scale:.4g} {unit} [{low / scale:.4g}, {high / scale:.4g}]"
    if status is Status.INCONCLUSIVE:
        interval += " is too noisy to decide: measure longer, or on a quieter device"
    return status, interval


def settle(ratio: Measurement, limit: float, noise: Measurement) -> str:
    """Say what would settle an inconclusive ratio of two models; empty where it is settled."""
    if decide(ratio, limit, noise) is not Status.INCONCLUSIVE:
        return ""
    if ratio.value is None or ratio.low is None or ratio.high is None or noise.value is None:
        return "the ratio has no interval: time more launches"
    made = ratio.n or 1
    if decide(ratio, limit) is not Status.INCONCLUSIVE:
        seen = (
            f"a model differs from itself by up to {noise.value:.2%} here, the budget is"
            f" {limit - 1:.2%}"
        )
        apart = abs(limit / ratio.value - 1)
        needed = math.ceil(made * (noise.value / apart) ** 2) + 1 if apart else None
        return f"{seen}: {_more(needed, made)}"
    between = f"the ratio is between {ratio.low:.3f} and {ratio.high:.3f}, its limit {limit:g}"
    interval = Interval(ratio.value, ratio.low, ratio.high, ratio.level or 0.95, made)
    return f"{between}: {_more(items_to_settle_scaled(interval, limit), made)}"


def _more(needed: int | None, made: int) -> str:
    if needed is None or needed > MANY_LAUNCHES:
        return "only a quieter host settles it, or a wider budget"
    return f"about {needed} launches would settle it ({made} were timed), or a quieter host"


def _bounds(measured: Measurement) -> tuple[float, float]:
    """Return the interval's ends; one that the data do not give is infinite."""
    low = measured.low if measured.low is not None else -math.inf
    return low, measured.high if measured.high is not None else math.inf


def _mirrored(measured: Measurement) -> Measurement:
    low, high = _bounds(measured)
    return replace(measured, value=-(measured.value or 0.0), low=-high, high=-low)
