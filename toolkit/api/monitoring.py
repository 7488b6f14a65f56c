"""Watch over what is deployed: records of apps and servers against what the bundle was made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgekit.record.monitoring import (
    MOST_ITEMS,
    check_folder,
    judged,
    of_batch,
    of_golden,
    read_golden,
    read_records,
    write_items,
)
from edgekit.types.monitored import Monitored, MonitorLimits

__all__ = ["MonitorLimits", "Monitored", "monitor"]


def monitor(
    bundle: Path,
    records: Sequence[str | Path],
    baseline: Sequence[str | Path] = (),
    limits: MonitorLimits | None = None,
    items: Path | None = None,
) -> Monitored:
    """Tell whether a deployed model still meets what it was measured on, and answers alike.

    ``bundle`` is the archive or its unpacked folder; ``records`` and ``baseline`` are files,
    folders and patterns of what its apps recorded, ``-`` for standard input. With a ``baseline``,
    records of a time that was well, the batch is held against it in place of the golden items, and
    its latency too. Of raw items that apps kept, the hundred most outlying and least confident are
    written to the folder ``items``, as data that edgekit reads. Raises :class:`RecordError` for a
    bundle without golden statistics, and where there are no records, or no raw items to write.
    """
    if items is not None:
        check_folder(items)
    golden = read_golden(bundle)
    reference = of_golden(golden)
    if baseline:
        reference = of_batch(golden, read_records([str(one) for one in baseline], golden))
    most = MOST_ITEMS if items is not None else 0
    batch = read_records([str(one) for one in records], golden, most)
    monitored = judged(golden, reference, batch, limits or MonitorLimits())
    if items is None:
        return monitored
    return replace(monitored, raw_written=write_items(batch.raw, golden, items))
