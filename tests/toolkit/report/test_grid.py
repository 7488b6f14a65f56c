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


def _shown(
    width: int, terminal: bool, monkeypatch: pytest.MonkeyPatch, columns: int = len(TITLES)
) -> list[str]:
    file = io.StringIO()
    monkeypatch.setattr("sys.stdout", file)
    monkeypatch.setattr("edgekit.report.words.WIDTH", width)
    out = console(False)
    out._force_terminal = terminal
    rows = [Row(row.cells[:columns], row.style) for row in ROWS]
    out.print(grid(TITLES[:columns], rows))
    return re.sub(r"\x1b\[[\d;]*m", "", file.getvalue()).splitlines()


@pytest.mark.parametrize("width", [50, 60, 80, 100, 160])
@pytest.mark.parametrize("terminal", [True, False])
def test_no_figure_is_cut_at_any_width(
    width: int, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = _shown(width, terminal, monkeypatch)
    text = "\n".join(f" {line} " for line in lines)
    assert "…" not in text
    assert lines == [line.rstrip() for line in lines]
    for figure in FIGURES:
        assert f" {figure} " in text
    if terminal:
        assert max(map(len, lines)) <= width


def test_columns_that_do_not_fit_follow_below_by_the_names_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = _shown(60, True, monkeypatch)
    blank = lines.index("")
    assert "model" in lines[0]
    assert "model" in lines[blank + 1]
    assert "x0.00418" in "".join(lines[blank:])
    assert _shown(160, True, monkeypatch).count("") == 0


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
