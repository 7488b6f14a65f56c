"""The ratchet: figures that a team has accepted, and what is worse than them."""

from edgekit.gate.lock.checks import Tolerances, compare_entries
from edgekit.gate.lock.entries import LockedLatency, LockedMetric, LockEntry, Tag
from edgekit.gate.lock.file import FILE, LARGEST, parse_lock, read_lock, render_lock
from edgekit.gate.lock.from_report import LOCAL, entries_of, entries_of_candidates
from edgekit.gate.lock.hold import Baseline, hold
from edgekit.gate.lock.kept import keep, kept
from edgekit.gate.lock.latency import decides_slowdown
from edgekit.gate.lock.standing import lock_of, standing, tolerances
from edgekit.gate.lock.update import Updated, update

__all__ = [
    "FILE",
    "LARGEST",
    "LOCAL",
    "Baseline",
    "LockEntry",
    "LockedLatency",
    "LockedMetric",
    "Tag",
    "Tolerances",
    "Updated",
    "compare_entries",
    "decides_slowdown",
    "entries_of",
    "entries_of_candidates",
    "hold",
    "keep",
    "kept",
    "lock_of",
    "parse_lock",
    "read_lock",
    "render_lock",
    "standing",
    "tolerances",
    "update",
]
