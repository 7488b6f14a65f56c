"""report.json: its shape, and the way back."""

from __future__ import annotations

import copy
import json
import platform
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgekit import api, report
from edgekit.errors import ProjectError
from edgekit.report import document, words

FIRST = Path(__file__).with_name("samples") / "report_version_1.json"
FAILING = FIRST.with_name("report_failing.json")
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


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        (("candidates", 0, "bytes"), float("nan"), "NaN"),
        (("candidates", 0, "bytes"), float("inf"), "Infinity"),
        (("candidates", 0, "bytes"), 10**400, "candidates[0].bytes"),
        (("candidates", 0, "bytes"), "many", "candidates[0].bytes"),
        (("candidates", 0), [], "candidates[0]"),
        (("model", "name"), "\ud800", "model.name"),
        (("run",), None, "run"),
        (("settings", "targets"), {"linux-x86_64": {"budgets": 3}}, "settings.targets"),
        (("settings", "targets"), {"linux-x86_64": {"budgets": {"size": []}}}, "settings.targets"),
        (("advice",), [[[]]], "advice[0]"),
        (("reference", "metrics", "accuracy", "high"), -1.0, "reference.metrics.accuracy"),
        (("schema_version",), 7, "schema_version 7 is of a newer edgekit"),
        (("schema_version",), "2", "schema_version 2 is not known"),
    ],
)
def test_report_of_another_hand_is_refused_with_the_place(
    digits_report: Any, tmp_path: Path, where: tuple[Any, ...], value: Any, says: str
) -> None:
    broken = copy.deepcopy(digits_report)
    at = broken
    for part in where[:-1]:
        at = at[part]
    at[where[-1]] = value
    (tmp_path / "report.json").write_text(json.dumps(broken))
    with pytest.raises(ProjectError) as caught:
        api.check(tmp_path / "report.json")
    assert caught.value.code == "EK-REPORT-002"
    assert says in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff", b"3", b'{"run": ' + b"9" * 5000])
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(ProjectError, match="EK-REPORT-002"):
        api.check(tmp_path)


def test_report_of_a_gibibyte_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "report.json").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ProjectError, match="larger than 64 MiB"):
        api.check(tmp_path)


def test_report_of_the_first_version_is_read_and_judged_as_then() -> None:
    before = json.loads(FIRST.read_text())
    report = document.read(FIRST)
    now = document.to_json(report)
    jsonschema.validate(now, SCHEMA)
    assert (before["schema_version"], now["schema_version"]) == (1, 2)
    for old, new in zip(before["candidates"], now["candidates"], strict=True):
        # What a release of now says besides.
        assert new["latency"].pop("beside") == {}
        assert {name: new[name] for name in old} == old
        assert new["semantic_hash"] == ""
    assert api.check(FIRST).verdict.status.value == before["verdict"]["status"]


def test_report_says_what_a_later_one_is_compared_by(digits_report: Any) -> None:
    hashes = {one["semantic_hash"] for one in digits_report["candidates"]}
    assert len(hashes) == len(digits_report["candidates"])
    assert len(digits_report["settings"]["items"]["digest"]) == 64
    assert digits_report["environment"]["device"]["machine"] == platform.machine()


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


def test_what_is_red_is_told_with_what_to_do_once_and_quietly_without() -> None:
    found = document.read(FAILING)
    lines = [line for line, _ in report.result_lines(found)]
    red = "  FAILED: raspberry-pi-4 int8 size (at most 20,000 bytes): the file has 27,736 bytes"
    fix = lines[lines.index(red) + 1]
    assert fix.startswith("    make it smaller: `edgekit compress`")
    assert lines.count(fix) == 1
    quiet = [line for line, _ in report.result_lines(found, quiet=True)]
    assert red in quiet
    assert fix not in quiet


def test_a_target_that_ships_nothing_says_which_candidate_its_runtimes_took() -> None:
    found = document.read(FAILING)
    told = {target.id: words.ships(target) for target in found.targets}
    assert told["raspberry-pi-4"].startswith("ships nothing; int8: runs on litert 2.3.0; ")
    assert told["cortex-m55-ethos-u55-128"].startswith("ships int8; ")
