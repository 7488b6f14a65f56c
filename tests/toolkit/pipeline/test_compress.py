"""`edgekit compress` and the schemes within `edgekit convert`, on the digits' models."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from forking import tensorflow_script

from conftest import answer, once
from edgekit import Project, compress, convert
from edgekit.api import Options
from edgekit.errors import CompressionError, ProjectError
from edgekit.report import document
from edgekit.types import Candidate, Report, SchemeResult

SCHEMES = {
    "everything": {
        "prune": {"sparsity": 0.5},
        "cluster": {"clusters": 16},
        "quantization_aware": True,
    },
    "channels then prune": {"channels": {"macs": 0.4}, "prune": {"sparsity": 0.5}},
}
pytestmark = pytest.mark.usefixtures("one_launch")
CASES = [
    pytest.param("keras3.keras", "everything", marks=pytest.mark.slow),
    pytest.param("keras2.h5", "channels then prune", marks=pytest.mark.slow),
]


def project(model: Path, digits: Path, output: Path, **tables: Any) -> Project:
    table: dict[str, Any] = {
        "model": {"source": str(model)},
        "data": {
            "train": str(digits / "train.npz"),
            "evaluate": str(digits / "test.npz"),
            "preprocess": {"scale": "1/16"},
        },
        **tables,
    }
    return Project.parse(table, output)


def candidate(report: Report, name: str) -> Candidate:
    return next(one for one in report.candidates if one.id == name)


def scheme(report: Report, name: str) -> SchemeResult:
    assert report.compression is not None
    return next(one for one in report.compression.schemes if one.scheme == name)


def accuracy(one: Candidate) -> float:
    return float(one.evaluation.metrics["accuracy"].value or 0.0)


@pytest.mark.usefixtures("lent_worker")
@pytest.mark.parametrize(("name", "schemes"), CASES)
def test_compressed_model_is_smaller_still_right_and_converts_again(
    models: Path, digits: Path, tmp_path: Path, name: str, schemes: str
) -> None:
    table = {**SCHEMES[schemes], "finetune_epochs": 5}
    report = compress(
        project(models / name, digits, tmp_path, compress=table, convert={"precisions": ["int8"]})
    )
    assert report.compression is not None
    plain, small = candidate(report, "int8@uncompressed"), candidate(report, "int8")
    assert plain.problem == small.problem == ""
    assert small.zstd_bytes < 0.9 * plain.zstd_bytes
    assert accuracy(small) > accuracy(plain) - 0.04
    assert small.evaluation.uncompressed_ratio is not None
    jsonschema.validate(document.to_json(report), json.loads(document.SCHEMA.read_text()))
    assert document.from_json(document.to_json(report)) == replace(report, details=None)

    kept = report.compression.files
    quantized = "quantization_aware" in table
    assert set(kept) == {"model.h5" if quantized else "model.keras", "saved_model"}
    for path in kept.values():
        again = convert(
            project(path, digits, tmp_path / "again", convert={"precisions": ["int8"]}),
            Options(force=True),
        )
        (one,) = again.candidates
        assert one.problem == ""
        assert abs(accuracy(one) - accuracy(small)) < 0.02


def pruning(models: Path, digits: Path) -> tuple[object, ...]:
    """`edgekit compress --prune 0.5` with training data."""
    data = ("--train-data", digits / "train.npz", "--data", digits / "test.npz")
    how = ("--prune", 0.5, "--rescale", "1/16", "--epochs", 2)
    return ("compress", models / "keras3.keras", *data, *how)


@pytest.fixture
def pruned(shared: Path, models: Path, digits: Path, lent_worker: None) -> dict[str, Any]:
    """What `edgekit compress --prune 0.5` prints and leaves, with training data."""

    def make(folder: Path) -> None:
        done = answer(*pruning(models, digits), cwd=folder)
        (folder / "stdout.txt").write_text(done.stdout)
        (folder / "outcome.json").write_text(json.dumps([done.returncode, done.stderr]))
        for report in folder.glob(".edgekit/runs/*/report.json"):
            shutil.copy(report, folder)

    folder = once(shared / "compress-command", make)
    code, errors = json.loads((folder / "outcome.json").read_text())
    assert code == 0, errors
    return {
        "folder": folder,
        "stdout": (folder / "stdout.txt").read_text(),
        "report": document.read(folder / "report.json"),
    }


def test_output_tells_what_was_achieved_layer_by_layer(pruned: dict[str, Any]) -> None:
    for words in (
        "conv2d",
        "digit (Dense)",
        "50.0 %",
        "prune: requested 50 % zeros",
        "after 2 epochs",
        "not faster on litert and tflite-runtime",
        "tolerance 1e-04",
        "uncompressed",
        "model.keras: build/keras3/compressed/model.keras",
    ):
        assert words in pruned["stdout"], words


def test_report_holds_the_metric_before_and_after_recovery(pruned: dict[str, Any]) -> None:
    result = scheme(pruned["report"], "prune")
    assert result.epochs == 2
    assert result.metric.value is not None
    assert result.recovered.value is not None
    assert result.recovered.value >= result.metric.value
    assert all(abs(layer.sparsity - 0.5) < 0.02 for layer in result.layers)
    assert pruned["report"].compression.bridge.real < 1e-5
    assert (pruned["folder"] / "build" / "keras3" / "compressed" / "saved_model").is_dir()


@pytest.mark.usefixtures("lent_worker")
def test_dry_run_predicts_and_keeps_nothing(models: Path, tmp_path: Path) -> None:
    done = answer(
        "compress",
        models / "keras3.keras",
        "--prune",
        "2:4",
        "--cluster",
        4,
        "--qat",
        "--dry-run",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    for words in (
        "2:4 works along the input channels, and it has 1 of them",
        "quantization-aware",
        "dry run",
        "compressed",
        "only smaller when zipped",
    ):
        assert words in done.stdout, words
    assert not (tmp_path / "build").exists()
    report = document.read(next(tmp_path.glob(".edgekit/runs/*/report.json")))
    small, plain = candidate(report, "float32"), candidate(report, "float32@uncompressed")
    assert small.compressed_bytes < 0.7 * plain.compressed_bytes


@pytest.mark.usefixtures("lent_worker")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["keras3.keras"], "EK-PROJECT-011"),
        (["keras3.keras", "--qat"], "EK-COMPRESS-014"),
        (["saved_model", "--prune", "0.5"], "EK-COMPRESS-001"),
        (["keras3.keras", "--prune", "1.5"], "0<x<1"),
        (["keras3.keras", "--prune", "4:4"], "EK-PROJECT-003"),
        (["keras3.keras", "--prune", "most"], "'most' is not a number"),
        (["keras3.keras", "--channels", "0.99"], "EK-COMPRESS-024"),
        (["lambda.keras", "--prune", "0.5"], "EK-MODEL-005"),
        (["two_inputs.keras", "--cluster", "1000"], "EK-COMPRESS-011"),
    ],
)
def test_mistake_is_answered_with_its_code(
    models: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    done = answer("compress", models / arguments[0], *arguments[1:], cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert not (tmp_path / "build").exists()


def test_second_run_trains_nothing_again(
    pruned: dict[str, Any], models: Path, digits: Path
) -> None:
    done = answer(*pruning(models, digits), "--json", cwd=pruned["folder"])
    assert done.returncode == 0, done.stderr
    stages = {stage["name"]: stage["cached"] for stage in json.loads(done.stdout)["stages"]}
    assert all(stages[name] for name in ("bridge", "prune", "carry", "convert", "evaluate"))


@pytest.mark.slow
@pytest.mark.usefixtures("lent_worker", "untimed")
def test_quantization_aware_convert_makes_int8_unless_told_otherwise(
    models: Path, digits: Path, tmp_path: Path
) -> None:
    report = convert(
        project(
            models / "keras2.h5",
            digits,
            tmp_path,
            compress={"quantization_aware": True, "finetune_epochs": 1},
        )
    )
    assert [one.id for one in report.candidates] == ["int8"]
    assert report.verdict.exit_code == 0
    assert candidate(report, "int8").float_operators == ()


@pytest.mark.slow
def test_layer_of_the_user_needs_a_twin_and_works_with_one(
    models: Path, digits: Path, tmp_path: Path
) -> None:
    (tmp_path / "layers.py").write_text(LAYERS)
    (tmp_path / "model.py").write_text(MODEL)
    tables: dict[str, Any] = {
        "data": {"representative": {"from": str(digits / "test.npz")}},
        "compress": {"prune": {"sparsity": 0.5}},
        "convert": {"precisions": ["float32"]},
    }
    model = {"source": "model.py:build", "custom_objects": "layers.py"}
    without = Project.parse({"model": model, **tables}, tmp_path)
    with pytest.raises(CompressionError) as caught:
        compress(without, Options(evaluate=False))
    assert "Gate" in str(caught.value)
    assert "twins" in str(caught.value)
    twins = {"Gate": "layers.py:GateKeras2"}
    report = compress(
        Project.parse({"model": {**model, "twins": twins}, **tables}, tmp_path),
        Options(evaluate=False),
    )
    assert report.compression is not None
    path = report.compression.files["model.keras"]
    again = Project.parse(
        {
            "model": {"source": str(path), "custom_objects": "layers.py"},
            "data": tables["data"],
            "convert": tables["convert"],
        },
        tmp_path,
    )
    assert convert(again, Options(evaluate=False, force=True)).candidates[0].problem == ""


LAYERS = """
import keras, tensorflow as tf, tf_keras

