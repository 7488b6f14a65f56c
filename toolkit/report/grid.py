"""A table of two-line cells that adapts to the terminal: no figure is cut, no word broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.wrapping import (
    BOUND,
    bound,
    broken,
    cells,
    folded,
    longest_part,
    longest_word,
    wrapped,
)

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

# What a column of names, and one of words, keeps at least before others are left out.
NAME = 24
WORDS = 20


@dataclass(frozen=True)
class Row:
    """A row of a table: each cell has a first line and a second, smaller one.

    The style is that of its last cell, or of its first lines as a ``whole``.
    """

    cells: tuple[tuple[str, str], ...]
    style: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Grid:
    """Titles and rows, laid out for the width there is.

    The first column is names, the last words or a figure; those between are figures. Names and
    words wrap where it is narrow. What does not fit on a terminal then is left out, in the order of
    ``drop``, a column's first title or its number, and a line below says so; with ``-v`` it follows
    below, by the names again. Where not even the others fit, each row is a block of lines. Through
    a pipe a table has no edge: nothing of it wraps.
    """

    titles: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    drop: tuple[str | int, ...] = ()

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        edge = getattr(console, "edge", console.is_terminal)
        verbose = getattr(console, "verbose", False)
        from rich.text import Text

        for line in self.lines(options.max_width, edge=edge, verbose=verbose):
            yield Text.assemble(*line, no_wrap=True, overflow="ignore")

    def lines(self, width: int, *, edge: bool = True, verbose: bool = False) -> Iterator[Line]:
        """Yield the lines, each as texts with their styles; with ``edge`` none is wider."""
        every = list(range(len(self.titles)))
        if not edge:
            width = max(width, _total([self._natural(at) for at in every]))
        kept = self._kept(width)
        left = [at for at in every if at not in kept]
        further = list(self._folds(left, width)) if left and verbose else []
        if not kept or any(self._need(columns) > width for columns in further):
            yield from self._blocks(width)
            return
        yield from self._table(kept, width)
        for columns in further:
            yield []
            yield from self._table(columns, width)
        if left and not verbose:
            names = ", ".join(self._name(at) for at in left)
            need = f"{self._need(every)} columns"
            show = "show it" if len(left) == 1 else "show them"
            told = f"left out at {width} columns: {names}; -v, --json or {need} {show}"
            yield from ([(line, "dim")] for line in wrapped(told, width))

    def _kept(self, width: int) -> list[int]:
        """Return the columns that fit; none where not even those fit that are never left out."""
        kept = list(range(len(self.titles)))
        for dropped in self._dropped():
            if self._need(kept) <= width:
                return kept
            kept.remove(dropped)
        return kept if self._need(kept) <= width else []

    def _dropped(self) -> list[int]:
        """Return the columns that may be left out, in order; a title that is not there is none."""
        firsts = [first for first, _ in self.titles]
        numbers = [
            name if isinstance(name, int) else firsts.index(name)
            for name in self.drop
            if isinstance(name, int) or name in firsts
        ]
        return [at for at in numbers if any(text for row in self.rows for text in row.cells[at])]

    def _name(self, at: int) -> str:
        first, second = self.titles[at]
        several = sum(one == first for one, _ in self.titles) > 1
        return f"{first} {second}".strip() if several or not first else first

    def _folds(self, columns: Sequence[int], width: int) -> Iterator[list[int]]:
        """Yield the columns of each table that follows below, the names first."""
        taken = [0]
        for at in columns:
            if len(taken) > 1 and self._need([*taken, at]) > width:
                yield taken
                taken = [0]
            taken.append(at)
        yield taken

    def _need(self, columns: Sequence[int]) -> int:
        return _total([self._least(at) for at in columns])

    def _least(self, at: int) -> int:
        """Return the width below which a column would cut a figure or break a word."""
        natural = self._natural(at)
        texts = [text for cell in self._column(at) for text in cell]
        if at == 0:
            return min(natural, max(NAME, *map(longest_part, texts)))
        if at < len(self.titles) - 1:
            figures = [text for row in self.rows for text in row.cells[at]]
            titles = max(map(longest_part, map(bound, self.titles[at])))
            return max(titles, *map(cells, figures)) if figures else natural
        return min(natural, max(WORDS, *map(longest_word, texts)))

    def _natural(self, at: int) -> int:
        return max(cells(line) for cell in self._column(at) for line in cell)

    def _column(self, at: int) -> list[tuple[str, str]]:
        return [self.titles[at], *(row.cells[at] for row in self.rows)]

    def _widths(self, columns: Sequence[int], width: int) -> list[int]:
        """Compute the width of each column; names, words and titles share what figures leave."""
        widths = [self._least(at) for at in columns]
        for place in (0, len(columns) - 1, *range(1, len(columns) - 1)):
            spare = max(0, width - _total(widths))
            widths[place] += min(spare, self._natural(columns[place]) - widths[place])
        return widths

    def _table(self, columns: Sequence[int], width: int) -> Iterator[Line]:
        widths = self._widths(columns, width)
        titles = [self.titles[at] for at in columns]
        styles = [("bold", "dim")] * len(columns)
        # A title that wraps stands on its second line, as the others do.
        high = max(
            len(_titled(first, width)) for (first, _), width in zip(titles, widths, strict=True)
        )
        yield from self._drawn(columns, titles, styles, widths, high)
        for row in self.rows:
            styled = columns if row.whole else [len(self.titles) - 1]
            styles = [(row.style if at in styled else "", "dim") for at in columns]
            yield from self._drawn(columns, [row.cells[at] for at in columns], styles, widths)

    def _drawn(
        self,
        columns: Sequence[int],
        row: Sequence[tuple[str, str]],
        styles: Sequence[tuple[str, str]],
        widths: Sequence[int],
        high: int = 0,
    ) -> Iterator[Line]:
        """Yield the lines of one row: as many as its highest cell has.

        Titles are ``high``; the first lines of figures are whole.
        """
        last = len(self.titles) - 1
        drawn = []
        for at, cell, width, style in zip(columns, row, widths, styles, strict=True):
            split = _titled if high else broken if at == 0 else folded if at == last else _whole
            texts = [(text, style[0]) for text in split(cell[0], width)]
            texts = [("", "")] * (high - len(texts)) + texts
            # A second line stands below the first even where that is empty.
            texts += [(text, style[1]) for text in split(cell[1], width)] if cell[1] else []
            drawn.append(texts)
        for number in range(max(map(len, drawn))):
            line: Line = []
            for at, texts, width in zip(columns, drawn, widths, strict=True):
                text, shown = texts[number] if number < len(texts) else ("", "")
                blank = " " * (width - cells(text))
                left = at in (0, last)
                line += [(text, shown), (blank, "")] if left else [(blank, ""), (text, shown)]
                line.append((" ", ""))
            yield _trimmed(line)

    def _blocks(self, width: int) -> Iterator[Line]:
        """Yield each row as a block: its name, then a line for each figure."""
        titles = [self._labels(at) for at in range(1, len(self.titles))]
        labels = [text for title in titles for text in title]
        label = min(max(map(cells, labels), default=0), max(width // 2 - 2, 1))
        for number, row in enumerate(self.rows):
            if number:
                yield []
            name, subtitle = row.cells[0]
            others = row.cells[1:]
            # A number alone says nothing of what it is of.
            name = f"{self.titles[0][0]} {name}" if name.isdigit() else name
            yield from ([(text, "bold")] for text in broken(name, width))
            if subtitle:
                yield from ([(text, "dim")] for text in broken(subtitle, width))
            last = len(others) - 1
            for at, (title, cell) in enumerate(zip(titles, others, strict=True)):
                for which, style in ((0, row.style if at == last else ""), (1, "dim")):
                    if cell[which].strip():
                        yield from _field(title[which], cell[which], style, label, width)

    def _labels(self, at: int) -> tuple[str, str]:
        """Return a column's titles; as one, where its cells have one line."""
        first, second = self.titles[at]
        if any(row.cells[at][1] for row in self.rows):
            return first, second
        return f"{first} {second}".strip(), ""


