"""Latency: percentiles of each model, and the paired ratios that compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit import statistics
from edgekit.evaluation.launches import (
    LONG_BLOCKS,
    SHORT_BLOCKS,
    Progress,
    Samples,
    Timed,
    clock_of,
    collect,
)
from edgekit.targets.devices.transport import Transport
from edgekit.types import Json, Latency, Measurement, Preprocess

__all__ = [
    "LAUNCHES",
    "REFERENCE",
    "SECONDS",
    "LatencyComparison",
    "Timed",
    "collect",
    "compare_latency",
    "least_launches",
    "noise_floor",
    "paired",
    "protocol",
    "ratio",
    "summarize",
]

REFERENCE = "reference"
# The least at which the interval stands two launches gone wrong on either side.
LAUNCHES = 12
# After so long a slow model gets fewer launches.
SECONDS = 60.0
# Percentiles are beside the point of a comparison, which should take seconds.
RESAMPLES = 500

Launches = Sequence[Sequence[npt.NDArray[np.float64]]]


@dataclass(frozen=True)
class LatencyComparison:
    """The latency of side ``id`` against the first side's, ``reference``.

    ``ratio`` (unit 1, below 1 is faster) and ``floor``, the smallest difference that this host
    shows in the same launches between two copies of the first side, as a fraction; ``launches``
    that both rest on, and the ``seconds`` they took, of all sides together.
    """

    id: str
    ratio: Measurement
    floor: Measurement
    latency: Latency
    reference: Latency
    launches: int
    seconds: float


def protocol(launches: int) -> Mapping[str, Json]:
    """What the figures of a conversion depend on besides models and items."""
    return {"launches": launches, "core": "least busy", "order": "rotated", **asdict(LONG_BLOCKS)}


def compare_latency(
    sides: Sequence[Timed], inputs: Mapping[str, Path], index: Path, preprocess: Preprocess, *,
    local: Transport, progress: Progress, launches: int = LAUNCHES, limit: float = SECONDS,
) -> Mapping[str, LatencyComparison]:  # fmt: skip
    """Each side's latency against the first's, by id, from launches in which all take turns.

    In every launch the first side's model is loaded a second time, in the same process where all
    sides share one, else in its own: the interval of these two copies' ratio is the noise floor.
    There are fewer launches, but not below six, where they take longer than ``limit`` seconds.
    Raises ValueError where six are not allowed, for fewer cannot bound a ratio at 95 %, and what
    :func:`collect` raises.
    """
    first, *others = sides
    least = least_launches(launches)
    clock = clock_of(local, sides)
    begin = clock()
    twin = replace(first, id=f"{first.id} again")
    shared = all(side.process == first.process for side in others)
    samples = collect(
        local, [first, *others, twin], inputs, index, preprocess, launches, progress,
        SHORT_BLOCKS, apart=() if shared else (twin.id,), seconds=limit, least=least,
    )  # fmt: skip
    seconds = clock() - begin
    floor = noise_floor(paired(samples, twin.id, first.id))
    reference = summarize(samples[first.id], RESAMPLES)
    return {
        side.id: LatencyComparison(
            side.id, paired(samples, side.id, first.id), floor,
            summarize(samples[side.id], RESAMPLES), reference, launches, seconds,
        )
        for side in others
    }  # fmt: skip


def least_launches(launches: int) -> int:
    """The fewest launches that bound a ratio at 95 %; raises ValueError where more than allowed."""
    least = statistics.least_independent()
    if launches < least:
        raise ValueError(f"at least {least} launches are needed, got {launches}")
    return least


def paired(samples: Samples, candidate: str, reference: str) -> Measurement:
    """Candidate over reference, the median over launches of paired block medians' median ratio."""
    found = statistics.launch_ratio(_arrays(samples[candidate]), _arrays(samples[reference]))
    return Measurement(
        found.value, "1", n=found.n, low=found.low, high=found.high, level=found.level,
        tool="median over launches of paired block medians, interval of the sign test",
    )  # fmt: skip


def noise_floor(twins: Measurement) -> Measurement:
    """The smallest difference, as a fraction, that the ratio of a model to itself does not show.

    max(high, 1 / low) - 1: a difference within it could be of a model with itself.
    """
    if twins.low is None or twins.high is None:
        raise ValueError("the ratio has no interval")
    return Measurement(
        max(twins.high, 1 / twins.low) - 1, "1", n=twins.n, level=twins.level,
        tool="A/A: the same model loaded twice, the farther end of their ratio's interval",
    )  # fmt: skip


def summarize(samples: Sequence[Sequence[Sequence[int]]], resamples: int = 2000) -> Latency:
    """Percentiles with intervals over launches and blocks, in nanoseconds."""
    launches = _arrays(samples)
    everything = np.concatenate([block for launch in launches for block in launch])
    n = len(everything)

    def percentile(q: float) -> Measurement:
        found = statistics.percentile_interval(launches, q, resamples=resamples)
        return Measurement(
            found.value, "ns", n=n, low=found.low, high=found.high, level=found.level,
            tool=f"bootstrap over {len(launches)} launches, then blocks",
        )  # fmt: skip

    return Latency(
        p50=percentile(50), p90=percentile(90), p95=percentile(95),
        min=Measurement(float(everything.min()), "ns", n=n),
        mean=Measurement(float(everything.mean()), "ns", n=n),
    )  # fmt: skip


def ratio(
    candidate: Sequence[Sequence[Sequence[int]]], reference: Sequence[Sequence[Sequence[int]]]
) -> Measurement:
    """Candidate over reference, median of paired block medians; below 1 is faster."""
    found = statistics.paired_ratio(_arrays(candidate), _arrays(reference))
    return Measurement(
        found.value, "1", n=found.n, low=found.low, high=found.high, level=found.level,
        tool="paired block medians, bootstrap over launches, then blocks",
    )  # fmt: skip


def _arrays(samples: Sequence[Sequence[Sequence[int]]]) -> Launches:
    return [[np.asarray(block, dtype=np.float64) for block in launch] for launch in samples]
