"""A/A calibration, and the three-valued verdict on a latency ratio that rests on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.evaluation.latency import LAUNCHES, SECONDS, least_launches, noise_floor, paired
from edgekit.evaluation.launches import SHORT_BLOCKS, Progress, Timed, clock_of, collect
from edgekit.statistics import Interval, items_to_settle_scaled
from edgekit.targets.devices.transport import Transport
from edgekit.types import Measurement, Preprocess, Status

# More launches than this are no advice.
MANY = 1000


@dataclass(frozen=True)
class Calibration:
    """What two copies of one model in the same launches differ by, on this host, now.

    ``smallest`` is the smallest difference that can be seen, as a fraction; ``ratio`` is of the
    copies, 1 within its interval as a rule.
    """

    smallest: Measurement
    ratio: Measurement
    launches: int
    seconds: float


def calibrate(
    timed: Timed, inputs: Mapping[str, Path], index: Path, preprocess: Preprocess, *,
    local: Transport, progress: Progress, launches: int = LAUNCHES, limit: float = SECONDS,
    apart: bool = False,
) -> Calibration:  # fmt: skip
    """Measure a model against itself over fresh launches.

    ``apart`` gives the copies a process each, as models on two runtimes have. There are fewer
    launches, but not below six, where they would take longer than ``limit`` seconds. Raises
    ValueError where six are not allowed, and what :func:`collect` raises.
    """
    least = least_launches(launches)
    clock = clock_of(local, [timed])
    begin = clock()
    twin = replace(timed, id=f"{timed.id} again")
    samples = collect(
        local, [timed, twin], inputs, index, preprocess, launches, progress, SHORT_BLOCKS,
        apart=(twin.id,) if apart else (), seconds=limit, least=least,
    )  # fmt: skip
    ratio = paired(samples, twin.id, timed.id)
    seconds = clock() - begin
    return Calibration(noise_floor(ratio), ratio, len(samples[timed.id]), seconds)


def decide(ratio: Measurement, floor: Measurement, budget: float) -> Status:
    """Whether a ratio keeps within 1 + budget, a fraction such as 0.05.

    Failed where its lower bound is over 1 + the larger of budget and floor. Passed where its upper
    bound is at most 1 + budget, and the floor is below the budget or the upper bound below
    1 / (1 + floor): faster by more than noise. Else inconclusive; unavailable where either is.
    """
    if ratio.how == "unavailable" or floor.value is None:
        return Status.UNAVAILABLE
    if ratio.low is None or ratio.high is None:
        return Status.INCONCLUSIVE
    if ratio.low > 1 + max(budget, floor.value):
        return Status.FAILED
    visible = floor.value < budget or ratio.high < 1 / (1 + floor.value)
    return Status.PASSED if ratio.high <= 1 + budget and visible else Status.INCONCLUSIVE


def settle(ratio: Measurement, floor: Measurement, budget: float) -> str:
    """What would settle an inconclusive ratio, in a sentence; empty where it is settled."""
    if decide(ratio, floor, budget) is not Status.INCONCLUSIVE:
        return ""
    if ratio.value is None or ratio.low is None or ratio.high is None or floor.value is None:
        return "the ratio has no interval: time more launches"
    made = ratio.n or 1
    if floor.value >= budget:
        seen = (
            f"a model differs from itself by up to {floor.value:.2%} here, the budget is"
            f" {budget:.2%}"
        )
        needed = math.ceil(made * (floor.value / budget) ** 2) + 1 if budget > 0 else MANY + 1
        return f"{seen}: {_more(needed, made)}"
    between = f"the ratio is between {ratio.low:.3f} and {ratio.high:.3f}, its limit {1 + budget:g}"
    interval = Interval(ratio.value, ratio.low, ratio.high, ratio.level or 0.95, made)
    return f"{between}: {_more(items_to_settle_scaled(interval, 1 + budget), made)}"


def _more(needed: int | None, made: int) -> str:
    if needed is None or needed > MANY:
        return "only a quieter host settles it, or a wider budget"
    return f"about {needed} launches would settle it ({made} were timed), or a quieter host"
