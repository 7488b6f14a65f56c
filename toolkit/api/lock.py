"""The lock: read, and tightened by a run."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.api.baselines import root_of, tolerances_of
from edgekit.api.judgement import Judged, judge, latest
from edgekit.errors import LockError, StoreError
from edgekit.gate import lock as locking
from edgekit.gate.lock import LockEntry
from edgekit.gate.statuses import RED
from edgekit.project import Project
from edgekit.store import Store, write_text
from edgekit.types import CheckResult

MODEL = "model.tflite"
__all__ = ["Tightened", "read_lock", "update_lock", "update_locks"]


@dataclass(frozen=True)
class Tightened:
    """A lock after a run: its entries, what changed in words, and the checks that were refused.

    ``unshipped`` are the targets that ship nothing of what is locked, by model and name.
    """

    path: Path
    entries: tuple[LockEntry, ...]
    changes: tuple[str, ...]
    refused: tuple[CheckResult, ...]
    unshipped: tuple[str, ...] = ()


def read_lock(root: Path) -> tuple[LockEntry, ...]:
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
    return update_locks(report, () if project is None else (project,))


def update_locks(report: Path | None, projects: Sequence[Project]) -> Tightened:
    """Tighten the lock of a project file by the newest run of each of its models.

    Raises what :func:`update_lock` does; then nothing is written.
    """
    runs = [_run(report, project) for project in projects or (None,)]
    path = (root_of(*runs[0]) or Path.cwd()) / locking.FILE
    judged = [(_fit_to_lock(place, project), project) for place, project in runs]
    entries = locking.read_lock(path) if path.is_file() else ()
    changes: list[str] = []
    refused: list[CheckResult] = []
    for each, project in judged:
        now = locking.entries_of(each.report)
        done = locking.update(entries, now, tolerances_of(project), each.waivers)
        entries = done.entries
        changes += done.changes
        refused += done.refused
    text = locking.render_lock(entries)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    for (place, _), (each, _) in zip(runs, judged, strict=True):
        _keep_files(place, each, entries)
    unshipped = tuple(
        f"{each.report.model['name']} {target.id}"
        for each, _ in judged
        for target in each.report.targets
        if target.candidate is None
    )
    return Tightened(path, entries, tuple(changes), tuple(refused), unshipped)


def _keep_files(report: Path, judged: Judged, entries: Sequence[LockEntry]) -> None:
    """Keep the files whose times are locked in the store of their run, for later runs to time."""
    folder = report if report.is_dir() else report.parent
    if folder.parent.name != "runs":
        return
    locked = {entry.sha256 for entry in entries}
    locked |= {entry.latency.sha256 for entry in entries if entry.latency}
    store = Store(folder.parent.parent / "store")
    for candidate in judged.report.candidates:
        if candidate.sha256 in locked:
            places = (candidate.path, *folder.glob(f"build/*/{MODEL}"))
            # The folder of another's run may not be ours to write.
            with contextlib.suppress(StoreError):
                locking.keep(store, candidate.sha256, places)


def _run(report: Path | None, project: Project | None) -> tuple[Path, Project | None]:
    if report is not None:
        return report, project
    if project is None:
        return latest(Path.cwd()), None
    return latest(project.root, project.model.name), project


def _fit_to_lock(report: Path, project: Project | None) -> Judged:
    """Judge a run that is to be locked. Raises :class:`LockError` where it cannot be."""
    judged = judge(report, project)
    name = judged.report.model["name"]
    red = [one for one in judged.report.verdict.checks if one.status in RED]
    if red:
        listed = "\n".join(f"{one.target} {one.name}: {one.message}".strip() for one in red[:5])
        hint = f"{listed}\na lock holds what a team has accepted: mend the run, or waive the check"
        message = f"the run of {name} fails its budgets, so nothing is locked"
        raise LockError("EK-LOCK-004", message, hint)
    if not locking.entries_of(judged.report):
        message = f"the run of {name} has nothing to lock"
        raise LockError("EK-LOCK-005", message, "convert the model first")
    return judged
