"""A/A calibration: what a model differs from itself by, on a host, now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.evaluation.latency import LAUNCHES, SECONDS, least_launches, noise_floor, paired
from edgekit.evaluation.launches import SHORT_BLOCKS, Progress, Timed, clock_of, collect
from edgekit.targets.devices.transport import Transport
from edgekit.types import Measurement, Preprocess


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
