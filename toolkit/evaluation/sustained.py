"""A long run, second by second: what the device still gives once it is hot."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from edgekit.evaluation.launches import warm_up
from edgekit.evaluation.protocol import Protocol, TimingJob
from edgekit.statistics import series
from edgekit.statistics.interval import Interval
from edgekit.types import Second, Sustained

TOOL = "batch medians"
STEP = 1.0
MINUTE = 60.0
# The last quarter of a run is its plateau; a run shorter than four minutes has a shorter first.
PARTS = 4


def sustain(
    job: TimingJob,
    protocol: Protocol,
    seconds: float,
    progress: Callable[[float, float, str], None],
    step: float = STEP,
) -> Sustained:
    """Run the model without a pause for so many seconds, in one launch.

    Raises :class:`RunnerError` or :class:`DeviceError`.
    """
    core = job.request.core
    session = job.device.open(job.request)
    rows: list[Second] = []
    try:
        session.ready()
        warm_up(session, job.id, protocol)
        begin = job.device.now()
        while (at := job.device.now() - begin) < seconds:
            progress(at, seconds, f"sustained: {job.id}")
            timed = session.block(job.id, step, 1)
            state = job.device.state(core)
            rows.append(
                Second(
                    round(at, 3),
                    len(timed),
                    float(np.median(timed)),
                    state.get("temperature_c"),
                    state.get("frequency_hz"),
                )
            )
    finally:
        session.close()
    return summarized(rows, seconds)


def summarized(rows: Sequence[Second], seconds: float) -> Sustained:
    """Return the first minute (at most a quarter) and the last quarter of so many seconds,
    compared.
    """
    early = [row.median for row in rows if row.at < min(MINUTE, seconds / PARTS)]
    late = [row.median for row in rows if row.at >= seconds * (PARTS - 1) / PARTS]
    first = series.median_interval(np.asarray(early or [rows[0].median]))
    plateau = series.median_interval(np.asarray(late or [rows[-1].median]))
    return Sustained(
        first=first.measurement("ns", TOOL),
        plateau=plateau.measurement("ns", TOOL),
        slowdown=ratio(plateau, first).measurement("1", TOOL),
        seconds=tuple(rows),
    )


def ratio(above: Interval, below: Interval) -> Interval:
    """Return the ratio of two medians that were measured apart, with an interval.

    Both intervals' distances are added in quadrature, on the logarithms (MOVER). Source: Zou &
    Donner (2008), "Construction of confidence limits about effect measures: a general approach",
    Statistics in Medicine 27:1693-1702.
    """
    value = above.value / below.value
    n = min(above.n, below.n)
    ends = (above.low, above.high, below.low, below.high)
    if not all(math.isfinite(end) and end > 0 for end in ends):
        return Interval(value, 0.0, math.inf, above.level, n)
    down = math.hypot(math.log(above.value / above.low), math.log(below.high / below.value))
    up = math.hypot(math.log(above.high / above.value), math.log(below.value / below.low))
    return Interval(value, value * math.exp(-down), value * math.exp(up), above.level, n)