class Gate(keras.layers.Layer):
    def build(self, shape):
        self.gate = self.add_weight(shape=(shape[-1], shape[-1]), name="gate")
    def call(self, x):
        return x * tf.sigmoid(tf.matmul(x, self.gate))

class GateKeras2(tf_keras.layers.Layer):
    def build(self, shape):
        self.gate = self.add_weight(shape=(shape[-1], shape[-1]), name="gate")
    def call(self, x):
        return x * tf.sigmoid(tf.matmul(x, self.gate))
"""
MODEL = """
import keras
from layers import Gate

def build():
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Dense(16, activation="relu")(keras.layers.Flatten()(image))
    return keras.Model(image, keras.layers.Dense(10, name="digit")(Gate()(x)))
"""


def test_compress_without_a_scheme_is_refused(models: Path, digits: Path, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no compression scheme"):
        compress(project(models / "keras3.keras", digits, tmp_path))


def test_items_of_the_evaluation_are_all_judged_when_training_items_calibrate(
    pruned: dict[str, Any], digits: Path
) -> None:
    count = len(np.load(digits / "test.npz")["y"])
    assert pruned["report"].settings["items"]["evaluated"] == count


@pytest.mark.slow
@pytest.mark.usefixtures("lent_worker")
def test_planner_of_latency_reports_what_it_measured_beside_the_counts(
    models: Path, digits: Path, tmp_path: Path
) -> None:
    channels = {"macs": 0.4, "objective": "latency"}
    report = compress(
        project(
            models / "keras3.keras",
            digits,
            tmp_path,
            convert={"precisions": ["int8"]},
            compress={"channels": channels, "finetune": {"distill": True}, "finetune_epochs": 4},
        )
    )
    result = scheme(report, "channels")
    assert result.macs is not None
    assert result.macs[1] <= 0.6 * result.macs[0]
    assert result.nanoseconds is not None
    assert min(result.nanoseconds) > 0
    assert accuracy(candidate(report, "int8")) > 0.75


@pytest.mark.slow
@pytest.mark.usefixtures("lent_worker", "untimed")
def test_taylor_importance_takes_training_items(models: Path, digits: Path, tmp_path: Path) -> None:
    table = {"channels": {"macs": 0.4, "importance": "taylor"}, "finetune_epochs": 5}
    report = compress(
        project(
            models / "keras2.h5", digits, tmp_path, compress=table, convert={"precisions": ["int8"]}
        )
    )
    assert accuracy(candidate(report, "int8")) > 0.8


WRAPPED = """
import sys
import tensorflow_model_optimization as tfmot, tf_keras
model = tf_keras.models.load_model(sys.argv[1], compile=False)
pruned = tfmot.sparsity.keras.prune_low_magnitude(model)
pruned.save(sys.argv[2], save_format="h5" if sys.argv[2].endswith(".h5") else "tf")
"""


def wrapped(models: Path, path: Path) -> Path:
    """A model with pruning wrappers, saved as the path's suffix says."""
    tensorflow_script(WRAPPED, models / "keras2.h5", path)
    return path


@pytest.mark.slow
@pytest.mark.usefixtures("lent_worker", "untimed")
def test_wrappers_left_in_a_saved_model_are_named_with_the_way_on(
    models: Path, digits: Path, tmp_path: Path
) -> None:
    path = wrapped(models, tmp_path / "wrapped")
    report = convert(project(path, digits, tmp_path, convert={"precisions": ["int8"]}))
    (told,) = [one for one in report.advice if one.code == "EK-NOTE-091"]
    assert "still computes with PruneLowMagnitude" in told.message
    assert "strip_pruning" in told.fix
    assert "strip_pruning" in report.candidates[0].problem
    assert report.verdict.exit_code == 1


@pytest.mark.slow
@pytest.mark.usefixtures("lent_worker", "untimed")
def test_wrappers_left_in_a_file_are_stripped_and_told(
    models: Path, digits: Path, tmp_path: Path
) -> None:
    path = wrapped(models, tmp_path / "wrapped.h5")
    report = convert(project(path, digits, tmp_path, convert={"precisions": ["float32"]}))
    (told,) = [one.message for one in report.advice if one.code == "EK-NOTE-008"]
    assert "PruneLowMagnitude" in told
    assert accuracy(report.candidates[0]) > 0.85
