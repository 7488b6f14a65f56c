"""What timed launches come to: phases, the steady state, memory, and what disturbed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit.evaluation.latency import summarized as latency_of
from edgekit.evaluation.protocol import Launch, Taken
from edgekit.pipeline.measure import bench_memory
from edgekit.targets.devices.warnings import spoilers
from edgekit.types import Benched, Measurement, Phases


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
        latency=latency_of(launches, taken.stopped, path=path),
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
