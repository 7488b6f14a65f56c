"""What the records of a deployed model say, held against its golden statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgekit.types.quantities import Measurement, Status

MonitoredKind = Literal[
    "input", "output", "confidence", "classes", "latency", "errors", "uncounted", "records"
]


@dataclass(frozen=True)
class Distribution:
    """Counts of the reference and of the batch, bin by bin; ``bins`` says what each bin holds."""

    bins: tuple[str, ...]
    reference: tuple[int, ...]
    batch: tuple[int, ...]


@dataclass(frozen=True)
class MonitoredRow:
    """One comparison: what was found, its limit, and whether chance alone explains what is beyond.

    ``measured`` has the interval that decides whether it passes: of drift the population stability
    index without what chance adds, of latency the ratio of times, else a share. ``raw`` is the
    index as counted, ``ks`` the Kolmogorov-Smirnov distance at the edges of the bins. ``p`` is the
    adjusted probability of so much, were it within the limit; None where nothing was tested.
    ``settles`` is how many items of such a batch would prove it, where a number would.
    """

    kind: MonitoredKind
    name: str
    status: Status
    message: str
    limit: float | None = None
    measured: Measurement | None = None
    raw: float | None = None
    ks: float | None = None
    p: float | None = None
    n: int = 0
    reference: int = 0
    distribution: Distribution | None = None
    settles: int | None = None


@dataclass(frozen=True)
class Refused:
    """Lines that were not counted: where, of what kind the fault is, and what it is in words.

    ``kind`` is ``damaged``, ``cut short``, ``repeated``, ``foreign``, which is of another bundle,
    or ``raw item``, one that cannot be read: it is in no count.
    """

    file: str
    line: int
    kind: Literal["damaged", "cut short", "repeated", "foreign", "raw item"]
    reason: str


@dataclass(frozen=True)
class MonitorLimits:
    """What counts as an alarm.

    ``drift`` is the least population stability index that matters, ``slowdown`` how much slower the
    median may be than the reference's, and p99 two and a half times as much, ``errors`` the share
    of items that may fail. Of batches without a change a share of at most ``false_alarms`` is
    called failed.
    """

    drift: float = 0.1
    slowdown: float = 0.2
    errors: float = 0.01
    false_alarms: float = 0.01


@dataclass(frozen=True)
class Monitored:
    """A batch of records of a bundle's model, judged.

    ``raw_items`` are the items that apps kept beside the counts, of ``raw_seen`` that they met;
    ``raw_written`` those of them that were written to a folder.
    """

    name: str
    version: str
    target: str
    golden: str
    reference: str
    items: int
    windows: int
    devices: Mapping[str, int]
    began: str
    ended: str
    limits: MonitorLimits
    rows: tuple[MonitoredRow, ...]
    status: Status
    exit_code: int
    refused: tuple[Refused, ...] = ()
    refused_kinds: Mapping[str, int] = field(default_factory=dict)
    raw_items: int = 0
    raw_seen: int = 0
    raw_written: int = 0
