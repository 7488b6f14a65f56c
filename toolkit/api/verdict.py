"""The gate on a finished run: its budgets, and the lock or another run that it is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgekit.api.baselines import find_baseline, find_lock, tolerances_of
from edgekit.api.judgement import CheckOptions, Judged, judge, latest
from edgekit.errors import LockError
from edgekit.gate.lock import Baseline, hold
from edgekit.gate.verdict import combined, with_checks
from edgekit.project import FILE, Project
from edgekit.types import CheckedRuns, Report

__all__ = ["check", "check_all", "run_at"]


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
    Raises :class:`ProjectError` where the report is none, or holds no such precision, target or
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
    return _with_waivers(_held(judged, against, project), judged)


def _held(judged: Judged, against: Baseline | None, project: Project | None) -> Report:
    if against is None:
        return judged.report
    name = str(judged.report.model["name"])
    others = sorted({entry.tag.model for entry in against.entries})
    if against.against == "baseline" and name not in others:
        message = f"{against.origin} is a run of {', '.join(others)}, and this one is of {name}"
        hint = "compare runs of one model; two models: edgekit compare A B"
        raise LockError("EK-LOCK-008", message, hint)
    against = replace(against, whole=judged.whole)
    tolerances = tolerances_of(project)
    return hold(judged.report, against, tolerances, judged.waivers, judged.tables)


def _with_waivers(report: Report, judged: Judged) -> Report:
    """Add a red check for each waiver that has expired, and advice for each that nothing needs."""
    expired = judged.waivers.expired()
    report = with_checks(report, {"": expired}) if expired else report
    if not judged.whole:
        return report
    unused = judged.waivers.unused(report.verdict.checks)
    return replace(report, advice=(*report.advice, *unused))


def check_all(
    places: Sequence[Path], asked: CheckOptions | None = None, baseline: str | None = None
) -> CheckedRuns:
    """Judge several models' runs, each by its own limits and lock, to one verdict.

    A place is what :func:`run_at` takes. Raises what :func:`check` raises.
    """
    asked, runs = asked or CheckOptions(), [run_at(place) for place in places]
    reports = tuple(_checked(path, project, asked, baseline) for path, project in runs)
    return CheckedRuns(reports, combined([report.verdict for report in reports]))


def run_at(place: Path) -> tuple[Path, Project | None]:
    """Return the report and the project of a place: a report, a run's folder, or a project's,
    whose newest run counts.
    """
    if place.is_dir() and (place / FILE).is_file():
        return latest(place), Project.load(place / FILE)
    if (place / ".edgekit" / "runs").is_dir():
        return latest(place), None
    return place, None
