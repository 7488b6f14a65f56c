"""What a project and its lock say of a ``.tflite`` file, as far as its bytes can answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.gate import Waivers
from edgekit.gate.lock import LockEntry, lock_of
from edgekit.inspection import FileLimits, check_file
from edgekit.project import Budgets, Project
from edgekit.types import CheckResult

FOLDER = "build"


@dataclass(frozen=True)
class Held:
    """Limits of a file, the target that they are of, and what they are from: budgets or lock."""

    limits: FileLimits
    candidate: str
    target: str = ""
    against: str = ""


def checks_of(path: Path, project: Project) -> Iterator[CheckResult]:
    """Check a file by its project's budgets, lock and waivers; nothing for one of no project."""
    waivers = Waivers(tuple(table.waiver for table in project.waiver))
    for held in _limits(path, project):
        for check in check_file(path, held.limits):
            name = f"{held.against}{check.name}"
            named = replace(check, name=name, target=held.target, candidate=held.candidate)
            (applied,) = waivers.apply((named,))
            yield replace(applied, candidate=check.candidate)


def _limits(path: Path, project: Project) -> Iterator[Held]:
    """Yield what a file is held to: one that a run placed below ``build/``, or the source."""
    candidate = _candidate(path, project)
    if candidate is None:
        return
    precision = candidate.partition("@")[0]
    for name, table in project.candidates.items():
        if not candidate or name in (candidate, precision):
            yield Held(_of_budgets(table.budgets), candidate)
    for name, target in project.targets.items():
        if not candidate or target.precision in (None, precision):
            yield Held(_of_budgets(target.budgets), candidate, name)
    lock = lock_of(project.root)
    for entry in lock.entries if lock else ():
        of_model = project.model.name in (None, entry.tag.model)
        if of_model and candidate in ("", entry.tag.candidate):
            limits = _of_entry(entry, project.lock.size_tolerance)
            yield Held(limits, entry.tag.candidate, entry.tag.target, "lock ")


def _candidate(path: Path, project: Project) -> str | None:
    """Return the candidate that a file is, "" for a source of its own, None for another file."""
    here = path.resolve()
    if here == (project.root / project.model.source).resolve():
        return ""
    below = project.root / FOLDER
    if not here.is_relative_to(below):
        return None
    parts = here.relative_to(below).parts
    names = (parts[0],) if project.model.name is None else (project.model.name,)
    return parts[1] if len(parts) == 3 and parts[0] in names else None


def _of_budgets(budgets: Budgets) -> FileLimits:
    operators = budgets.operators
    return FileLimits(
        budgets.size,
        operators.allowed if operators else (),
        operators.forbidden if operators else (),
        budgets.minimum_runtime,
    )


def _of_entry(entry: LockEntry, tolerance: float) -> FileLimits:
    return FileLimits(
        int(entry.bytes * (1 + tolerance)), tuple(entry.operators), (), entry.runtime or None
    )
