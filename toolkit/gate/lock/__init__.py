"""The ratchet: figures that a team has accepted, and what is worse than them."""

from edgekit.gate.lock.checks import Tolerances, compare_entries
from edgekit.gate.lock.entries import LockedLatency, LockedMetric, LockEntry, Tag
from edgekit.gate.lock.file import FILE, LARGEST, parse_lock, read_lock, render_lock
from edgekit.gate.lock.from_report import entries_of, entries_of_candidates
from edgekit.gate.lock.hold import Baseline, hold
from edgekit.gate.lock.standing import lock_of, standing, tolerances
from edgekit.gate.lock.update import Updated, update

__all__ = [
    "FILE",
    "LARGEST",
    "Baseline",
    "LockEntry",
    "LockedLatency",
    "LockedMetric",
    "Tag",
    "Tolerances",
    "Updated",
    "compare_entries",
    "entries_of",
    "entries_of_candidates",
    "hold",
    "lock_of",
    "parse_lock",
    "read_lock",
    "render_lock",
    "standing",
    "tolerances",
    "update",
]
