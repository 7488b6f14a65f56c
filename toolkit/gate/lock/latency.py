"""A latency of two runs: by the ratio to the reference, or on one machine by the times."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgekit.gate.decision import decide, decide_time
from edgekit.gate.lock.entries import LockedLatency, LockEntry
from edgekit.gate.lock.tolerances import DEFAULT_SLOWDOWN, Tolerances
from edgekit.gate.machine import differences
from edgekit.types import Bound, CheckResult, Measurement, Status


def latency_checks(
    before: LockEntry, now: LockEntry, tolerances: Tolerances, against: str
) -> Iterator[CheckResult]:
    """Yield the check of the latency, where the earlier entry has one."""
    if before.latency is None:
        return
    yield latency_check(before.latency, now, tolerances.slowdown, against, f"{against} latency")


def latency_check(
    before: LockedLatency, now: LockEntry, slowdown: float | None, against: str, name: str
) -> CheckResult:
    """Decide whether a latency keeps a slowdown; where none is stated, whether it is proven
    slower, and by an amount that matters.
    """
    allowed = DEFAULT_SLOWDOWN if slowdown is None else slowdown
    limit = f"at most {100 * allowed:g} % slower than the {against}"

    def result(
        status: Status, message: str, measured: Measurement | None = None, fix: str = ""
    ) -> CheckResult:
        tag, bound = now.tag, Bound(1 + allowed, "ratio")
        kept = "" if status is Status.PASSED else fix
        return CheckResult(
            name,
            tag.candidate,
            tag.target,
            status,
            message,
            limit,
            measured=measured,
            bound=bound,
            fix=kept,
        )

    if now.latency is None:
        message = f"unavailable, because the run was not timed on {before.device}"
        return result(Status.UNAVAILABLE, message)
    change, how = compare_latency(before, now.latency)
    if change.value is None:
        return result(Status.UNAVAILABLE, f"unavailable, because {change.reason}")
    noise = noisier(before.noise, now.latency.noise)
    status, words = decide_time(change, 1 + allowed, noise, f"of the {against}", 1.0)
    if slowdown is None:
        status = _proven_slower(change, noise, allowed)
        words = words.partition(" is too noisy")[0]
    fix = "time it longer or on a quieter machine; state what may be lost: max_slowdown in [lock]"
    if status is Status.FAILED:
        fix = "`edgekit bench --profile` on both files tells which operator got slower"
    return result(status, f"{words}, {how}", change, fix)


def _proven_slower(change: Measurement, noise: Measurement | None, matters: float) -> Status:
    """Fail what is slower by more than the noise and by an amount that matters."""
    if (change.value or 0.0) <= 1 + matters:
        return Status.PASSED
    slower = decide(change, 1.0, noise) is Status.FAILED
    return Status.FAILED if slower else Status.INCONCLUSIVE


def compare_latency(before: LockedLatency, now: LockedLatency) -> tuple[Measurement, str]:
    """Return how many times as long a run takes as an earlier one, and by what that is known."""
    if before.ratio is not None and now.ratio is not None:
        return _quotient(before.ratio, now.ratio), "each against the reference timed beside it"
    other = differences(now.machine, before.machine)
    unknown = not (now.machine and before.machine)
    if other or unknown or before.device != now.device:
        if before.device != now.device:
            other = f"{now.device}, before {before.device}"
        reason = other or "one of the runs does not say on what machine"
        message = f"another machine ({reason}), and no reference was timed beside it on both"
        return Measurement.unavailable("ratio", message), ""
    return _quotient(before.p50, now.p50), "medians on the same machine"


def _quotient(before: Measurement, now: Measurement) -> Measurement:
    """Divide two measurements that are independent; their intervals add up as logarithms."""
    if not before.value or not now.value:
        return Measurement.unavailable("ratio", "a run has no time")
    value = now.value / before.value
    low = _spread(now.value, now.low, before.value, before.high)
    high = _spread(now.value, now.high, before.value, before.low)
    return Measurement(
        value,
        "ratio",
        n=min(now.n or 0, before.n or 0) or None,
        low=None if low is None else value * math.exp(-low),
        high=None if high is None else value * math.exp(high),
        level=0.95,
        tool="intervals of both, Zou and Donner, of logarithms",
    )


def _spread(a: float, bound_of_a: float | None, b: float, bound_of_b: float | None) -> float | None:
    if not bound_of_a or not bound_of_b or bound_of_a <= 0 or bound_of_b <= 0:
        return None
    return math.hypot(math.log(bound_of_a / a), math.log(bound_of_b / b))


def noisier(*noises: Measurement | None) -> Measurement | None:
    """Return the larger of two noises, of those that were measured."""
    known = [noise for noise in noises if noise is not None and noise.value is not None]
    return max(known, key=lambda noise: noise.value or 0.0, default=None)
