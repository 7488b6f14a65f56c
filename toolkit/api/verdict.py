"""The gate on a finished run: its budgets, and the lock or another run that it is held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.api.baselines import find_baseline, find_lock, tolerances_of, with_details
from edgekit.api.judgement import CheckOptions, judge, latest, waivers_of
from edgekit.errors import EdgekitError, LockError
from edgekit.gate import lock as locking
from edgekit.gate.lock import Baseline, standing
from edgekit.gate.statuses import EXIT_CODES
from edgekit.gate.verdict import combined
from edgekit.project import FILE, Project
from edgekit.types import CheckedRuns, CheckResult, Report, Status

__all__ = ["FinishedRun", "check", "check_all", "runs_at", "runs_of", "together", "told_apart"]


def check(
    path: Path,
    project: Project | None = None,
    max_drop: float | None = None,
    max_size: int | None = None,
    precisions: tuple[str, ...] = (),
    targets: tuple[str, ...] = (),
    metric_output: str | None = None,
    baseline: str | None = None,
    max_latency: float | None = None,
    max_arena: int | None = None,
) -> Report:
    """Judge a finished run again: by these limits, else the project's, else the run's own.

    ``precisions``, ``targets`` and ``metric_output`` narrow: they choose among the checks, whose
    limits stay. What the run did not try is unavailable. The run is held against ``baseline``: a
    report, a run's folder, a lock, or ``git:REF`` for the lock of a branch; by default against the
    ``edgekit.lock`` beside the project, or beside the run's ``.edgekit``, where there is one.
    Raises :class:`ProjectError` where the report is not one, or holds no such precision, target or
    output, and :class:`LockError` where the baseline cannot be read or is of another model.
    """
    asked = CheckOptions(
        max_drop, max_size, precisions, targets, metric_output, max_latency, max_arena
    )
    return _checked(path, project, asked, baseline)


def _checked(
    path: Path, project: Project | None, asked: CheckOptions, baseline: str | None
) -> Report:
    judged = judge(path, project, asked)
    against = find_baseline(baseline, path, project) if baseline else find_lock(path, project)
    report = judged.report
    if against is not None:
        _check_model(report, against)
        if against.against == "baseline":
            report = with_details(report, path)
    allowed, whole = tolerances_of(project), judged.whole
    return standing(report, against, allowed, judged.waivers, judged.tables, whole)


def _check_model(report: Report, against: Baseline) -> None:
    """Refuse a baseline that is a run of another model."""
    name = str(report.model["name"])
    others = sorted({entry.tag.model for entry in against.entries})
    if against.against == "baseline" and name not in others:
        message = f"{against.origin} is a run of {', '.join(others)}, and this one is of {name}"
        hint = "compare runs of one model; two models: edgekit compare A B"
        raise LockError("EK-LOCK-008", message, hint)


def check_all(
    runs: Sequence[FinishedRun], asked: CheckOptions | None = None, baseline: str | None = None
) -> CheckedRuns:
    """Judge several models' runs, each by its own limits and lock, to one verdict.

    ``runs`` are what :func:`runs_at` returns. A model that the lock of their project file has, and
    the file has not, is red. Raises what :func:`check` raises.
    """
    asked = asked or CheckOptions()
    reports = tuple(_checked(run.path, run.project, asked, baseline) for run in runs)
    return together(reports, [run.project for run in runs], [run.place for run in runs])


def together(
    reports: Sequence[Report],
    projects: Sequence[Project | None],
    places: Sequence[Path],
    errors: Mapping[str, EdgekitError] | None = None,
) -> CheckedRuns:
    """Return judged runs of several models with the one verdict on them.

    A waiver of all of them is unused only where none of them needs it. Each of ``errors``, by the
    name of the model that it ended, is a check that is red.
    """
    reports = _without_needed(reports, projects)
    files = {p.origin: p for p in projects if p is not None and p.models and p.origin}
    gone = [check for project in files.values() for check in _gone(project)]
    ended = [_ended(name, error) for name, error in (errors or {}).items()]
    verdict = combined([report.verdict for report in reports], [*gone, *ended])
    told = told_apart([str(report.model["name"]) for report in reports], places)
    origins = tuple(project.origin if project else None for project in projects)
    return CheckedRuns(tuple(reports), verdict, told, origins, tuple(errors or ()))


def told_apart(names: Sequence[str], places: Sequence[Path]) -> tuple[str, ...]:
    """Return models' names, with the place where two are of one name."""
    return tuple(
        f"{name} ({place.as_posix()})" if names.count(name) > 1 else name
        for name, place in zip(names, places, strict=True)
    )


def _ended(name: str, error: EdgekitError) -> CheckResult:
    """Return the red check of a model whose conversion ended with an error."""
    status = next((s for s, code in EXIT_CODES.items() if code == error.exit_code), Status.FAILED)
    message = f"{error.code}: {error.message}"
    return CheckResult("conversion", name, "", status, message, name, fix=error.hint)


def _without_needed(
    reports: Sequence[Report], projects: Sequence[Project | None]
) -> tuple[Report, ...]:
    """Take back the advice to take out a waiver that another of the models needs."""
    waivers = [waivers_of(*pair).unused(()) for pair in zip(reports, projects, strict=True)]
    of_all = {one for one in waivers[0] if all(one in others for others in waivers)}
    needed = {one for one in of_all if any(one not in report.advice for report in reports)}
    return tuple(
        replace(report, advice=tuple(one for one in report.advice if one not in needed))
        for report in reports
    )


def _gone(project: Project) -> Iterator[CheckResult]:
    """Yield a red check for each model that a project's lock has, and its file has not."""
    path = project.root / locking.FILE
    entries = locking.read_lock(path) if path.is_file() else ()
    for name in dict.fromkeys(entry.tag.model for entry in entries):
        if name not in project.models:
            file = project.origin.name if project.origin else FILE
            message = f"the lock has {name}, and {file} has no [models.{name}]"
            fix = f"put the model back, or take the tables of {name} out of {locking.FILE}"
            yield CheckResult("lock model", name, "", Status.FAILED, message, name, fix=fix)


@dataclass(frozen=True)
class FinishedRun:
    """A finished run to judge: its report, the project whose limits count, and how it was named."""

    path: Path
    project: Project | None
    place: Path


def runs_at(place: Path, models: Sequence[str] = ()) -> tuple[FinishedRun, ...]:
    """Return the runs of a place: a report, a run's folder, a project file, or a project's folder.

    Of a project's ``[models]``, or those of them that are named, the newest run of each counts.
    """
    file = place / FILE if place.is_dir() else place
    if file.suffix == ".toml" and file.is_file():
        return runs_of(Project.load_all(file, models), place)
    if (place / ".edgekit" / "runs").is_dir():
        return (FinishedRun(latest(place), None, place),)
    return (FinishedRun(place, None, place),)


def runs_of(projects: Sequence[Project], place: Path | None = None) -> tuple[FinishedRun, ...]:
    """Return the newest run of each project. Raises :class:`ProjectError` where one has none."""
    return tuple(
        FinishedRun(latest(project.root, project.model.name), project, place or project.root)
        for project in projects
    )
