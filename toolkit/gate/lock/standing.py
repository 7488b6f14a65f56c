"""A judged run as it stands by its lock and its waivers: the same for every command that judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgekit.gate.lock.file import FILE, read_lock
from edgekit.gate.lock.hold import Baseline, hold
from edgekit.gate.lock.tolerances import Tolerances
from edgekit.gate.verdict import with_checks
from edgekit.gate.waivers import Waivers
from edgekit.project import LockTable, TargetTable
from edgekit.types import Report


def lock_of(root: Path) -> Baseline | None:
    """Return the lock of a project's folder, where there is one. Raises :class:`LockError`."""
    path = root / FILE
    return Baseline(read_lock(path), "lock", FILE) if path.is_file() else None


def tolerances(table: LockTable) -> Tolerances:
    """Return what a project lets be worse than its lock."""
    return Tolerances(table.size_tolerance, table.max_drop, table.max_slowdown)


def standing(
    report: Report,
    baseline: Baseline | None,
    allowed: Tolerances,
    waivers: Waivers,
    tables: Mapping[str, TargetTable],
    whole: bool,
) -> Report:
    """Return a run that its budgets have judged, held against a lock or another run, if any.

    A waiver that has expired is a red check, and one that nothing needs an advice, unless the run
    was narrowed and is not ``whole``.
    """
    if baseline is not None:
        report = hold(report, replace(baseline, whole=whole), allowed, waivers, tables)
    if expired := waivers.expired():
        report = with_checks(report, {"": expired})
    if not whole:
        return report
    unused = waivers.unused(report.verdict.checks)
    return replace(report, advice=(*report.advice, *unused))
