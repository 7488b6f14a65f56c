"""The page that sets two runs side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.report import charts
from edgekit.report.changes import (
    CandidateChange,
    FigureChange,
    LayerDeltas,
    RunChange,
    TargetChange,
    changes,
)
from edgekit.report.charts.run import of_report
from edgekit.report.document import plain
from edgekit.report.html import verdict
from edgekit.report.html.shell import Badge, Page, Section, badge, render
from edgekit.types import Report, Status
from edgekit.types.details import Details

# The kind of a badge, and a sign beside its word.
OUTCOMES = {
    "better": ("good", "✓"),
    "worse": ("bad", "✕"),
    "same": ("same", "="),
    "not proven": ("doubt", "?"),
    "not known": ("doubt", "∅"),
}
MOST_LAYERS = 30


@dataclass(frozen=True)
class Side:
    """A run of a comparison that was read from its folder."""

    report: Report
    details: Details | None = None


@dataclass(frozen=True)
class FigureRow:
    """A figure that changed, with the badge of what the change is worth."""

    figure: FigureChange
    badge: Badge


@dataclass(frozen=True)
class LayerRow:
    """A layer's bytes before and now; ``share`` of the largest change in per cent, by its sign."""

    name: str
    operator: str
    before: str
    now: str
    change: str
    share: float
    grew: bool


@dataclass(frozen=True)
class ChangeView:
    """A target or a candidate, what became of it in words, and its figures."""

    id: str
    note: str
    badges: tuple[Badge | None, Badge | None]
    figures: tuple[FigureRow, ...]
    operators: tuple[tuple[str, str], ...] = ()
    layers: tuple[LayerRow, ...] = ()
    layers_note: str = ""


@dataclass(frozen=True)
class CandidatesView:
    """The candidates of both runs, and the picture of both."""

    overlay: charts.Chart | charts.Absent
    rows: tuple[ChangeView, ...]


def comparison_page(before: Side, now: Side, held: Report) -> str:
    """Return the page of two runs of one model; ``held`` is this run held against the earlier."""
    change = changes(before.report, now.report, before.details, now.details)
    picture = charts.overlay(
        of_report(before.report, before.details), of_report(now.report, now.details)
    )
    names = [
        f"{side.report.model['name']} {side.report.model['version']}" for side in (before, now)
    ]
    title = names[1] if names[0] == names[1] else f"{names[0]} → {names[1].split(' ', 1)[-1]}"
    drawn = {} if isinstance(picture, charts.Absent) else {"overlay": plain(picture)}
    subtitle = f"run {before.report.run} → run {now.report.run}"
    footer = f"edgekit {now.report.environment['edgekit']}, {subtitle}"
    sections = tuple(_sections(change, picture, held))
    return render(Page(title, subtitle, badge(held.verdict.status), sections, footer, drawn))


def _sections(
    change: RunChange, picture: charts.Chart | charts.Absent, held: Report
) -> Iterator[Section]:
    yield Section("verdict", "Held against the earlier run", "verdict.html.j2", verdict.view(held))
    targets = tuple(map(_target, change.targets))
    yield Section("targets", "What targets ship", "changed.html.j2", targets)
    candidates = CandidatesView(picture, tuple(map(_candidate, change.candidates)))
    yield Section("candidates", "Candidates", "both.html.j2", candidates)
    if change.settings:
        yield Section("settings", "What was set otherwise", "settings.html.j2", change.settings)
    else:
        none = "Settings, versions and machine are the same."
        yield Section("settings", "What was set otherwise", absent=none)


def _target(change: TargetChange) -> ChangeView:
    return ChangeView(change.id, _shipped(change), _badges(change.statuses), _rows(change.figures))


def _shipped(change: TargetChange) -> str:
    """Say what a target shipped and what it ships."""
    if change.before is None:
        return f"The earlier run did not have it; ships {change.now or 'nothing'}."
    if change.now is None:
        return f"This run does not have it; shipped {change.before or 'nothing'}."
    if change.before == change.now:
        return f"Ships {change.now} as before." if change.now else "Ships nothing, as before."
    return f"Shipped {change.before or 'nothing'}, ships {change.now or 'nothing'}."


def _candidate(change: CandidateChange) -> ChangeView:
    notes = {"now": "The earlier run did not have it.", "before": "This run does not have it."}
    layers = change.layers or LayerDeltas(reason="there is no file of it in both runs")
    largest = max((abs(row.difference) for row in layers.rows), default=1)
    note = layers.reason
    if not note and not layers.rows:
        note = "no layer changed its size"
    elif layers.same or len(layers.rows) > MOST_LAYERS:
        more = len(layers.rows) - MOST_LAYERS
        parts = [f"{more} more changed"] if more > 0 else []
        parts += [f"{layers.same} did not change"] if layers.same else []
        note = "; ".join(parts)
    return ChangeView(
        change.id,
        notes.get(change.where, ""),
        _badges(change.statuses),
        _rows(change.figures),
        tuple((operator.name, operator.text) for operator in change.operators),
        tuple(
            LayerRow(
                row.layer,
                row.operator,
                "–" if row.before is None else f"{row.before:,} B",
                "–" if row.now is None else f"{row.now:,} B",
                f"{row.difference:+,} B",
                round(50 * abs(row.difference) / largest, 2),
                row.difference > 0,
            )
            for row in layers.rows[:MOST_LAYERS]
        ),
        note,
    )


def _badges(statuses: tuple[Status | None, Status | None]) -> tuple[Badge | None, Badge | None]:
    before, now = (None if status is None else badge(status) for status in statuses)
    return before, now


def _rows(figures: tuple[FigureChange, ...]) -> tuple[FigureRow, ...]:
    rows = []
    for figure in figures:
        kind, sign = OUTCOMES[figure.outcome]
        rows.append(FigureRow(figure, Badge(figure.outcome, sign, kind)))
    return tuple(rows)
