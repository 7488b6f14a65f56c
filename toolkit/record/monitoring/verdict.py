"""The verdict on a batch: what chance alone explains in one of many features is not an alarm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgekit.gate.statuses import EXIT_CODES, worst
from edgekit.record.monitoring.checks import Reference, Tested, tested
from edgekit.record.monitoring.golden import Golden
from edgekit.record.monitoring.records import Batch
from edgekit.types import Status
from edgekit.types.monitored import Monitored, MonitoredRow, MonitorLimits

MOST_DEVICES = 20


def judged(golden: Golden, reference: Reference, batch: Batch, limits: MonitorLimits) -> Monitored:
    """Judge a batch: failed where a check is beyond its limit, and not by chance.

    The probabilities of all checks are adjusted together by Benjamini and Hochberg, so that of
    batches without any change at most the share ``false_alarms`` fails.
    """
    rows = adjusted(list(tested(golden, reference, batch, limits)), limits.false_alarms)
    # What nobody could compare, as latency without a baseline, bears out nothing.
    status = worst(row.status for row in rows if row.status is not Status.NOT_EVALUATED)
    return Monitored(
        golden.name,
        golden.version,
        golden.target,
        golden.digest,
        reference.told,
        batch.items,
        batch.windows,
        dict(batch.devices.most_common(MOST_DEVICES)),
        batch.began,
        batch.ended,
        limits,
        rows,
        status,
        int(EXIT_CODES[status]),
        tuple(batch.refused),
        dict(batch.kinds),
        batch.raw.kept,
        batch.raw.seen,
    )


def adjusted(checks: Sequence[Tested], false_alarms: float) -> tuple[MonitoredRow, ...]:
    """Return the rows with their probabilities adjusted, and failed where one is small enough."""
    from scipy.stats import false_discovery_control

    chances = [p for one in checks for p in one.p]
    if not chances:
        return tuple(one.row for one in checks)
    adjusted = iter(false_discovery_control(chances, method="bh"))
    rows = []
    for one in checks:
        own = [float(next(adjusted)) for _ in one.p]
        row = replace(one.row, p=min(own)) if own else one.row
        if own and min(own) <= false_alarms:
            row = replace(row, status=Status.FAILED, message=_alarm(row))
        rows.append(row)
    return tuple(rows)


def _alarm(row: MonitoredRow) -> str:
    if row.measured is None or row.measured.unit != "PSI":
        return row.message
    if row.measured.low is not None and row.limit is not None and row.measured.low > row.limit:
        return f"it drifted: the index is at least {row.measured.low:.3g}"
    return f"it drifted: the distance is {row.ks or 0:.3g}"
