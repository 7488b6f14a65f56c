"""Versions are registered whole, and promoted only where they are proven not worse."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from ratchet import HOST, Edit, Workshop, int8
from registering import run_with_files

from edgekit import api
from edgekit.errors import RecordError, StoreError
from edgekit.record import Promotion, Registry

FIRST = range(100)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A project whose first version is champion, on a machine that is its target."""
    monkeypatch.setattr("edgekit.targets.catalog.host", lambda: HOST)
    made = Workshop(tmp_path)
    made.project()
    run_with_files(made, "first", FIRST)
    assert made.edgekit("registry", "add", "--note", "the first")[0] == 0
    assert made.edgekit("promote", "1")[0] == 0
    return made


def second(workshop: Workshop, wrong: range, *edits: Edit) -> None:
    run_with_files(workshop, "second", wrong, *edits)
    code, text = workshop.edgekit("registry", "add")
    assert (code, "digits:2: registered" in text) == (0, True), text


def champion(workshop: Workshop) -> int | None:
    return Registry(workshop.root / "registry").holder("digits", "champion")


def test_version_keeps_lineage_and_files_and_a_run_is_registered_once(workshop: Workshop) -> None:
    code, text = workshop.edgekit("registry", "add")
    assert (code, "digits:1: is run run-1" in text) == (0, True), text
    code, text = workshop.edgekit("registry", "show", "champion", "--json")
    shown = json.loads(text)
    assert code == 0
    assert shown["lineage"]["items"] == "a" * 64
    assert shown["note"] == "the first"
    target = shown["targets"][HOST]
    folder = workshop.root / "registry" / "digits" / "1"
    assert (folder / target["model"]["path"]).read_bytes() == b"model first"
    assert (folder / target["bundles"][0]["path"]).read_bytes() == b"bundle first"
    # The run may go: a version is whole by itself.
    shutil.rmtree(workshop.root / ".edgekit")
    assert workshop.edgekit("promote", "1")[0] == 0
    listed = workshop.edgekit("registry")[1]
    assert "the first  <- champion" in listed


@pytest.mark.parametrize(
    ("wrong", "edits", "code", "says"),
    [
        pytest.param(range(145), (), 1, "champion accuracy", id="a worse one"),
        pytest.param(range(20, 135), (), 4, "items would settle it", id="perhaps a worse one"),
        pytest.param(range(80), (), 0, "digits:2 is champion, instead of 1", id="a better one"),
    ],
)
def test_version_is_promoted_only_where_it_is_proven_not_worse(
    workshop: Workshop, wrong: range, edits: tuple[Edit, ...], code: int, says: str
) -> None:
    second(workshop, wrong, *edits)
    given, text = workshop.edgekit("promote", "2", "--reason", "more data")
    assert (given, says in text) == (code, True), text
    assert champion(workshop) == (1 if code else 2)
    recorded = Registry(workshop.root / "registry").promotions("digits")
    assert len(recorded) == (1 if code else 2)
    if not code:
        last = recorded[-1]
        assert (last.before, last.reason) == (1, "more data")
        assert {check.name for check in last.checks} == {"champion accuracy", "champion latency"}


def slower(report: Any) -> None:
    """By more than one file differs by from one run to another."""
    for name in ("p50", "p95", "p90", "p99", "max"):
        figure = int8(report)["latency"][name]
        figure.update({end: 3 * figure[end] for end in ("value", "low", "high") if figure[end]})


def other_items(report: Any) -> None:
    report["settings"]["items"]["digest"] = "e" * 64


def no_target(report: Any) -> None:
    report["settings"]["targets"] = {"android-arm64": {"precision": "int8", "budgets": {}}}
    report["targets"][0]["id"] = "android-arm64"


def no_items(report: Any) -> None:
    for name in ("metrics", "drop", "paired"):
        int8(report)[name] = {}


@pytest.mark.parametrize(
    ("edit", "code", "says"),
    [
        (slower, 1, "champion latency"),
        (other_items, 4, "what is not paired proves nothing"),
        (no_items, 1, "accuracy is missing"),
    ],
)
def test_planted_fault_keeps_the_champion(
    workshop: Workshop, edit: Edit, code: int, says: str
) -> None:
    second(workshop, range(50), edit)
    given, text = workshop.edgekit("promote", "2")
    assert (given, says in text) == (code, True), text
    assert champion(workshop) == 1


def test_target_that_the_champion_has_is_not_given_up(workshop: Workshop) -> None:
    project = workshop.root / "edgekit.toml"
    project.write_text(project.read_text().replace(HOST, "android-arm64"))
    second(workshop, range(50), no_target)
    code, text = workshop.edgekit("promote", "2")
    says = f"the champion ships for {HOST}, and this version does not"
    assert (code, says in text) == (1, True), text
    assert champion(workshop) == 1


