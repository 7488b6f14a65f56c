"""What timed launches come to: phases, the steady state, memory, and what disturbed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit import statistics
from edgekit.evaluation.protocol import Launch, Taken
from edgekit.evaluation.sustained import measured as as_measurement
from edgekit.pipeline.measure import bench_memory
from edgekit.statistics.interval import two_sided_z
from edgekit.targets.devices.warnings import spoilers
from edgekit.types import Benched, Measurement, Phases, SteadyLatency

LEVEL = 0.95
POWER = 0.8
WIDEST_UINT32 = 2**32


def summarized(row: Benched, taken: Taken, path: Path) -> Benched:
    """The row with what its launches took; every run's nanoseconds go to ``path``, an ``.npy``."""
    launches = taken.launches
    conditions = taken.watch.found([launch.runs for launch in launches])
    phases = _phases(launches)
    notes = (*spoilers(row.facts), *conditions.notes)
    if not phases.settled:
        notes = (*notes, "the warm-up ended before its drift did")
    return replace(
        row,
        version=launches[0].version or row.version,
        phases=phases,
        latency=steady(launches, taken.stopped, path),
        memory=bench_memory.held(launches, row.batch),
        conditions=replace(conditions, notes=notes),
        facts={**row.facts, **taken.watch.temperatures()},
    )


def _phases(launches: Sequence[Launch]) -> Phases:
    def middle(values: Sequence[float]) -> Measurement:
        return Measurement(
            float(np.median(values)), "ns", n=len(launches), tool="median of launches"
        )

    return Phases(
        load=middle([launch.load for launch in launches]),
        first=middle([launch.first for launch in launches]),
        warmup=middle([float(launch.warmup.mean()) for launch in launches]),
        warmup_runs=sum(len(launch.warmup) for launch in launches),
        settled=all(launch.settled for launch in launches),
    )


def steady(launches: Sequence[Launch], stopped: str, path: Path) -> SteadyLatency:
    """The steady state of some launches; every run's nanoseconds go to ``path``, an ``.npy``."""
    runs = np.concatenate([launch.runs for launch in launches])
    kind = np.uint32 if runs.max() < WIDEST_UINT32 else np.uint64
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, runs.astype(kind))
    blocks = [launch.blocks for launch in launches]
    tool = f"bootstrap over {len(launches)} launches, then blocks"

    def percentile(q: float) -> Measurement:
        return as_measurement(statistics.percentile_interval(blocks, q, level=LEVEL), "ns", tool)

    def plain(value: float) -> Measurement:
        return Measurement(float(value), "ns", n=len(runs))

    middle = percentile(50)
    return SteadyLatency(
        p50=middle, p90=percentile(90), p95=percentile(95), p99=percentile(99),
        mean=plain(runs.mean()), min=plain(runs.min()), max=plain(runs.max()),
        mad=plain(np.median(np.abs(runs - np.median(runs)))),
        std=plain(runs.std(ddof=1) if len(runs) > 1 else 0.0), p5=plain(np.percentile(runs, 5)),
        launches=tuple(len(launch.runs) for launch in launches), stopped=stopped,
        power=power(middle), path=path,
    )  # fmt: skip


def power(middle: Measurement) -> Measurement:
    """The smallest relative difference that two such runs would tell, at 95 % and power 0.8.

    (z_0.975 + z_0.8) · √2 · SE, where SE is half of the interval over 1.96. Source: Cohen (1988),
    "Statistical power analysis for the behavioral sciences", section 2.4.
    """
    if middle.value is None or middle.low is None or middle.high is None:
        return Measurement.unavailable("1", "one block shows no noise: measure longer")
    z = two_sided_z(LEVEL)
    error = (middle.high - middle.low) / 2 / z
    smallest = (z + two_sided_z(2 * POWER - 1)) * 2**0.5 * error / middle.value
    return Measurement(smallest, "1", how="estimated", level=LEVEL, tool="two runs, power 0.8")
