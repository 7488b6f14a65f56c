"""The picture of a training's figures, and what is kept of its data, seed and machine."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

from edgekit.report import words
from edgekit.training.curves import curves
from edgekit.training.evidence import hardware, kept

SVG = "{http://www.w3.org/2000/svg}"
ROWS = [
    {"accuracy": 0.5, "loss": 2.0, "val_loss": 2.5},
    {"accuracy": 0.75, "loss": math.nan, "val_loss": 1.5},
    {"accuracy": 1.0, "loss": 1.0, "val_loss": 3.0},
]


def drawn(rows: list[dict[str, float]]) -> ET.Element:
    return ET.fromstring(curves(rows))  # noqa: S314  (ours)


def test_curves_have_a_panel_for_each_figure_the_loss_first() -> None:
    bold = [e.text for e in drawn(ROWS).iter(f"{SVG}text") if e.get("font-weight")]
    assert bold == ["loss", "accuracy"]
    points = [e.get("points", "").split() for e in drawn(ROWS).iter(f"{SVG}polyline")]
    # Training and validation of the loss, then of the accuracy, which was not validated.
    assert [len(line) for line in points] == [2, 3, 3, 0]


def test_curve_rises_where_its_figure_does() -> None:
    lines = [e.get("points", "") for e in drawn(ROWS).iter(f"{SVG}polyline")]
    heights = [float(point.split(",")[1]) for point in lines[2].split()]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] > heights[-1]


def test_curves_of_one_epoch_and_of_a_hostile_name_are_drawn() -> None:
    assert len(list(drawn([{"loss": 1.0}]).iter(f"{SVG}circle"))) == 1
    text = curves([{"<script>": 1.0, "loss": 1.0}])
    assert "<script>" not in text
    assert ET.fromstring(text) is not None  # noqa: S314  (ours)


def test_evidence_of_a_training_is_said_and_absent_without_one() -> None:
    facts = {"trained": {
        "data": {"source": "train.csv", "digest": "0123456789abcdef"}, "items": 1000,
        "validation_items": 100, "batch_size": 32, "seed": 7, "epochs": 2, "steps": 64,
        "seconds": 1.25, "hardware": hardware(), "resumed": 0,
    }}  # fmt: skip
    said = "\n".join(words.training(kept(facts)))
    assert "1,000 items of train.csv (0123456789ab), 100 to validate on" in said
    assert "seed 7, 2 epochs, 64 steps of 32 items, 1.2 s" in said
    assert re.search(r"on \d+ cores, .+ GiB", said)
    # As an earlier version left them in the store.
    assert kept({"trained": {"epochs": 2, "resumed": 0}}) == {}
    assert words.training({}) == ()
