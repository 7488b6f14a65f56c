"""What a lock holds of one model, target and candidate: figures, and what they were measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgekit.types import Json, Measurement, PairedCounts


@dataclass(frozen=True)
class Tag:
    """Whose figures they are; without a target those of a precision that counts by itself."""

    model: str
    target: str
    candidate: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.model, self.target, self.candidate) if part)


@dataclass(frozen=True)
class LockedMetric:
    """A metric with its interval, and the drop against the reference that was measured with it.

    ``items`` is the digest of the judged items, ``reference`` of the model that they were judged
    by, and ``counts`` how often only one of the two was right, where a metric is right or wrong.
    ``right`` has then a bit for each item, where the run itself is at hand; a lock has none.
    """

    measured: Measurement
    higher_is_better: bool
    bounded: bool
    drop: Measurement | None = None
    counts: PairedCounts | None = None
    items: str = ""
    reference: str = ""
    right: bytes = b""


@dataclass(frozen=True)
class LockedLatency:
    """Nanoseconds on ``device``, the ratio to the reference timed in turns with it, and the noise.

    ``machine`` is what the device says of itself, ``runtime`` names what ran the file with its
    version, ``reference`` what ran the reference, and ``sha256`` is the file's. ``beside`` are
    ratios to other files that took turns with it, by their SHA-256, where the run itself is at
    hand; a lock has none.
    """

    device: str
    machine: Mapping[str, Json]
    p50: Measurement
    p95: Measurement
    ratio: Measurement | None = None
    noise: Measurement | None = None
    sha256: str = ""
    runtime: str = ""
    reference: str = ""
    beside: Mapping[str, Measurement] = field(default_factory=dict)


@dataclass(frozen=True)
class LockEntry:
    """The figures of one candidate for one target.

    ``operators`` are the largest versions by name. ``runtime`` and ``litert`` are the first
    releases that have them, empty where none has. ``arena`` is in bytes, where it was measured.
    """

    tag: Tag
    semantic_hash: str
    sha256: str
    bytes: int
    operators: Mapping[str, int]
    runtime: str
    litert: str
    arena: int | None = None
    metrics: Mapping[str, LockedMetric] = field(default_factory=dict)
    latency: LockedLatency | None = None
    tools: Mapping[str, str] = field(default_factory=dict)
