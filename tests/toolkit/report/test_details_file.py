"""``details.json`` is read as it was written, and refused where another hand changed it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import detailing
import jsonschema
import pytest

from edgekit.errors import ProjectError
from edgekit.report import details as file
from edgekit.types.details import CandidateDetails, Details, PoorItem

SCHEMA = json.loads(Path(file.__file__).resolve().with_name("details.schema.json").read_text())
Fault = Callable[[dict[str, Any]], Any]


def test_details_come_back_as_they_were_written(tmp_path: Path) -> None:
    written = detailing.details()
    file.write(written, tmp_path)
    assert file.read(tmp_path) == written
    jsonschema.validate(json.loads((tmp_path / file.FILE).read_text()), SCHEMA)


def test_a_run_without_details_has_none_and_empty_ones_are_whole(tmp_path: Path) -> None:
    assert file.read(tmp_path) is None
    file.write(Details("a", "bench"), tmp_path)
    assert file.read(tmp_path) == Details("a", "bench")


def test_a_figure_that_is_no_number_costs_the_details_and_not_the_run(tmp_path: Path) -> None:
    worst = PoorItem(1, float("nan"), "error")
    details = Details("a", "convert", candidates={"int8": CandidateDetails(worst_items=(worst,))})
    file.write(details, tmp_path)
    found = file.read(tmp_path)
    assert found is not None
    assert found.candidates == {}
    assert "a figure cannot be written" in found.absent["details"]


def int8(document: dict[str, Any]) -> Any:
    return document["candidates"]["int8"]


def shown(document: dict[str, Any]) -> Any:
    return document["representative"]["inputs"]["image"]


SCRIPT = base64.b64encode(b'<svg onload="alert(1)"/>').decode()
FAULTS: dict[str, tuple[Fault, str]] = {
    "newer": (lambda d: d.update(schema_version=99), "schema_version 99"),
    "no kind": (lambda d: d.update(kind="judge"), "kind"),
    "text for a list": (lambda d: int8(d).update(launches="none"), "launches"),
    "samples out of order": (
        lambda d: int8(d)["launches"][0].update(samples=[3, 2, 1]),
        "ascending",
    ),
    "more samples than runs": (lambda d: int8(d)["launches"][0].update(count=1), "3 samples of 1"),
    "a matrix that is not square": (lambda d: int8(d)["confusion"]["matrix"].pop(), "as large as"),
    "a count below 0": (lambda d: int8(d)["confusion"].update(matrix=[[-1, 0], [0, 0]]), "below 0"),
    "a script for a picture": (
        lambda d: d["pictures"].update({"evaluated-7": SCRIPT}),
        "small PNG",
    ),
    "a picture that is not base64": (
        lambda d: d["pictures"].update({"evaluated-7": '"'}),
        "base64",
    ),
    "a picture that is too large": (
        lambda d: d["pictures"].update({"evaluated-7": detailing.picture(97, 8)}),
        "larger than 96",
    ),
    "a picture that is not there": (lambda d: d["pictures"].clear(), "no picture"),
    "a row that is not there": (lambda d: int8(d)["operators"]["rows"][1].update(inputs=[9]), "9"),
    "an island that is not there": (
        lambda d: int8(d)["operators"]["rows"][1].update(island=1),
        "island",
    ),
    "a layer that is not there": (lambda d: int8(d)["layers"].update(first_fall=-1), "layers"),
    "parts larger than the file": (lambda d: int8(d)["sizes"].update(total=899), "of 899"),
    "edges that do not fit": (lambda d: shown(d)["histogram"]["edges"].pop(), "2 edges of 2"),
    "a curve cut short": (lambda d: shown(d)["envelope"]["low"].pop(), "1 lows and 2 highs"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_details_that_were_changed_are_refused(fault: str, tmp_path: Path) -> None:
    change, words = FAULTS[fault]
    file.write(detailing.details(), tmp_path)
    document = json.loads((tmp_path / file.FILE).read_text())
    change(document)
    (tmp_path / file.FILE).write_text(json.dumps(document))
    with pytest.raises(ProjectError) as caught:
        file.read(tmp_path)
    assert caught.value.code == "EK-REPORT-006"
    assert words in caught.value.hint


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"schema_version": NaN}', b"[" * 99_999, b"\xff\xfe"]
)
def test_what_is_no_details_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / file.FILE).write_bytes(content)
    with pytest.raises(ProjectError, match="cannot be read"):
        file.read(tmp_path)


def test_details_that_are_too_large_are_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write(detailing.details(), tmp_path)
    monkeypatch.setattr(file, "LARGEST", (tmp_path / file.FILE).stat().st_size - 1)
    with pytest.raises(ProjectError) as caught:
        file.read(tmp_path)
    assert "larger than" in caught.value.hint
