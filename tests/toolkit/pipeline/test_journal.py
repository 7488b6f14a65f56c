"""Planted faults: a stage nobody expected, one that is left out, a stop, a disk that is full."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekit.pipeline.journal import FILE, Journal
from edgekit.types import Silent, StageRecord


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal(Silent(), tmp_path / FILE)
    made.expect(("train", "data", "convert", "place"))
    return made


def numbers(folder: Path) -> list[tuple[str, int, int]]:
    return [
        (line["stage"], line["number"], line["of"])
        for line in lines(folder)
        if line["event"] == "begun"
    ]


def walk(journal: Journal, *stages: str) -> None:
    for name in stages:
        journal.begin(name)
        journal.end(StageRecord(name, 0.1, False))


@pytest.mark.parametrize(
    ("stages", "last"),
    [
        (("train", "data", "convert", "place"), ("place", 4, 4)),
        (("train", "convert", "place"), ("place", 3, 3)),
        (("train", "float32", "data", "convert", "place"), ("place", 5, 5)),
    ],
    ids=["as expected", "one left out", "one more"],
)
def test_count_ends_at_its_total(
    journal: Journal, tmp_path: Path, stages: tuple[str, ...], last: tuple[str, int, int]
) -> None:
    walk(journal, *stages)
    assert numbers(tmp_path)[0] == ("train", 1, 4)
    assert numbers(tmp_path)[-1] == last


def test_machines_at_once_are_counted_together(tmp_path: Path) -> None:
    journal = Journal(Silent(), tmp_path / FILE)
    journal.expect(("pi: models", "pi: latency", "phone: models", "phone: latency"))
    journal.begin("phone: models")
    journal.begin("pi: models")
    for name in ("phone: models", "pi: models"):
        journal.end(StageRecord(name, 0.1, False))
    walk(journal, "phone: latency", "pi: latency")
    assert numbers(tmp_path) == [
        ("phone: models", 1, 4),
        ("pi: models", 2, 4),
        ("phone: latency", 3, 4),
        ("pi: latency", 4, 4),
    ]


def test_stage_within_a_stage_is_a_step_of_it(journal: Journal, tmp_path: Path) -> None:
    journal.begin("data")
    journal.begin("export")
    journal.end(StageRecord("export", 0.1, False))
    journal.end(StageRecord("data", 0.2, True, "3 items"))
    told = [(line["event"], line.get("stage"), line.get("text")) for line in lines(tmp_path)[1:]]
    assert told == [
        ("begun", "data", None),
        ("advanced", "data", "export"),
        ("ended", "data", None),
    ]
    assert lines(tmp_path)[-1]["result"] == "3 items"
    assert lines(tmp_path)[-1]["cached"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "done"),
        (KeyboardInterrupt(), "interrupted"),
        (ValueError("two\nlines"), "two"),
    ],
)
def test_last_line_says_how_the_run_ended(
    journal: Journal, tmp_path: Path, error: BaseException | None, reason: str
) -> None:
    journal.begin("train")
    journal.close(error)
    assert (lines(tmp_path)[-1]["event"], lines(tmp_path)[-1]["reason"]) == ("stopped", reason)


def test_stage_that_fails_says_why_and_the_next_is_counted(
    journal: Journal, tmp_path: Path
) -> None:
    journal.begin("train")
    journal.fail("train", 0.1, ValueError("no data"))
    walk(journal, "data")
    assert lines(tmp_path)[2]["reason"] == "no data"
    assert numbers(tmp_path)[-1] == ("data", 2, 4)


def test_small_steps_do_not_fill_the_file(journal: Journal, tmp_path: Path) -> None:
    journal.begin("train")
    for step in range(1001):
        journal.update(step, 1000, "")
    advanced = [line for line in lines(tmp_path) if line["event"] == "advanced"]
    assert len(advanced) < 20
    assert advanced[-1]["done"] == 1000


def test_step_of_a_device_before_the_first_stage_is_told(journal: Journal, tmp_path: Path) -> None:
    journal.stage("installing numpy on pi")
    journal.begin("train")
    told = [(line["event"], line["stage"]) for line in lines(tmp_path)[1:]]
    assert told == [
        ("begun", "installing numpy on pi"),
        ("ended", "installing numpy on pi"),
        ("begun", "train"),
    ]


def test_full_disk_does_not_end_the_run() -> None:
    journal = Journal(Silent(), Path("/dev/full"))
    walk(journal, "train")
    journal.close()
