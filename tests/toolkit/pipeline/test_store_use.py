"""What a second run does again: exactly what depends on what was changed."""

from __future__ import annotations

import csv
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit import Project, convert, export, train
from edgekit.api import Options
from edgekit.errors import ModelError, ProjectError
from edgekit.report import details
from edgekit.report.layers import error_lines
from edgekit.types import Report, Status


@pytest.fixture
def project(digits_run: Path, tmp_path: Path) -> Path:
    """A copy of the converted example, store and all."""
    return Path(shutil.copytree(digits_run / "project", tmp_path / "project"))


pytestmark = pytest.mark.usefixtures("one_launch")


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything that would need TensorFlow again is a failure."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the worker was called")

    monkeypatch.setattr("edgekit.worker.client.Worker.call", refuse)


def cached(report: Report) -> dict[str, bool]:
    return {stage.name: stage.cached for stage in report.stages}


def edit(project: Path, old: str, new: str, file: str = "edgekit.toml") -> Project:
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))
    return Project.load(project / "edgekit.toml")


def test_second_run_trains_converts_and_measures_nothing(project: Path) -> None:
    (made,) = (project / ".edgekit/runs").iterdir()
    kept = details.read(made)
    again = convert(Project.load(project / "edgekit.toml"))
    done = cached(again)
    # A runtime that is not installed is looked for every time.
    looked_for = {"runtimes"} if sys.version_info >= (3, 12) else set()
    for stage in {"train", "data", "convert", "evaluate", "runtimes", "latency"} - looked_for:
        assert done[stage], stage
    assert kept is not None
    # What pages draw comes from the store as well; it was run from Python.
    assert again.details == replace(kept, run=again.run, command="")


def test_a_page_s_parts_that_cannot_be_made_fail_no_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no room")

    for place in ("files.sizes.sizes", "item_pictures", "evaluated", "kept_details"):
        monkeypatch.setattr(f"edgekit.pipeline.details.{place}", fail)
    done = convert(Project.load(project / "edgekit.toml"))
    assert done.verdict.status is Status.PASSED
    assert done.details is not None
    int8 = done.details.candidates["int8"]
    assert int8.confusion is None
    assert int8.sizes is None
    assert int8.operators is not None
    assert int8.absent["sizes"] == "it could not be made: RuntimeError: no room"
    assert done.details.evaluated is None
    assert done.details.representative is not None


@pytest.mark.slow
def test_layers_are_compared_where_asked_for_and_cost_no_verdict(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModelError("EK-LAYERS-003", "no layer has a counterpart")

    table, options = Project.load(project / "edgekit.toml"), Options(layers=True)
    with monkeypatch.context() as broken:
        broken.setattr("edgekit.pipeline.layer_errors.layer_parity", fail)
        done = convert(table, options)
    assert done.verdict.status is Status.PASSED
    assert done.details is not None
    assert done.details.candidates["int8"].absent["layers"] == "no layer has a counterpart"

    done = convert(table, options)
    assert done.details is not None
    models = done.details.candidates
    assert models["float32"].absent["layers"].startswith("it is the file that")
    int8, half = models["int8"].layers, models["float16"].layers
    assert int8 is not None
    assert half is not None
    assert [row.operator for row in int8.rows][-1] == "SOFTMAX"
    finest, coarse = (one.rows[-1].sqnr.value for one in (half, int8))
    assert finest is not None
    assert coarse is not None
    assert finest > coarse
    (told,) = (line for line, _ in error_lines(done.details) if line.startswith("layers of int8"))
    assert int8.rows[int8.ranked[0]].operator in told
    assert cached(convert(table, options))["layers"]


def test_other_code_of_edgekit_is_served_nothing_that_was_kept(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.pipeline.run.code_version", lambda: "0.1.0+edited")
    with pytest.raises(AssertionError, match="the worker was called"):
        convert(Project.load(project / "edgekit.toml"))


def test_changed_metric_is_computed_from_the_stored_answers(project: Path) -> None:
    changed = edit(project, 'metric = "accuracy"', 'metric = "f1"')
    changed = edit(project, "accuracy = { max", "metric = { max")
    report = convert(changed)
    assert "f1" in report.reference_evaluation.metrics
    assert not cached(report)["evaluate"]
    for stage in ("train", "convert", "latency"):
        assert cached(report)[stage], stage


def test_changed_budget_changes_the_verdict_alone(project: Path) -> None:
    report = convert(edit(project, "max_degradation = 0.02", "max_degradation = 0.0001"))
    assert report.verdict.exit_code == 4
    assert cached(report)["evaluate"]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("edgekit.toml", "epochs = 15", "epochs = 14"),
        ("edgekit.toml", 'scale = "1/16"', 'scale = "1/15"'),
        ("model.py", "Conv2D(16, 3", "Conv2D(8, 3"),
        ("data.py", "random_state=0", "random_state=1"),
    ],
)
def test_changed_training_input_trains_again(project: Path, file: str, old: str, new: str) -> None:
    with pytest.raises(AssertionError, match="the worker was called"):
        convert(edit(project, old, new, file))