Line = list[tuple[str, str]]


def grid(
    titles: Sequence[tuple[str, str]], rows: Iterable[Row], drop: Sequence[str | int] = ()
) -> Grid:
    """Build a table of two-line cells for a rich console: words left, figures right."""
    return Grid(tuple(titles), tuple(rows), tuple(drop))


def single_lines(*texts: str) -> Row:
    """Build a row of cells with one line each."""
    return Row(tuple((text, "") for text in texts))


def _field(label: str, text: str, style: str, room: int, width: int) -> Iterator[Line]:
    """Yield a labelled figure: beside its label, or below it where there is no room."""
    indent = 2
    named = broken(label, room) if label else [""]
    if indent + room + 1 + longest_word(text) <= width and len(named) == 1:
        lines = folded(text, width - indent - room - 1)
        for number, line in enumerate(lines):
            shown = named[0] if not number else ""
            blank = " " * (room - cells(shown) + 1)
            yield [(" " * indent, ""), (shown, "dim"), (blank, ""), (line, style)]
        return
    if label:
        yield from ([(" " * indent + one, "dim")] for one in broken(label, width - indent))
    for line in folded(text, width - 2 * indent):
        yield [(" " * 2 * indent, ""), (line, style)]


def _whole(text: str, _: int) -> list[str]:
    return [text]


def _titled(text: str, width: int) -> list[str]:
    return [one.replace(BOUND, " ") for one in broken(bound(text), width)]


def _trimmed(line: Line) -> Line:
    """Return a line without the blanks at its end, which would be copied along with it."""
    while line and not line[-1][0].strip():
        line.pop()
    if line:
        text, style = line[-1]
        line[-1] = (text.rstrip(), style)
    return line


def _total(widths: Sequence[int]) -> int:
    """Return the columns with a space between each two."""
    return sum(widths) + len(widths) - 1