def test_latency_that_nobody_timed_is_unavailable_and_on_record(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.targets.catalog.host", lambda: "linux-aarch64")
    second(workshop, range(80))
    code, text = workshop.edgekit("promote", "2")
    assert (code, "the champion's run was not timed" in text) == (0, True), text
    last = Registry(workshop.root / "registry").promotions("digits")[-1]
    (latency,) = (check for check in last.checks if check.name == "champion latency")
    assert latency.status == "unavailable"


def test_waiver_accepts_what_is_red_and_a_stated_drop_is_taken(workshop: Workshop) -> None:
    second(workshop, range(145))
    assert workshop.edgekit("promote", "2", "--max-drop", "4pt")[0] == 0
    assert workshop.edgekit("registry", "rollback")[0] == 0
    waiver = '[[waiver]]\ncheck = "champion accuracy"\nreason = "smaller"\nexpires = 2999-01-31\n'
    workshop.project(waiver)
    code, text = workshop.edgekit("promote", "2")
    assert (code, "waived until 2999-01-31, smaller" in text) == (0, True), text


def test_rollback_goes_back_step_by_step_and_is_on_record(workshop: Workshop) -> None:
    second(workshop, range(60))
    assert workshop.edgekit("promote", "2")[0] == 0
    code, text = workshop.edgekit("registry", "rollback", "--note", "drift")
    assert (code, "digits:1 is champion again, instead of digits:2" in text) == (0, True), text
    assert champion(workshop) == 1
    code, text = workshop.edgekit("registry", "rollback")
    assert (code, "EK-RECORD-006" in text) == (2, True), text
    last = Registry(workshop.root / "registry").promotions("digits")[-1]
    assert (last.rollback, last.reason, last.version) == (True, "drift", 1)


def test_file_that_was_replaced_is_neither_registered_nor_promoted(workshop: Workshop) -> None:
    run = run_with_files(workshop, "second", range(60))
    (run / "build" / "int8" / "model.tflite").write_bytes(b"another")
    code, text = workshop.edgekit("registry", "add")
    assert (code, "EK-RECORD-002" in text) == (2, True), text
    assert [path.name for path in (workshop.root / "registry" / "digits").glob("[0-9]*")] == ["1"]
    kept = workshop.root / "registry" / "digits" / "1" / "targets" / HOST / "model.tflite"
    kept.write_bytes(b"another")
    code, text = workshop.edgekit("promote", "1", "--to", "candidate")
    assert (code, "is not the file that was registered" in text) == (2, True), text


def test_damaged_record_is_named_with_its_line(workshop: Workshop) -> None:
    record = workshop.root / "registry" / "digits" / "promotions.jsonl"
    record.write_bytes(record.read_bytes() + b'{"schema_version": 1, "alias": "cham')
    code, text = workshop.edgekit("registry")
    assert (code, "EK-RECORD-001" in text, "line 2" in text) == (2, True, True), text
    record.unlink()
    version = workshop.root / "registry" / "digits" / "1" / "version.json"
    document = json.loads(version.read_text())
    document["targets"][HOST]["model"]["path"] = "../../../edgekit.toml"
    version.write_text(json.dumps(document))
    code, text = workshop.edgekit("promote", "1")
    assert (code, "lies outside the version" in text) == (2, True), text


def test_who_comes_second_is_told(workshop: Workshop) -> None:
    registry = Registry(workshop.root / "registry")
    stale = Promotion("champion", 1, None, "2026-01-01T00:00:00Z", "somebody")
    with pytest.raises(RecordError, match="EK-RECORD-005"):
        registry.record("digits", stale)
    assert len(registry.promotions("digits")) == 1


def test_full_disk_leaves_no_half_version(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with_files(workshop, "second", range(60))

    def full(_: object, path: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("edgekit.record.files.shutil.copyfile", full)
    registry = Registry(workshop.root / "registry")
    with pytest.raises(StoreError, match="EK-STORE-001"):
        api.register(run, None, "", registry)
    monkeypatch.undo()
    assert len(registry.versions("digits")) == 1
    assert api.register(run, None, "", registry).version.number == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("registry", "show", "7"), "digits has no version '7'"),
        (("registry", "show", "champoin"), "did you mean 'champion'"),
        (("registry", "show", "digit:1"), "did you mean 'digits'"),
        (("promote", "1", "--to", "3"), "cannot stand for a version"),
        (("registry", "diff", "1"), "diff takes 2 names"),
    ],
)
def test_mistake_is_told_with_what_there_is(
    workshop: Workshop, words: tuple[str, ...], says: str
) -> None:
    code, text = workshop.edgekit(*words)
    assert (code, says in text) == (2, True), text


def test_versions_are_compared_figure_by_figure(workshop: Workshop) -> None:
    second(workshop, range(60))
    code, text = workshop.edgekit("registry", "diff", "champion", "2")
    assert (code, "accuracy: 95.00 % -> 97.00 %, +2 points" in text) == (0, True), text
    assert "(better; the same items, paired)" in text


def test_completion_names_versions_and_aliases(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop.root)
    from edgekit.cli import completers

    assert list(completers._versions()) == ["champion", "1"]
