"""Layers on the terminal: the first fall stands out, and what was not compared is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from edgekit.evaluation.layers.likeness import Likeness
from edgekit.evaluation.layers.parity import LayerParity, MatchedLayer
from edgekit.report.layers import layer_lines, layer_table, likeness_line
from edgekit.types import Measurement


def layer(
    name: str, sqnr: float, added: float, fall: float, inputs: tuple[int, ...]
) -> MatchedLayer:
    def of(value: float, unit: str) -> Measurement:
        return Measurement(value, unit, n=4)

    return MatchedLayer(
        "CONV_2D",
        name,
        0,
        0,
        inputs,
        "graph",
        of(sqnr, "dB"),
        of(sqnr - 1, "dB"),
        of(0.25, "tensor"),
        of(0.125, "tensor"),
        of(0.99, "1"),
        of(added, "1"),
        of(fall, "dB"),
    )


SOUND = LayerParity(
    "a.tflite on local",
    "b.tflite on tflm",
    4,
    (layer("first", 40.0, 1e-4, 0.5, ()), layer("second", 39.0, 2e-5, -0.5, (0,))),
    (),
    (),
    (),
    (),
)
LATE = layer("third", 12.0, 0.06, 17.0, (1,))
FAULTY = replace(SOUND, layers=(*SOUND.layers, LATE, layer("fourth", 11.0, 0.01, 1.0, (2,))))


def drawn(found: LayerParity, most: int | None = None) -> str:
    console = Console(width=100, no_color=True)
    with console.capture() as captured:
        console.print(layer_table(found, most))
    return captured.get()


def test_the_first_fall_is_marked_in_the_table() -> None:
    lines = drawn(FAULTY).splitlines()
    assert [line.split()[0] for line in lines if "falls" in line] == ["third"]
    row = next(line for line in lines if line.startswith("third"))
    assert row.split() == ["third", "12.0", "0.25", "0.99000", "6", "%", "falls", "here", "first"]
    assert max(map(len, lines)) <= 100
    assert "falls" not in drawn(SOUND)


def test_the_table_can_hold_only_what_adds_most() -> None:
    lines = drawn(FAULTY, 2).splitlines()
    names = ("first", "second", "third", "fourth")
    assert [one.split()[0] for one in lines if one.startswith(names)] == ["third", "fourth"]


def test_the_lines_say_where_it_falls_and_what_adds_most() -> None:
    text = "\n".join(line for line, _ in layer_lines(FAULTY))
    assert "falls first at CONV_2D third, by 17.0 dB" in text
    assert "most noise is added by CONV_2D third 6 %; CONV_2D fourth 1 %; CONV_2D first" in text
    assert "4 tensors, 4 items" in text
    assert "no layer falls by more than 10 dB beyond what rounding explains" in "\n".join(
        t for t, _ in layer_lines(SOUND)
    )


def test_the_lines_say_what_was_not_compared() -> None:
    found = replace(SOUND, left_only=("PAD (p)",), missing=("t of b.tflite: gone",), notes=("n",))
    text = "\n".join(line for line, _ in layer_lines(found))
    assert "only left: PAD (p)" in text
    assert "t of b.tflite: gone\nn" in text


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("different weights", "these are two different networks: other weights (why)"),
        ("different structure", "these are two different networks: another structure (why)"),
        ("same weights", "the same weights (why)"),
        ("not known", "not known whether these are the same network (why)"),
    ],
)
def test_two_different_networks_are_called_that(verdict: str, said: str) -> None:
    line, style = likeness_line(Likeness(verdict, "why", (), 1.0))  # type: ignore[arg-type]
    assert line == said
    assert (style == "red") == verdict.startswith("different")
