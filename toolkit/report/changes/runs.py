"""Two runs of one model side by side: what each target ships, and every candidate."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgekit.gate.lock import entries_of, entries_of_candidates
from edgekit.report.changes.contents import (
    LayerDeltas,
    OperatorChange,
    layer_deltas,
    operator_changes,
)
from edgekit.report.changes.figures import FigureChange, figure_changes
from edgekit.report.changes.settings import SettingChange, setting_changes
from edgekit.types import Report, Status
from edgekit.types.details import Details


@dataclass(frozen=True)
class TargetChange:
    """What a target shipped and ships; empty where it ships nothing, None where a run has none."""

    id: str
    before: str | None
    now: str | None
    statuses: tuple[Status | None, Status | None]
    figures: tuple[FigureChange, ...] = ()


@dataclass(frozen=True)
class CandidateChange:
    """A candidate in both runs, or in one of them; ``where`` is both, before or now."""

    id: str
    where: str
    statuses: tuple[Status | None, Status | None]
    figures: tuple[FigureChange, ...] = ()
    operators: tuple[OperatorChange, ...] = ()
    layers: LayerDeltas | None = None


@dataclass(frozen=True)
class RunChange:
    """Everything that changed from one run to another."""

    targets: tuple[TargetChange, ...]
    candidates: tuple[CandidateChange, ...]
    settings: tuple[SettingChange, ...]


def changes(
    before: Report,
    now: Report,
    details_before: Details | None = None,
    details_now: Details | None = None,
) -> RunChange:
    """Return what changed; figures are compared as ``edgekit check --baseline`` does."""
    before = replace(before, details=details_before)
    now = replace(now, details=details_now)
    ids = dict.fromkeys([*(c.id for c in now.candidates), *(c.id for c in before.candidates)])
    return RunChange(
        _targets(before, now),
        tuple(_candidate(name, before, now, details_before, details_now) for name in ids),
        setting_changes(before, now),
    )


def _targets(before: Report, now: Report) -> tuple[TargetChange, ...]:
    was = {target.id: target for target in before.targets}
    by_id = {target.id: target for target in now.targets}
    old = {entry.tag.target: entry for entry in entries_of(before)}
    new = {entry.tag.target: entry for entry in entries_of(now)}
    return tuple(
        TargetChange(
            name,
            (was[name].candidate or "") if name in was else None,
            (by_id[name].candidate or "") if name in by_id else None,
            (
                was[name].status if name in was else None,
                by_id[name].status if name in by_id else None,
            ),
            figure_changes(old[name], new[name]) if name in old and name in new else (),
        )
        for name in dict.fromkeys((*by_id, *was))
    )


def _candidate(
    name: str,
    before: Report,
    now: Report,
    details_before: Details | None,
    details_now: Details | None,
) -> CandidateChange:
    was = next((c for c in before.candidates if c.id == name), None)
    candidate = next((c for c in now.candidates if c.id == name), None)
    statuses = (was.status if was else None, candidate.status if candidate else None)
    if was is None or candidate is None:
        return CandidateChange(name, "now" if was is None else "before", statuses)
    old = next((e for e in entries_of_candidates(before) if e.tag.candidate == name), None)
    new = next((e for e in entries_of_candidates(now) if e.tag.candidate == name), None)
    if old is None or new is None:
        return CandidateChange(name, "both", statuses)
    return CandidateChange(
        name,
        "both",
        statuses,
        figure_changes(old, new),
        operator_changes(was.operators, candidate.operators),
        layer_deltas(
            details_before.candidates.get(name) if details_before else None,
            details_now.candidates.get(name) if details_now else None,
        ),
    )
