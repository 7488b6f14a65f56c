"""A table of two-line cells for a terminal, in which no figure is ever cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

# What a column of names keeps at least, before the columns are laid out below each other.
NAME = 24


@dataclass(frozen=True)
class Row:
    """A row of a table: each cell has a first line and a second, smaller one."""

    cells: tuple[tuple[str, str], ...]
    style: str = ""


@dataclass(frozen=True)
class Grid:
    """Titles and rows, laid out for the width there is.

    The first column is names, the last words or a figure; those between are figures, and so is what
    has a title. Names and words wrap where it is narrow. Where the figures are wider than a
    terminal, the columns that do not fit follow below, by the names again; a pipe has no edge.
    """

    titles: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType | Segment]:
        available = options.max_width
        for number, columns in enumerate(self._folds(available, console.is_terminal)):
            if number:
                yield ""
            widths = self._widths(columns, available)
            whole = options.update(width=max(available, _total(widths)))
            table = self._table(columns, widths)
            for line in console.render_lines(table, whole, pad=False):
                yield from _trimmed(line)

    def _folds(self, available: int, is_terminal: bool) -> Iterator[list[int]]:
        """Yield the columns of each table: all in one, where they fit or the width is unlimited."""
        columns = list(range(len(self.titles)))
        least = [self._least(at) for at in columns]
        if _total(least) <= available or not is_terminal:
            yield columns
            return
        taken = [0]
        for at in columns[1:]:
            if len(taken) > 1 and _total([least[column] for column in (*taken, at)]) > available:
                yield taken
                taken = [0]
            taken.append(at)
        yield taken

    def _widths(self, columns: Sequence[int], available: int) -> list[int]:
        """Compute the width of each column; names and words share what the figures leave."""
        widths = [self._least(at) for at in columns]
        for place in (0, len(columns) - 1):
            spare = max(0, available - _total(widths))
            widths[place] += min(spare, self._natural(columns[place]) - widths[place])
        return widths

    def _natural(self, at: int) -> int:
        return max((_width(line) for cell in self._column(at) for line in cell), default=0)

    def _least(self, at: int) -> int:
        """Return the width below which a column would cut what it shows."""
        natural = self._natural(at)
        if at == 0:
            return min(natural, NAME)
        if at < len(self.titles) - 1:
            return natural
        cells = self._column(at)
        words = [word for cell in cells for text in cell for word in text.split()]
        # A figure keeps its unit beside it; words without a title may stand below each other.
        firsts = [first for first, _ in cells] if self.titles[at][0] else []
        return min(natural, max(map(_width, (*words, *firsts)), default=0))

    def _column(self, at: int) -> list[tuple[str, str]]:
        return [self.titles[at], *(row.cells[at] for row in self.rows)]

    def _table(self, columns: Sequence[int], widths: Sequence[int]) -> RenderableType:
        from rich.table import Table

        shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
        # A title of one line stands level with the first line of the others.
        lines = any(second for _, second in self.titles)
        last = len(self.titles) - 1
        for at, width in zip(columns, widths, strict=True):
            first, second = self.titles[at]
            below = f"{second} " if lines and not second else second
            title = _cell(first, below, "bold", "dim not bold")
            justify = "left" if at in (0, last) else "right"
            shown.add_column(title, justify=justify, width=width, overflow="fold")  # type: ignore[arg-type]
        for row in self.rows:
            styles = ["" if at != last else row.style for at in columns]
            cells = [
                _cell(*row.cells[at], style, "dim")
                for at, style in zip(columns, styles, strict=True)
            ]
            shown.add_row(*cells)
        return shown


def grid(titles: Sequence[tuple[str, str]], rows: Iterable[Row]) -> Grid:
    """Build a table of two-line cells for a rich console: words left, figures right."""
    return Grid(tuple(titles), tuple(rows))


def single_lines(*cells: str) -> Row:
    """Build a row of cells with one line each."""
    return Row(tuple((cell, "") for cell in cells))


def _cell(first: str, second: str, style: str, below: str) -> RenderableType:
    from rich.text import Text

    text = Text(first, style)
    return text.append(f"\n{second}", below) if second else text


def _trimmed(line: list[Segment]) -> Iterator[Segment]:
    """Yield a line without the blanks at its end, which would be copied along with it."""
    from rich.segment import Segment

    *before, last = [segment for segment in line if not segment.control] or [Segment("")]
    while before and not last.text.strip():
        last = before.pop()
    yield from before
    yield Segment(last.text.rstrip(), last.style)
    yield Segment.line()


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text.rstrip())


def _total(widths: Sequence[int]) -> int:
    """Return the columns with a space between each two."""
    return sum(widths) + len(widths) - 1
