"""What is recorded in MLflow, in which order, and that nothing of it is lost or fails a run."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ratchet import HOST, Workshop
from registering import run_with_files
from tracking import Book, kept, new_book, nobody, recording, workshop

from edgekit.api.tracking import record_bench, record_run, record_training
from edgekit.errors import ProjectError
from edgekit.pipeline import ModelFiles
from edgekit.project import Project
from edgekit.record.mlflow import entry as entries
from edgekit.record.mlflow import figures, place_of
from edgekit.report import read
from edgekit.types import Benched, BenchReport, Measurement, StageRecord, Status, Verdict

__all__ = ["new_book", "workshop"]


def test_records_wait_for_a_server_that_is_away_and_arrive_in_order(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    recording(workshop, nobody())
    for words in (("registry", "add", "--note", "the first"), ("promote", "1")):
        caplog.clear()
        assert workshop.edgekit(*words)[0] == 0
        (warning,) = caplog.messages
        assert "EK-RECORD-011" in warning
        assert "it cannot be reached" in warning
    run_with_files(workshop, "second", range(60))
    for words in (("registry", "add"), ("promote", "2"), ("registry", "rollback")):
        assert workshop.edgekit(*words)[0] == 0
    code, text = workshop.edgekit("registry", "sync")
    assert (code, "5 not sent yet: it cannot be reached" in text) == (3, True), text
    # What a run held when it was recorded is kept, whatever becomes of its files.
    recording(workshop, "true")
    recorded = workshop.root / "registry" / "digits" / "1"
    (recorded / "targets" / HOST / "model.tflite").unlink()
    # A file that was written to in its place is not sent as if it were what was judged.
    bundle = kept(workshop.root)[2] / "files" / "bundles" / HOST / "digits.tar.gz"
    bundle.write_bytes(b"another")
    code, text = workshop.edgekit("registry", "sync")
    assert (code, "sent digits:2 as champion" in text) == (0, True), text
    assert f"not sent, as it was changed: bundles/{HOST}/digits.tar.gz" in text
    assert not kept(workshop.root)
    _look(workshop, Book(workshop.root / "mlflow.db"))
    left = {path.name for path in workshop.root.iterdir()}
    assert left == {".edgekit", "edgekit.toml", "mlartifacts", "mlflow.db", "registry"}


def _look(workshop: Workshop, book: Book) -> None:
    assert book.runs() == {"run-1": "FINISHED", "run-2": "FINISHED"}
    assert book.versions() == {1: "run-1", 2: "run-2"}
    assert book.holder("champion") == 1
    files = book.artefacts("run-1")
    assert files["models/int8/model.tflite"] == b"model first"
    assert files[f"bundles/{HOST}/digits.tar.gz"] == b"bundle first"
    assert set(book.artefacts("run-2")) == {
        "lineage.json",
        "models/int8/model.tflite",
        "report.json",
    }
    report = json.loads((workshop.root / ".edgekit/runs/run-1/report.json").read_text())
    assert json.loads(files["report.json"]) == report
    lineage = json.loads(files["lineage.json"])
    assert lineage["items"] == report["settings"]["items"]["digest"]
    assert (
        lineage["targets"][HOST]["bundles"][0]["sha256"] == report["targets"][0]["bundle"]["sha256"]
    )
    accuracy = report["candidates"][0]["metrics"]["accuracy"]
    metrics = book.of("run-1", "latest_metrics")
    for place in ("int8", HOST):
        for end, name in (("", "value"), (".low", "low"), (".high", "high")):
            assert metrics[f"{place}/accuracy{end}"] == pytest.approx(accuracy[name])
    p50 = report["candidates"][0]["latency"]["p50"]["value"]
    assert metrics["int8/latency_p50_ms"] == pytest.approx(p50 / 1e6)
    tags = book.of("run-1", "tags")
    assert tags["edgekit.verdict"] == "passed"
    assert tags[f"edgekit.target.{HOST}"] == "int8"
    assert tags["edgekit.data.evaluation"] == lineage["items"]
    stated = json.loads(book.of("run-1", "params")["precisions"])
    assert stated == report["settings"]["precisions"]
    (described,) = book.ask("select description from model_versions where version = 1")
    assert described == ("the first",)


def test_project_without_the_table_records_nothing(workshop: Workshop) -> None:
    assert workshop.edgekit("registry", "add")[0] == 0
    assert not (workshop.root / ".edgekit" / "outbox").exists()
    code, text = workshop.edgekit("registry", "sync")
    assert (code, "EK-RECORD-010" in text) == (2, True), text


def test_full_disk_fails_no_run_and_the_record_can_be_made_later(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recording(workshop, nobody())

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("edgekit.record.mlflow.entry.write", full)
    assert workshop.edgekit("registry", "add")[0] == 0
    (warning,) = caplog.messages
    assert "EK-RECORD-012" in warning
    assert "no space left" in warning
    assert not kept(workshop.root)
    monkeypatch.undo()
    code, text = workshop.edgekit("registry", "sync", ".edgekit/runs/run-1")
    assert (code, len(kept(workshop.root))) == (3, 1), text


def test_outbox_is_beside_the_runs_where_the_project_cannot_be_written(
    workshop: Workshop, tmp_path: Path
) -> None:
    recording(workshop, nobody())
    project = Project.load(workshop.root / "edgekit.toml")
    elsewhere = workshop.root / "out" / ".edgekit" / "runs"
    shutil.copytree(workshop.root / ".edgekit" / "runs", elsewhere)
    record_run(project, read(elsewhere / "run-1"), elsewhere / "run-1", "convert")
    assert kept(workshop.root) == []
    assert len(kept(workshop.root / "out")) == 1
    recording(workshop, "true")
    code, text = workshop.edgekit("registry", "sync", "--output", "out")
    assert (code, "sent run-1" in text) == (0, True), text
    assert Book(workshop.root / "mlflow.db").of("run-1", "tags")["edgekit.command"] == "convert"
    assert workshop.edgekit("registry", "add", "--output", "out")[0] == 2


def test_training_is_recorded_epoch_by_epoch_and_once(workshop: Workshop) -> None:
    recording(workshop, nobody(), "[train]\nseed = 7\n")
    project = Project.load(workshop.root / "edgekit.toml")
    curves = workshop.root / "history.csv"
    curves.write_text("epoch,stage,loss,val_loss\n1,1,0.5,nan\n2,1,0.25,0.375\n")
    stage = StageRecord("train", 90.0, False)
    facts = {"data": {"source": "data.py:train", "digest": "d" * 64}, "epochs": 2}
    files = {"history.csv": curves}
    done = ModelFiles("digits", files, (), 2, {"loss": 0.25}, (stage,), (), training=facts)
    record_training(project, done, None)
    # Of the store, and as a process of a cluster that leaves nothing.
    record_training(project, replace(done, stages=(replace(stage, cached=True),)), None)
    record_training(project, replace(done, files={}), None)
    (folder,) = kept(workshop.root)
    entry = entries.read(folder)
    assert [(one.name, one.step, one.value) for one in entry.metrics] == [
        ("kept/loss", 0, 0.25),
        ("epoch/loss", 1, 0.5),
        ("epoch/loss", 2, 0.25),
        ("epoch/val_loss", 2, 0.375),
    ]
    assert (entry.parameters["train.seed"], entry.parameters["training.epochs"]) == ("7", "2")
    assert (entry.data[0].digest, entry.data[0].context) == ("d" * 64, "training")
    assert entry.tags["edgekit.command"] == "train"
    assert entry.ended - entry.started == 90_000
    assert [file.path for file in entry.files] == ["training/history.csv"]


def test_bench_is_recorded_by_model_and_device(workshop: Workshop) -> None:
    recording(workshop, nobody())
    project = Project.load(workshop.root / "edgekit.toml")
    run = workshop.root / ".edgekit" / "runs" / "run-1"
    (candidate,) = read(run).candidates
    latency = candidate.evaluation.latency
    assert latency is not None
    row = Benched("model.tflite", "model.tflite", "ssh://pi@host", latency=latency, bytes=9)
    rows = (row, replace(row, threads=4))
    unasked = Measurement.unavailable("1", "not asked for")
    verdict = Verdict(Status.PASSED, 0)
    record_bench(project, BenchReport("run-9", {"batch": 1}, {}, unasked, rows, verdict), run)
    (folder,) = kept(workshop.root)
    entry = entries.read(folder)
    found = {one.name: one.value for one in entry.metrics}
    place = "model.tflite/ssh:__pi_host 4 threads batch 1"
    assert found[f"{place}/latency_p50_ms"] == pytest.approx((latency.p50.value or 0) / 1e6)
    assert found[f"{place}/latency_p50_ms.low"] == pytest.approx((latency.p50.low or 0) / 1e6)
    assert found[f"{place}/size_bytes"] == 9
    assert entry.tags["edgekit.devices"] == "ssh://pi@host"


def test_disk_without_links_keeps_copies(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording(workshop, nobody())

    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert workshop.edgekit("registry", "add")[0] == 0
    (entry,) = kept(workshop.root)
    assert (entry / "files/models/int8/model.tflite").read_bytes() == b"model first"


def test_damaged_entry_stops_no_other_and_is_named(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    recording(workshop, "true")
    outbox = workshop.root / ".edgekit" / "outbox"
    damaged = outbox / "00000000000000000001-aaaaaa"
    damaged.mkdir(parents=True)
    (damaged / "entry.json").write_text('{"schema_version": 1, "run"')
    assert workshop.edgekit("registry", "add")[0] == 0
    (warning,) = caplog.messages
    assert "EK-RECORD-011: 1 of 2 records" in warning
    assert damaged.name in warning
    assert kept(workshop.root) == [damaged]
    assert Book(workshop.root / "mlflow.db").versions() == {1: "run-1"}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('mlflow = "mlflow.db"', "neither true nor an address"),
        ('mlflow = "file:///tmp/x"', "are reached through a server"),
        ("mlflow = true\nexperiment = ''", "experiment"),
        ("mlflwo = true", "did you mean 'mlflow'"),
    ],
)
def test_mistake_in_the_table_is_told(tmp_path: Path, table: str, says: str) -> None:
    file = tmp_path / "edgekit.toml"
    file.write_text(f'[model]\nsource = "model.keras"\n[record]\n{table}\n')
    with pytest.raises(ProjectError) as told:
        Project.load(file)
    assert says in str(told.value)


def test_password_of_a_server_is_not_shown_and_a_database_is_beside_the_project(
    tmp_path: Path,
) -> None:
    file = tmp_path / "edgekit.toml"
    text = '[model]\nsource = "model.keras"\n[record]\n'
    file.write_text(f'{text}mlflow = "https://me:secret@mlflow.example:5000/x"\n')
    place = place_of(Project.load(file), "digits")
    assert place is not None
    assert place.title == "https://mlflow.example:5000/x"
    file.write_text(f'{text}mlflow = "sqlite:///records/mlflow.db"\nartifacts = "big"\n')
    place = place_of(Project.load(file), "digits")
    assert place is not None
    assert place.title == f"sqlite:///{tmp_path}/records/mlflow.db"
    assert (place.artifacts, place.experiment) == (tmp_path / "big", "digits")


def test_names_are_what_mlflow_takes(workshop: Workshop) -> None:
    assert figures.named("dynamic@tflite-2.14", "accuracy") == "dynamic_tflite-2.14/accuracy"
    assert figures.named("..", "ssh://pi@host/x", "/") == "_/ssh:__pi_host_x/_"
    assert len(figures.named("x" * 1000)) == 240
    report = read(workshop.root / ".edgekit" / "runs" / "run-1")
    names = [one.name for one in figures.metrics_of(report)]
    assert len(names) == len(set(names))
    assert {"int8/size_bytes", "int8/latency_ratio", "reference/accuracy.low"} <= {*names}
