"""The operators of each file, in which precision each computes, and where float islands lie."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from edgekit.report import words
from edgekit.report.html import models
from edgekit.report.html.shell import Section
from edgekit.types import Candidate, Report
from edgekit.types.details import Details, OperatorRow, Operators

# A letter in each cell, so that colour alone never tells.
LETTERS = {
    "integer": "i",
    "float": "f",
    "dynamic": "d",
    "conversion": "c",
    "index": "x",
    "control": "›",
    "custom": "!",
}
MOST_ROWS = 120
MOST_CELLS = 600


@dataclass(frozen=True)
class Cell:
    """An operator in the strip: its kind with a letter, and its name."""

    kind: str
    letter: str
    title: str


@dataclass(frozen=True)
class KindCount:
    """How many operators are of a kind."""

    kind: str
    letter: str
    count: int


@dataclass(frozen=True)
class Island:
    """A part of an integer file that computes in float."""

    place: str
    operators: str


@dataclass(frozen=True)
class FileOperators:
    """The operators of one file; ``listed`` are what the report itself counts."""

    model: str
    listed: tuple[tuple[str, str, str], ...]
    cells: tuple[Cell, ...] = ()
    kinds: tuple[KindCount, ...] = ()
    islands: tuple[Island, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    in_all: int = 0
    release: str = ""
    forced_by: str = ""


def section(report: Report, details: Details | None) -> Section:
    """Return the section on operators."""
    first = models.leading(report)
    ordered = sorted(report.candidates, key=lambda one: one.id != first)
    files = tuple(_file(one, details) for one in ordered if one.operators)
    if not files:
        return Section("operators", "Operators", absent=models.missing("there is no file"))
    return Section("operators", "Operators", "operators.html.j2", files)


def _file(candidate: Candidate, details: Details | None) -> FileOperators:
    candidate_details = details.candidates.get(candidate.id) if details else None
    listed = tuple((op.name, str(op.version), f"{op.count:,}") for op in candidate.operators)
    need = candidate.minimum_runtime
    release, forced_by = (need.release, need.forced_by) if need else ("", "")
    if candidate_details is None or candidate_details.operators is None:
        return FileOperators(candidate.id, listed, release=release, forced_by=forced_by)
    operators = candidate_details.operators
    counts = Counter(row.kind for row in operators.rows)
    return FileOperators(
        candidate.id,
        listed,
        tuple(_cell(row) for row in operators.rows[:MOST_CELLS]),
        tuple(KindCount(kind, LETTERS.get(kind, "?"), n) for kind, n in counts.most_common()),
        tuple(_islands(operators)),
        tuple(_row(at, row) for at, row in enumerate(operators.rows[:MOST_ROWS])),
        len(operators.rows) + operators.left_out,
        release,
        forced_by,
    )


def _cell(row: OperatorRow) -> Cell:
    return Cell(row.kind, LETTERS.get(row.kind, "?"), f"{row.operator} {row.precision}")


def _row(at: int, row: OperatorRow) -> tuple[str, ...]:
    macs = f"{row.macs:,}" if row.macs else words.NONE
    island = words.NONE if row.island is None else str(row.island + 1)
    shape = "×".join(map(str, row.shape)) or words.NONE
    return (str(at), row.operator, row.precision, shape, macs, island, row.name)


def _islands(operators: Operators) -> list[Island]:
    return [
        Island(
            island.place,
            words.listed([f"{operators.rows[at].operator} ({at})" for at in island.rows], 6),
        )
        for island in operators.islands
    ]
