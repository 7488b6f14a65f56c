"""Figures of past runs, over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit import history
from edgekit.errors import HistoryError, did_you_mean
from edgekit.history import Commit, Trend
from edgekit.types import Report


@dataclass(frozen=True)
class Trends:
    """Trends, and the commits between the runs on both sides of each step, where git has them."""

    trends: tuple[Trend, ...]
    between: Mapping[tuple[str, str], Sequence[Commit]]


def add_to_history(report: Report, path: Path, commit: str | None = None) -> bool:
    """Add a run's figures to a history: a ``.jsonl`` file, or a folder with a file per run.

    ``commit`` is a revision of the repository that the history lies in; by default the one that is
    checked out. Returns False where the run is there already. Raises :class:`HistoryError`.
    """
    folder = path.absolute().parent
    while not folder.is_dir():
        folder = folder.parent
    resolved = history.commit_of(folder, commit or "HEAD")
    if commit and not resolved:
        message = f"git has no commit {commit!r} in {folder}"
        raise HistoryError("EK-HISTORY-006", message, "name a commit, or leave --commit out")
    return history.add(path, history.entries(report, resolved))


def trends(
    path: Path,
    names: Sequence[str] = (),
    targets: Sequence[str] = (),
    models: Sequence[str] = (),
    candidate: str | None = None,
    last: int | None = None,
) -> Trends:
    """Return how figures went from run to run, narrowed to some figures, targets or models.

    ``last`` keeps the newest runs alone. Raises :class:`HistoryError`.
    """
    entries = history.read(path)
    if last is not None:
        runs = list(dict.fromkeys(entry.run for entry in entries))[-last:]
        entries = tuple(entry for entry in entries if entry.run in runs)
    for kind, chosen, known in (
        ("target", targets, {entry.target for entry in entries if entry.target}),
        ("model", models, {entry.model for entry in entries}),
        ("candidate", [candidate] if candidate else [], {entry.candidate for entry in entries}),
        ("figure", names, {name for entry in entries for name in entry.figures}),
    ):
        _known(path, kind, chosen, known)
    entries = tuple(
        entry
        for entry in entries
        if (not targets or entry.target in targets) and (not models or entry.model in models)
    )
    shown = tuple(
        trend for trend in history.trends(entries, candidate) if not names or trend.name in names
    )
    ends = {
        (trend.points[step.at - 1].commit, trend.points[step.at].commit)
        for trend in shown
        for step in trend.steps or ()
    }
    folder = path.absolute() if path.is_dir() else path.absolute().parent
    between = {pair: history.commits_between(folder, *pair) for pair in ends if pair[1]}
    return Trends(shown, between)


def _known(path: Path, kind: str, chosen: Sequence[str], known: set[str]) -> None:
    for name in chosen:
        if name not in known:
            message = f"{path} has no {kind} {name!r}{did_you_mean(name, known)}"
            raise HistoryError("EK-HISTORY-003", message, f"it has {', '.join(sorted(known))}")
