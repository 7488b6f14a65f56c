"""The lock: read, and tightened by a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.api.baselines import root_of, tolerances_of
from edgekit.api.judgement import judge, latest
from edgekit.errors import LockError
from edgekit.gate import lock as locking
from edgekit.gate.lock import Entry
from edgekit.gate.statuses import RED
from edgekit.project import Project
from edgekit.store import write_text
from edgekit.types import CheckResult

__all__ = ["Tightened", "read_lock", "update_lock"]


@dataclass(frozen=True)
class Tightened:
    """A lock after a run: its entries, what changed in words, and the checks that were refused."""

    path: Path
    entries: tuple[Entry, ...]
    changes: tuple[str, ...]
    refused: tuple[CheckResult, ...]


def read_lock(root: Path) -> tuple[Entry, ...]:
    """Read a folder's lock. Raises :class:`LockError` where there is none, or it is damaged."""
    path = root / locking.FILE
    if not path.is_file():
        hint = "make it of a finished run: edgekit lock --update"
        raise LockError("EK-LOCK-003", f"there is no {path}", hint)
    return locking.read_lock(path)


def update_lock(report: Path | None = None, project: Project | None = None) -> Tightened:
    """Tighten the lock by a run, by default the newest: what is better replaces what is there.

    What is worse stays out, unless a waiver accepts it. Raises :class:`LockError` where the run
    itself fails its budgets or the lock is damaged, and :class:`ProjectError` for a report that is
    none.
    """
    report = report or latest(project.root if project else Path.cwd())
    path = (root_of(report, project) or Path.cwd()) / locking.FILE
    judged = judge(report, project)
    red = [one for one in judged.report.verdict.checks if one.status in RED]
    if red:
        listed = "\n".join(f"{one.target} {one.name}: {one.message}".strip() for one in red[:5])
        hint = f"{listed}\na lock holds what a team has accepted: mend the run, or waive the check"
        raise LockError("EK-LOCK-004", "the run fails its budgets, so nothing is locked", hint)
    now = locking.entries_of(judged.report)
    if not now:
        raise LockError("EK-LOCK-005", "the run has nothing to lock", "convert the model first")
    before = locking.read_lock(path) if path.is_file() else ()
    done = locking.update(before, now, tolerances_of(project), judged.waivers)
    text = locking.render_lock(done.entries)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return Tightened(path, done.entries, done.changes, done.refused)