def test_changed_version_of_tensorflow_converts_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.pipeline import run

    found = {**run._versions(), "tensorflow": "2.99.0"}
    monkeypatch.setattr(run, "_versions", lambda: found)
    with pytest.raises(AssertionError, match="the worker was called"):
        convert(Project.load(project / "edgekit.toml"))


def test_file_of_the_user_is_not_overwritten_without_force(project: Path) -> None:
    mine = project / "build" / "digits" / "int8" / "model.tflite"
    mine.write_bytes(b"precious")
    loaded = Project.load(project / "edgekit.toml")
    with pytest.raises(ProjectError, match="EK-OUTPUT-001"):
        convert(loaded)
    assert mine.read_bytes() == b"precious"
    convert(loaded, Options(force=True))
    assert mine.read_bytes()[4:8] == b"TFL3"


def test_bundle_has_the_same_bytes_when_nothing_changed(project: Path) -> None:
    (before,) = (path.read_bytes() for path in (project / "dist").glob("*.tar.gz"))
    convert(Project.load(project / "edgekit.toml"))
    (after,) = (path.read_bytes() for path in (project / "dist").glob("*.tar.gz"))
    assert before == after


def test_train_and_export_leave_the_model_that_convert_trained_under_build(project: Path) -> None:
    loaded = Project.load(project / "edgekit.toml")
    folder = project / "build" / "digits"
    shutil.rmtree(project / "build")
    trained = train(loaded)
    assert next((stage.name, stage.cached) for stage in trained.stages) == ("train", True)
    left = {"model.keras", "saved_model", "history.csv", "history.svg"}
    assert {path.name for path in folder.iterdir()} == left
    assert trained.training["steps"] == 15 * -(-1079 // 32)
    assert trained.training["seed"] == 0
    assert len(trained.training["data"]["digest"]) == 64
    assert trained.training["hardware"]["cpus"] >= 1
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 16))
    assert float(rows[-1]["accuracy"]) == trained.figures["accuracy"] > float(rows[0]["accuracy"])
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    exported = export(loaded)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    serving, evaluated = exported.signatures
    assert (serving.name, serving.inputs[0].shape) == ("serving_default", (1, 8, 8, 1))
    assert (evaluated.name, evaluated.outputs[0].shape) == ("evaluate", (None, 10))


def test_changed_model_under_build_stays_without_force(project: Path) -> None:
    mine = project / "build" / "digits" / "saved_model" / "variables" / "variables.index"
    mine.write_bytes(b"precious")
    loaded = Project.load(project / "edgekit.toml")
    with pytest.raises(ProjectError, match="EK-OUTPUT-001"):
        export(loaded)
    assert mine.read_bytes() == b"precious"
    export(loaded, Options(force=True))
    assert mine.read_bytes() != b"precious"


def test_output_of_a_run_is_replaced_when_the_record_of_it_was_deleted(project: Path) -> None:
    """Deleting .edgekit is safe: what edgekit wrote and nobody changed is still known."""
    for name in ("outputs", "runs"):
        shutil.rmtree(project / ".edgekit" / name)
    (bundle,) = (project / "dist").glob("*.tar.gz")
    before = bundle.read_bytes()
    convert(edit(project, "max_degradation = 0.02", "max_degradation = 0.03"))
    assert bundle.is_file()
    shutil.rmtree(project / ".edgekit" / "outputs")
    convert(edit(project, 'version = "0.1.0"', 'version = "0.1.0"\ndescription = "digits"'))
    bundle.write_bytes(before[:-1])
    shutil.rmtree(project / ".edgekit" / "outputs")
    with pytest.raises(ProjectError, match="EK-OUTPUT-001"):
        convert(Project.load(project / "edgekit.toml"))
    assert bundle.read_bytes() == before[:-1]
