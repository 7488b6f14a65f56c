"""The performance mode of MLPerf Tiny: windows of at least ten seconds, their median throughput.

Source: Banbury et al. (2021), "MLPerf Tiny Benchmark", NeurIPS Datasets and Benchmarks: inference
is repeated for at least ten seconds, five times over, and the median of the inferences per second
is the score. Inputs lie in memory before the clock starts, so staging does not count.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from edgekit.evaluation.launches import warm_up
from edgekit.evaluation.protocol import Protocol, TimingJob
from edgekit.targets.devices.transport import RunnerSession
from edgekit.types import Measurement, MLPerfTiny

WINDOWS = 5
SECONDS = 10.0
FEWEST_RUNS = 10
SLICE = 0.5


def perform(
    job: TimingJob,
    protocol: Protocol,
    accuracy: Measurement,
    progress: Callable[[float, float, str], None],
    seconds: float = SECONDS,
) -> MLPerfTiny:
    """Time the windows, in one launch.

    Raises :class:`RunnerError` or :class:`DeviceError`.
    """
    batch = job.request.batch if isinstance(job.request.batch, int) else 1
    session = job.device.open(job.request)
    windows = []
    try:
        session.ready()
        warm_up(session, job.id, protocol)
        for number in range(WINDOWS):
            progress(number, WINDOWS, f"window {number + 1} of {WINDOWS}: {job.id}")
            windows.append(batch * _window(session, job.id, seconds))
    finally:
        session.close()
    middle = statistics.median(windows)
    throughput = Measurement(
        middle, "1/s", n=WINDOWS, tool=f"median of {WINDOWS} windows of {seconds:g} s"
    )
    return MLPerfTiny(throughput, tuple(windows), seconds, accuracy)


def _window(session: RunnerSession, model: str, seconds: float) -> float:
    """Measure inferences per second, over at least so many seconds and ten runs."""
    runs, spent = 0, 0
    while runs < FEWEST_RUNS or spent < seconds * 1e9:
        # In slices: millions of times in one answer would be slow to read.
        timed = session.block(model, min(SLICE, seconds), 1)
        runs, spent = runs + len(timed), spent + sum(timed)
    return runs / (spent / 1e9)
