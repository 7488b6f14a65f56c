"""Versions on record: registered, promoted where they are proven not worse, and rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit import history
from edgekit.api.baselines import root_of, tolerances_of, with_details
from edgekit.api.judgement import judge, latest, waivers_of
from edgekit.api.tracking import record_version, who
from edgekit.errors import RecordError
from edgekit.gate.lock import Tolerances
from edgekit.gate.verdict import as_evidence
from edgekit.project import Project
from edgekit.record import (
    CHAMPION,
    DROP,
    FOLDER,
    SLOWDOWN,
    Judged,
    Promotion,
    Registry,
    Version,
    promotion_checks,
    verdict_of,
)
from edgekit.record.registry import now
from edgekit.report.changes import RunChange, changes
from edgekit.types import CheckResult, Report, Status

__all__ = [
    "Promoted",
    "Registered",
    "open_registry",
    "promote",
    "register",
    "roll_back",
    "version_changes",
]


@dataclass(frozen=True)
class Registered:
    """A version, and whether it is new: a run is registered once."""

    version: Version
    new: bool
    folder: Path


@dataclass(frozen=True)
class Promoted:
    """What was asked to take an alias, what held it before, and whether it does now.

    ``report`` is the version's run with the verdict on the promotion: by its own budgets, and by
    ``checks`` against the version that held the alias.
    """

    version: Version
    alias: str
    before: int | None
    done: bool
    report: Report
    checks: tuple[CheckResult, ...]


def open_registry(root: Path | None = None) -> Registry:
    """Return the registry beside a project, by default below the current folder."""
    return Registry((root or Path.cwd()) / FOLDER)


def register(
    report: Path | None = None,
    project: Project | None = None,
    note: str = "",
    into: Registry | None = None,
) -> Registered:
    """Register a finished run, by default the newest, as its model's next version.

    Its report, models and bundles are copied. Raises :class:`RecordError` where one of them is
    gone or was replaced since, and :class:`ProjectError` for a report that is not one.
    """
    root = project.root if project is not None else Path.cwd()
    path = report or latest(root, project.model.name if project is not None else None)
    judged = judge(path, project).report
    run = path if path.is_dir() else path.parent
    place = into or open_registry(root_of(path, project) or root)
    commit = history.commit_of(root)
    version = place.add(judged, run, who(root), commit, note)
    new = version is not None
    if version is None:
        name = str(judged.model["name"])
        version = next(one for one in place.versions(name) if one.run == judged.run)
    else:
        record_version(project, place, version)
    return Registered(version, new, place.folder(version))


def promote(
    name: str,
    alias: str = CHAMPION,
    project: Project | None = None,
    reason: str = "",
    max_drop: float | None = None,
    max_slowdown: float | None = None,
    place: Registry | None = None,
) -> Promoted:
    """Let a version take an alias, where it is proven not worse than the one that holds it.

    Its run must pass its own budgets. Each metric of the version before may drop by ``max_drop``
    (default: ``[lock] max_drop``, else a point; nothing where it does not lie in 0..1), paired on
    the same items, and the latency rise by ``max_slowdown`` (default: ``[lock] max_slowdown``, else
    10 %). A ``[[waiver]]`` of ``champion NAME`` accepts what is red. Raises :class:`RecordError`
    where there is no such version, or its files are not those that were registered.
    """
    place = place or open_registry(project.root if project is not None else None)
    version = place.find(name)
    _check_alias(alias)
    _check_files(place, version)
    held = place.holder(version.model, alias)
    report = _report_of(place, version, project)
    checks: tuple[CheckResult, ...] = ()
    if held is not None and held != version.number:
        champion = _report_of(place, place.find(f"{version.model}:{held}"), None)
        allowed = _tolerances(project, report, max_drop, max_slowdown)
        checks = promotion_checks(champion, report, allowed, waivers_of(report, project))
    verdict = verdict_of(as_evidence(report.verdict), checks)
    report = replace(report, verdict=verdict)
    done = verdict.status is Status.PASSED
    if done and held != version.number:
        told = tuple(
            Judged(check.target, check.name, check.status.value, check.message, check.limit)
            for check in checks
        )
        entry = Promotion(
            alias, version.number, held, now(), who(place.root.parent), reason, False, told
        )
        place.record(version.model, entry)
        record_version(project, place, version, alias)
    return Promoted(version, alias, held, done, report, checks)


def roll_back(
    alias: str = CHAMPION,
    model: str | None = None,
    reason: str = "",
    place: Registry | None = None,
    project: Project | None = None,
) -> Promoted:
    """Give an alias back to the version that held it before.

    Raises :class:`RecordError` where there is none, or its files are not those registered.
    """
    place = place or open_registry()
    current = place.find(f"{model}:{alias}" if model else alias)
    number = place.before(current.model, alias)
    if number is None:
        message = f"no version of {current.model} was {alias} before {current}"
        raise RecordError("EK-RECORD-006", message, "promote another: edgekit promote VERSION")
    version = place.find(f"{current.model}:{number}")
    _check_files(place, version)
    by = who(place.root.parent)
    entry = Promotion(alias, number, current.number, now(), by, reason, rollback=True)
    place.record(version.model, entry)
    record_version(project, place, version, alias)
    return Promoted(version, alias, current.number, True, _report_of(place, version, None), ())


def version_changes(place: Registry, before: Version, now: Version) -> RunChange:
    """Return what changed from one version to another: figures, operators, layers, settings.

    Raises :class:`RecordError` for versions of two models.
    """
    if before.model != now.model:
        message = f"{before} and {now} are versions of two models"
        raise RecordError("EK-RECORD-003", message, "compare two models: edgekit compare A B")
    old, new = (_report_of(place, version, None) for version in (before, now))
    return changes(old, new, old.details, new.details)


def _tolerances(
    project: Project | None, report: Report, max_drop: float | None, max_slowdown: float | None
) -> Tolerances:
    stated = tolerances_of(project)
    usual = DROP if report.settings["bounded"] else 0.0
    drop = next(each for each in (max_drop, stated.drop, usual) if each is not None)
    slowdown = next(each for each in (max_slowdown, stated.slowdown, SLOWDOWN) if each is not None)
    return Tolerances(stated.size, drop, slowdown)


def _report_of(place: Registry, version: Version, project: Project | None) -> Report:
    """Return a version's run, judged again by the budgets of a project, else by its own."""
    folder = place.folder(version)
    return with_details(judge(folder, project).report, folder)


def _check_files(place: Registry, version: Version) -> None:
    wrong: Sequence[str] = place.damaged(version)
    if wrong:
        hint = f"{wrong[0]}\nrestore {place.folder(version)} from version control or a copy"
        raise RecordError("EK-RECORD-004", f"{version} is not as it was registered", hint)


def _check_alias(alias: str) -> None:
    if not alias.isidentifier():
        message = f"{alias!r} cannot stand for a version"
        hint = "an alias is a word such as champion or candidate; numbers are versions"
        raise RecordError("EK-RECORD-003", message, hint)
