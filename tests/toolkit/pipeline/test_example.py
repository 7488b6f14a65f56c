"""The example project, as a newcomer runs it."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

PRECISIONS = ["float32", "float16", "dynamic", "int8"]


def test_example_converts_at_four_precisions(digits_report: Any) -> None:
    assert [c["precision"] for c in digits_report["candidates"]] == PRECISIONS
    assert [c["status"] for c in digits_report["candidates"]] == ["passed"] * 4


def test_example_judges_on_the_whole_held_out_set(digits_report: Any) -> None:
    everyone = [digits_report["reference"], *digits_report["candidates"]]
    assert {one["metrics"]["accuracy"]["n"] for one in everyone} == {718}


def test_example_learns_its_digits(digits_report: Any) -> None:
    assert digits_report["reference"]["metrics"]["accuracy"]["value"] > 0.93


def test_example_ships_a_bundle_that_exists(digits_run: Path, digits_report: Any) -> None:
    (target,) = digits_report["targets"]
    assert target["status"] == "passed"
    with tarfile.open(next((digits_run / "project" / "dist").glob("*.tar.gz"))) as archive:
        names = archive.getnames()
    assert any(name.endswith("/model.tflite") for name in names)


def test_example_prints_only_json_on_stdout(digits_run: Path) -> None:
    text = (digits_run / "stdout.json").read_text()
    assert text.startswith("{")
    assert text.rstrip().endswith("}")
