"""The fit board: which targets of the catalog what ships would fit, by tables."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.report import fit_board, words
from edgekit.report.html import models
from edgekit.report.html.shell import Badge, Section
from edgekit.types import Candidate, Report

# To look into a larger file takes longer than a page may take.
LARGEST = 8 << 20
BADGES = {
    "fits": Badge("fits", "✓", "good"),
    "fits in part": Badge("fits in part", "?", "doubt"),
    "does not fit": Badge("does not fit", "✕", "bad"),
    "not known": Badge("not known", "–", "doubt"),
}


@dataclass(frozen=True)
class FitRow:
    """A target, whether the file fits it, what each column says, and why not, with the fix."""

    target: str
    badge: Badge
    cells: tuple[str, ...]
    reasons: tuple[tuple[str, str], ...]
    asked: bool


@dataclass(frozen=True)
class FitView:
    """The board of one file, the targets of the run first."""

    model: str
    headings: tuple[str, ...]
    legend: str
    rows: tuple[FitRow, ...]


def section(report: Report) -> Section:
    """Return the section with the fit board of the file that a reader looks for first."""
    title, first = "Which targets it fits", models.leading(report)
    candidate = next((one for one in report.candidates if one.id == first), None)
    problem = _problem(candidate)
    if candidate is None or problem or candidate.path is None:
        remedy = "`edgekit targets fit FILE` shows it."
        return Section("fit", title, absent=f"Not judged here: {problem}. {remedy}")
    try:
        view = _view(report, candidate, candidate.path)
    except EdgekitError as error:
        return Section("fit", title, absent=f"Not judged here: {error.message}.")
    return Section("fit", title, "fit.html.j2", view)


def _problem(candidate: Candidate | None) -> str:
    """Say why a candidate's file is not looked into; empty where it is."""
    if candidate is None or candidate.path is None:
        return "there is no file"
    path = Path(candidate.path)
    try:
        if path.stat().st_size > LARGEST:
            return f"{candidate.id} has more than {words.size(LARGEST)}"
        if hashlib.sha256(path.read_bytes()).hexdigest() != candidate.sha256:
            return f"{words.path(path)} is another file than the run's"
    except OSError:
        return f"{words.path(path)} is not on this machine"
    return ""


def _view(report: Report, candidate: Candidate, path: Path) -> FitView:
    from edgekit.inspection import fits, inspect

    asked = {target.id for target in report.targets}
    rows = sorted(fits(inspect(path, candidate.signature)), key=lambda row: row.target not in asked)
    board_rows = []
    for row in rows:
        cells = {cell.column: cell for cell in row.cells}
        reasons = [
            (cell.reason, cell.fix)
            for cell in row.cells
            if cell.verdict not in ("fits", "does not apply") and cell.reason
        ]
        board_rows.append(
            FitRow(
                row.target,
                BADGES[row.verdict],
                tuple(fit_board.shown(cells[column]) for column in fit_board.HEADINGS),
                tuple(dict.fromkeys(reasons)),
                row.target in asked,
            )
        )
    headings = tuple(fit_board.HEADINGS.values())
    legend = f"{fit_board.LEGEND}; {fit_board.NOT_TRIED}"
    return FitView(candidate.id, headings, legend, tuple(board_rows))
