"""report.json: its shape, and the way back."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgekit.report import document

SCHEMA = json.loads(document.SCHEMA.read_text())


def test_report_fits_the_shipped_schema(digits_report: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(digits_report, SCHEMA)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("verdict", "exit_code"), 2),
        (("verdict", "status"), "fine"),
        (("reference", "metrics", "accuracy", "value"), None),
        (("reference", "digest"), "unknown"),
        (("candidates", 0, "latency", "p50", "unit"), 3),
        (("surprise",), 1),
    ],
)
def test_schema_goes_red_when_a_field_is_wrong(
    digits_report: Any, where: tuple[Any, ...], value: Any
) -> None:
    broken = copy.deepcopy(digits_report)
    at = broken
    for part in where[:-1]:
        at = at[part]
    at[where[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCHEMA)


def test_report_survives_the_way_to_json_and_back(digits_report: Any) -> None:
    assert document.to_json(document.from_json(digits_report)) == digits_report


def test_run_folder_holds_every_form_and_the_artefacts(
    digits_run: Path, digits_report: Any
) -> None:
    folder = digits_run / "project" / ".edgekit" / "runs" / digits_report["run"]
    for name in ("report.json", "summary.md", "junit.xml", "log.txt", "build/int8/model.tflite"):
        assert (folder / name).stat().st_size > 0
    assert len(list((folder / "dist").glob("*.tar.gz"))) == 1
    assert json.loads((folder / "report.json").read_text()) == digits_report


def test_report_says_which_runtime_each_candidate_needs(digits_report: Any) -> None:
    needs = {one["precision"]: one["minimum_runtime"] for one in digits_report["candidates"]}
    for need in needs.values():
        # The target of the example names tflite-runtime 2.14, and every file is made for it.
        assert tuple(int(part) for part in need["value"].split(".")) <= (2, 14, 0)
        assert (need["how"], need["reason"]) == ("estimated", "")
    assert "CONV_2D version 5" in needs["dynamic"]["forced_by"]
