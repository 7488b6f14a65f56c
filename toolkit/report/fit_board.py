"""Which targets a file fits, on the terminal: the fit board, and the same in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.inspection import Cell, TargetFit
from edgekit.report import words
from edgekit.report.grid import Row, grid, single_lines
from edgekit.wrapping import wrapped

Line = tuple[str, str]
STYLES = {"fits": "green", "does not fit": "red"}
# The board's columns, and what is left out where a terminal is too narrow for all.
HEADINGS = {
    "operators": "operators",
    "runtime": "runs",
    "flash": "flash",
    "memory": "RAM",
    "precision": "precision",
    "npu": "NPU",
    "io": "I/O",
}
DROP = ("precision", "NPU", "operators", "runs")
NAMES = {
    **HEADINGS,
    "runtime": "runtime",
}
MARKS = {"fits": "yes", "does not fit": "no", "fits in part": "part", "not known": "?"}
# How many targets a reason names on the terminal.
NAMED = 4
LEGEND = (
    "yes, no and shares are measured: by the file's bytes, or run once on zeros by that runtime on"
    " such a machine; ~ is estimated: by tables, by an NPU's compiler, or run on this machine; ? is"
    " not known, – does not apply"
)
NOT_TRIED = "by tables, nothing was run: edgekit targets fit FILE tries it"


def board(rows: Sequence[TargetFit]) -> object:
    """Build the fit board: a row per target."""
    titles = ("target", "fits", *HEADINGS.values())
    return grid([(title, "") for title in titles], map(_row, rows), DROP)


def _row(row: TargetFit) -> Row:
    by_column = {cell.column: cell for cell in row.cells}
    cells = [shown(by_column[column]) for column in HEADINGS]
    line = single_lines(row.target, MARKS[row.verdict], *cells)
    return Row(line.cells, STYLES.get(row.verdict, "yellow"), whole=True)


def lines(rows: Sequence[TargetFit], is_tried: bool, verbose: bool = False) -> Iterator[Line]:
    """Yield what the board's marks mean, and what stands against targets, with the nearest fix."""
    yield from _wrapped(LEGEND if is_tried else f"{LEGEND}; {NOT_TRIED}", "", "dim")
    yield from _reasons(rows, verbose)


def summary(rows: Sequence[TargetFit]) -> Iterator[Line]:
    """Yield the targets by verdict, then what stands against them."""
    yield from verdicts(rows)
    yield from _wrapped(f"judged {NOT_TRIED}", "  ", "dim")
    yield from _reasons(rows, False)


def verdicts(rows: Sequence[TargetFit]) -> Iterator[Line]:
    """Yield the targets by verdict."""
    for verdict in ("fits", "fits in part", "does not fit", "not known"):
        names = [row.target for row in rows if row.verdict == verdict]
        if names:
            text = f"{verdict}: {', '.join(names)}"
            yield from _wrapped(text, "", STYLES.get(verdict, "yellow"))


def shown(cell: Cell) -> str:
    """Return what a cell shows: its share where it has one, else whether it fits."""
    if cell.verdict == "does not apply":
        return words.NONE
    if cell.verdict == "not known":
        return "?"
    share = cell.column in ("flash", "memory", "npu") and cell.value.endswith("%")
    text = cell.value.replace(" ", "") if share else MARKS[cell.verdict]
    return f"{words.ESTIMATE}{text}" if cell.how == "estimated" else text


def _reasons(rows: Sequence[TargetFit], verbose: bool) -> Iterator[Line]:
    """Yield each reason once, with the targets and columns that it concerns, and its fix."""
    reasons: dict[tuple[str, str], tuple[dict[str, None], dict[str, None], bool]] = {}
    for row in rows:
        for cell in row.cells:
            if cell.verdict in ("fits", "does not apply"):
                continue
            key = (cell.reason, cell.fix)
            columns, targets, red = reasons.get(key, ({}, {}, False))
            columns[NAMES[cell.column]] = targets[row.target] = None
            reasons[key] = (columns, targets, red or cell.verdict == "does not fit")
    # What stands against a target first.
    ordered = sorted(reasons.items(), key=lambda reason: not reason[1][2])
    for (reason, fix), (columns, targets, red) in ordered:
        named = words.listed(list(targets), len(targets) if verbose else NAMED)
        style = "red" if red else "yellow"
        where = f"{named} ({', '.join(columns)})"
        yield from _wrapped(f"{where}: {reason}", "", style)
        if fix:
            yield from _wrapped(f"nearest fix: {fix}", "  ", "dim")


def _wrapped(text: str, indent: str, style: str) -> Iterator[Line]:
    for line in wrapped(text, words.columns(), indent, f"{indent}  "):
        yield line, style
