"""Tables on terminals of any width and through a pipe: no figure is cut."""

from __future__ import annotations

import io
import re

import pytest

from edgekit.cli.console import console
from edgekit.report import words
from edgekit.report.grid import Row, grid

TITLES = (
    ("model", "device"),
    ("size", ""),
    ("mse", "95 % interval"),
    ("drop", "95 % interval"),
    ("flips", "changed"),
    ("max error", "SQNR"),
    ("p50", "ratio"),
)
# An unbounded error of a regression: its figures are as wide as they come.
ROWS = (
    Row(
        (
            ("reference_of_the_houses.tflite", "litert 2.3.0"),
            ("15.5 kB", ""),
            ("26158.4", "[21803.2, 31250.9]"),
            ("reference", ""),
            ("–", ""),
            ("", ""),
            ("2.31 µs", ""),
        )
    ),
    Row(
        (
            ("houses_quantized_to_int8_by_hand.tflite", "litert 2.3.0"),
            ("9,996 B", ""),
            ("26161.7", "[21811.1, 31260.6]"),
            ("3.31267", "[-12.4418, 19.8753]"),
            ("100.00 %", "100.00 %"),
            ("112.383", "42.7 dB"),
            ("11.31 µs", "x0.00418"),
        ),
        "red",
    ),
)
FIGURES = [text for row in ROWS for cell in row.cells[1:] for text in cell if text]


DROP = ("max error", "size", "flips")


def _shown(
    width: int,
    terminal: bool,
    monkeypatch: pytest.MonkeyPatch,
    columns: int = len(TITLES),
    verbose: bool = False,
) -> list[str]:
    file = io.StringIO()
    monkeypatch.setattr("sys.stdout", file)
    out = console(False)
    out.edge, out.verbose, out.width = terminal, verbose, width
    rows = [Row(row.cells[:columns], row.style) for row in ROWS]
    out.print(grid(TITLES[:columns], rows, DROP))
    return re.sub(r"\x1b\[[\d;]*m", "", file.getvalue()).splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
@pytest.mark.parametrize("verbose", [True, False])
def test_no_figure_is_cut_at_any_width(
    width: int, verbose: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for terminal in (True, False):
        lines = _shown(width, terminal, monkeypatch, verbose=verbose)
        text = "\n".join(f" {line} " for line in lines)
        assert "…" not in text
        assert lines == [line.rstrip() for line in lines]
        dropped = terminal and "left out" in text
        shown = [figure for figure in FIGURES if f" {figure} " in text]
        assert len(shown) == len(FIGURES) or dropped
        assert not dropped or not verbose
        assert not terminal or max(map(len, lines)) <= width


def test_columns_that_do_not_fit_are_left_out_in_order_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = " ".join(_shown(80, True, monkeypatch)[-2:])
    named = "size, flips, max error; -v, --json or 97 columns show them"
    assert told == f"left out at 80 columns: {named}"
    assert not any("left out" in line for line in _shown(97, True, monkeypatch))
    assert "left out at 96 columns: max error;" in " ".join(_shown(96, True, monkeypatch))
    assert not any("left out" in line for line in _shown(80, False, monkeypatch))


def test_verbose_shows_what_is_left_out_below_by_the_names_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = _shown(80, True, monkeypatch, verbose=True)
    blank = lines.index("")
    assert "model" in lines[0]
    assert "model" in lines[blank + 1]
    assert "112.383" in "".join(lines[blank:])


def test_row_becomes_a_block_where_not_even_the_essentials_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = _shown(40, True, monkeypatch)
    assert lines[0] == "reference_of_the_houses.tflite"
    assert "  95 % interval [-12.4418, 19.8753]" in lines
    assert "  max error     112.383" in lines


def test_names_wrap_before_figures_move(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _shown(60, True, monkeypatch, columns=3)
    assert max(map(len, lines)) <= 60
    assert "" not in lines
    assert any("houses_quantized_to_int8" in line for line in lines)


def test_small_sizes_are_exact_so_that_a_copied_arena_is_enough() -> None:
    assert words.size(4640) == "4,640 B"
    assert words.size(9_999) == "9,999 B"
    assert words.size(25_608) == "25.6 kB"
    assert words.exact(1_234_567) == "1,234,567 B"
