"""A latency of two runs: of one network, beside the lock's file, by ratios, or by the times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.gate.decision import decide, decide_time, widened
from edgekit.gate.lock.entries import LockedLatency, LockEntry
from edgekit.gate.lock.tolerances import DEFAULT_SLOWDOWN, Tolerances
from edgekit.gate.machine import differences
from edgekit.types import Bound, CheckResult, Measurement, Status

# A file's own times differ by so much from one run to another, beyond what either run can see of
# itself: the host has another clock or other work by then. docs/lock.md has the measurements. A
# SavedModel's runtime uses all cores, and what it gets of them differs most.
BETWEEN_RUNS, BETWEEN_RATIOS_TO_SAVED_MODELS = 1.0, 9.0
# What runs a reference that is a .tflite file, alone on one core.
LITERT = "litert"
QUIETER = "time it longer or on a quieter machine; state what may be lost: max_slowdown in [lock]"
KEEP = (
    "two runs tell no less than that: let the lock's file be timed beside it, from .edgekit/store"
    " of the run that was locked (keep that folder in CI)"
)
COMPARE = (
    "two runs tell no less than that: `edgekit compare` of both files with --latency times them in"
    " turns"
)
SAME = "the same network on the same runtime"
SLOWER = "`edgekit bench --profile` on both files tells which operator got slower"


@dataclass(frozen=True)
class Change:
    """How many times as long a run takes as before, how finely that can be told, and by what.

    ``own`` is the noise that the runs saw of themselves, without what lies between them.
    """

    measured: Measurement
    noise: Measurement | None = None
    how: str = ""
    own: Measurement | None = None
    in_one_run: bool = False


def latency_checks(
    before: LockEntry, now: LockEntry, tolerances: Tolerances, against: str
) -> Iterator[CheckResult]:
    """Yield the check of the latency, where the earlier entry has one."""
    if before.latency is None:
        return
    yield latency_check(before, now, tolerances.slowdown, against, f"{against} latency")


def latency_check(
    before: LockEntry, now: LockEntry, slowdown: float | None, against: str, name: str
) -> CheckResult:
    """Decide whether a latency keeps a slowdown; where none is stated, whether it is proven
    slower, and by an amount that matters. The same network cannot have become slower.
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

    if before.latency is None or now.latency is None:
        device = before.latency.device if before.latency else "this host"
        message = f"unavailable, because the run was not timed on {device}"
        return result(Status.UNAVAILABLE, message)
    change = compare_latency(before, now)
    if is_same(before, now):
        ratio = change.measured.value
        seen = f", {ratio:.2f} times the {against}'s," if ratio else ""
        message = f"{SAME}: its time{seen} is of the host"
        return result(Status.PASSED, message)
    if change.measured.value is None:
        return result(Status.UNAVAILABLE, f"unavailable, because {change.measured.reason}")
    status, words, noise = _decided(change, slowdown, f"times the {against}'s time")
    fix = SLOWER
    if status is not Status.FAILED:
        apart = KEEP if against == "lock" else COMPARE
        fix = QUIETER if change.in_one_run else apart
    return result(status, f"{words}, {change.how}", widened(change.measured, noise), fix)


def _decided(
    change: Change, slowdown: float | None, unit: str
) -> tuple[Status, str, Measurement | None]:
    """Decide on a change; why, in words; and the noise that it was decided with.

    A stated slowdown is kept where the runs' own intervals lie within it, as of one run. It is
    what is red that must not come of what lies between two runs.
    """
    allowed, noise = DEFAULT_SLOWDOWN if slowdown is None else slowdown, change.noise
    if slowdown is not None and decide(change.measured, 1 + allowed, change.own) is Status.PASSED:
        noise = change.own
    status, words = decide_time(change.measured, 1 + allowed, noise, unit, 1)
    if slowdown is None:
        status = proven_slower(change.measured, noise, allowed)
        words = words.partition(" is too noisy")[0]
    return status, words, noise


def is_same(before: LockEntry, now: LockEntry) -> bool:
    """Tell whether one network was timed by one runtime on one device: names and metadata of a
    file, which differ, take no time.
    """
    if not before.semantic_hash or before.semantic_hash != now.semantic_hash:
        return False
    if before.latency is None or now.latency is None:
        return False
    runtimes = {before.latency.runtime, now.latency.runtime} - {""}
    return before.latency.device == now.latency.device and len(runtimes) < 2


def proven_slower(
    change: Measurement, noise: Measurement | None, matters: float = DEFAULT_SLOWDOWN
) -> Status:
    """Fail what is slower by more than the noise and by an amount that matters."""
    if (change.value or 0.0) <= 1 + matters:
        return Status.PASSED
    slower = decide(change, 1.0, noise) is Status.FAILED
    return Status.FAILED if slower else Status.INCONCLUSIVE


def decides_slowdown(ratio: Measurement, noise: Measurement | None, slowdown: float | None) -> bool:
    """Tell whether more launches would change nothing of a ratio to the lock's file."""
    if slowdown is None:
        return proven_slower(ratio, noise) is not Status.INCONCLUSIVE
    return decide(ratio, 1 + slowdown, noise) is not Status.INCONCLUSIVE


def compare_latency(before: LockEntry, now: LockEntry) -> Change:
    """Return how many times as long a run takes as an earlier one, and by what that is known."""
    earlier, later = before.latency, now.latency
    if earlier is None or later is None:
        return Change(Measurement.unavailable("ratio", "a run has no time"))
    for digest in (earlier.sha256, before.sha256):
        if digest in later.beside and later.beside[digest].value:
            how = "its file timed beside this one in the same launches"
            return Change(later.beside[digest], later.noise, how, later.noise, in_one_run=True)
    own = noisier(earlier.noise, later.noise)
    other = _another_machine(earlier, later)
    if earlier.ratio is not None and later.ratio is not None:
        files = earlier.reference == later.reference == LITERT
        if files or other:
            between = BETWEEN_RUNS if files else BETWEEN_RATIOS_TO_SAVED_MODELS
            ratio, how = _quotient(earlier.ratio, later.ratio), "in two runs, each of a reference"
            return Change(ratio, noisier(own, Measurement(between, "1")), how, own)
    if other:
        message = f"another machine ({other}), and no reference was timed beside it on both"
        return Change(Measurement.unavailable("ratio", message))
    exact = _is_exact(earlier.p50) and _is_exact(later.p50)
    noise = own if exact else noisier(own, Measurement(BETWEEN_RUNS, "1"))
    how = "medians of two runs on one machine"
    return Change(_quotient(earlier.p50, later.p50), noise, how, own)


def _another_machine(earlier: LockedLatency, later: LockedLatency) -> str:
    """Tell what the machines of two latencies differ in; empty where it is one."""
    if earlier.device != later.device:
        return f"{later.device}, before {earlier.device}"
    if not (later.machine and earlier.machine):
        return "one of the runs does not say on what machine"
    return differences(later.machine, earlier.machine)


def _is_exact(measured: Measurement) -> bool:
    """Tell whether every launch gave the same, as where a device counts cycles."""
    return measured.value is not None and measured.low == measured.value == measured.high


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
