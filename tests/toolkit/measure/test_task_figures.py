"""What a user of a task is told beside the headline: its other metrics, and each class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from tflite_files import G, N, T, build

from conftest import answer
from edgekit.report import details
from edgekit.report.document import SCHEMA, read


def given_back(order: list[int], *places: int) -> bytes:
    """``x`` [1, *places, classes] given back with its classes in another order."""
    count = len(order)
    weights = np.eye(count, dtype=np.float32)[order]
    shape = [1, *places, count]
    tensors = [T("x", shape), T("w", [count, count], data=weights), T("y", shape)]
    options = {"kind": "FullyConnectedOptions", "keepNumDims": True}
    node = N("FULLY_CONNECTED", ["x", "w", None], ["y"], 2, options)
    return build(G(tensors, [node], ["x"], ["y"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three classes, the last one rare; items of several labels; texts of numbers."""
    folder, rng = tmp_path_factory.mktemp("figures"), np.random.default_rng(0)
    (folder / "pixels.tflite").write_bytes(given_back([0, 1, 2], 6, 6))
    (folder / "swapped.tflite").write_bytes(given_back([0, 2, 1], 6, 6))
    (folder / "labels.tflite").write_bytes(given_back([0, 1, 2, 3]))
    y = rng.integers(0, 3, (60, 6, 6))
    y[:50][y[:50] == 2] = 0
    x = np.eye(3)[y] + rng.normal(0, 0.35, (60, 6, 6, 3))
    np.savez(folder / "pixels.npz", x=x.astype(np.float32), y=y)
    y = (rng.random((120, 4)) < [0.5, 0.3, 0.1, 0.4]).astype(np.int64)
    x = np.clip(y * 0.5 + rng.random((120, 4)) * 0.7 - 0.1, 0.01, 0.99)
    np.savez(folder / "labels.npz", x=x.astype(np.float32), y=y)
    np.savez(folder / "numbers.npz", x=x.astype(np.float32), y=(x + 0.1).astype(np.float32))
    return folder


def asked(folder: Path, command: str, *words: str, code: int = 0) -> dict[str, Any]:
    done = answer(command, *words, "--json", cwd=folder)
    assert done.returncode == code, done.stderr
    return {**json.loads(done.stdout), "said": done.stderr}


@pytest.mark.parametrize(
    ("words", "headline", "others"),
    [
        (["pixels.tflite", "--data", "pixels.npz"], "pixel_accuracy", ["mean_iou"]),
        (
            ["pixels.tflite", "--data", "pixels.npz", "--metric", "mean_iou"],
            "mean_iou",
            ["pixel_accuracy"],
        ),
        (
            ["labels.tflite", "--data", "labels.npz"],
            "label_accuracy",
            ["subset_accuracy", "label_f1", "label_map"],
        ),
        (
            ["labels.tflite", "--data", "numbers.npz"],
            "mse",
            ["mae", "rmse", "r2", "relative_error"],
        ),
    ],
)
def test_the_tasks_other_metrics_stand_beside_the_headline(
    folder: Path, words: list[str], headline: str, others: list[str]
) -> None:
    found = asked(folder, "evaluate", *words)
    assert found["settings"]["metric"] == headline
    assert [one["name"] for one in found["settings"]["beside"]] == others
    assert list(found["models"][0]["outputs"]) == others
    assert all(one["value"] is not None for one in found["models"][0]["outputs"].values())
    assert all(name in found["said"] for name in others)


def test_metrics_that_the_items_do_not_allow_are_no_error(folder: Path, tmp_path: Path) -> None:
    held = np.load(folder / "labels.npz")
    y = held["y"].copy()
    y[:, 2] = 0
    np.savez(tmp_path / "some.npz", x=held["x"], y=y)
    found = asked(folder, "evaluate", "labels.tflite", "--data", str(tmp_path / "some.npz"))
    assert found["models"][0]["outputs"]["label_map"]["how"] == "unavailable"
    assert found["verdict"]["exit_code"] == 0
    few = {"x": held["x"][:5], "y": np.array([0, 1, 0, 1, 0])}
    np.savez(tmp_path / "few.npz", **few)
    words = ["labels.tflite", "--data", str(tmp_path / "few.npz"), "--task", "embeddings"]
    found = asked(folder, "evaluate", *words)
    assert "finds every item" in found["models"][0]["outputs"]["recall_at_5"]["reason"]


def test_classes_are_listed_by_name_the_worst_first(folder: Path) -> None:
    names = ["--labels", "road,car,person"]
    found = asked(folder, "evaluate", "pixels.tflite", "--data", "pixels.npz", *names)
    listed = {one["name"]: one for one in found["details"]["parts"]}
    assert list(listed) == ["road", "car", "person"]
    assert listed["person"]["count"] == 10
    said = found["said"]
    assert said.index("person") < said.index("car  ")
    found = asked(folder, "evaluate", "swapped.tflite", "--data", "pixels.npz", *names)
    swapped = {one["name"]: one["figures"]["iou"]["value"] for one in found["details"]["parts"]}
    assert swapped["person"] < 0.1
    assert swapped["road"] > 0.8


def test_other_metrics_are_compared_and_judge_nothing(folder: Path) -> None:
    words = ["pixels.tflite", "swapped.tflite", "--data", "pixels.npz", "--no-latency"]
    found = asked(folder, "compare", *words, "--max-drop", "0.5")
    assert found["contrasts"][0]["drops"]["mean_iou"]["low"] > 0.4
    assert [one["name"] for one in found["verdict"]["checks"]] == [
        "runs",
        "runs",
        "pixel_accuracy drop",
    ]


@pytest.mark.usefixtures("untimed")
def test_the_report_holds_every_class_of_every_candidate(folder: Path, tmp_path: Path) -> None:
    words = ["pixels.tflite", "--data", "pixels.npz", "--labels", "road,car,person"]
    found = asked(folder, "convert", *words, "--precision", "float32", "--output", str(tmp_path))
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate({k: v for k, v in found.items() if k != "said"}, schema)
    for side in (found["reference"], found["candidates"][0]):
        assert [one["name"] for one in side["parts"]] == ["road", "car", "person"]
        assert side["metrics"]["mean_iou"]["value"] > 0.7
    (run,) = (tmp_path / ".edgekit/runs").iterdir()
    assert read(run).candidates[0].evaluation.parts[2].figures["iou"].value is not None
    drawn = details.read(run)
    assert drawn is not None
    assert drawn.candidates["float32"].confusion is None
    assert "pixel_accuracy is not a metric of one class" in drawn.reference.absent["confusion"]
    assert drawn.reference.worst_items[0].score_name == "share of wrong pixels"
    summary = (run / "summary.md").read_text(encoding="utf-8")
    assert "mean_iou" in summary
    assert "float32: lowest IoU: person" in summary


def test_names_of_another_number_of_classes_are_refused(folder: Path) -> None:
    for model, names in (("pixels", "road,car"), ("labels", "a,b,c")):
        words = [f"{model}.tflite", "--data", f"{model}.npz", "--labels", names]
        done = answer("evaluate", *words, cwd=folder)
        assert done.returncode == 2
        assert "EK-DATA-018" in done.stderr


def test_embeddings_are_compared_by_their_angle_without_labels_for_it(tmp_path: Path) -> None:
    tensors = [T("x", [1, 3]), T("one", [1, 3], data=np.ones((1, 3), "f4")), T("y", [1, 3])]
    for name, factor in (("same", (1, 1, 1)), ("turned", (-1, -1, -1)), ("bent", (1, 1, 0))):
        tensors[1] = T("factor", [1, 3], data=np.array([factor], "f4"))
        node = N("MUL", ["x", "factor"], ["y"], options={"kind": "MulOptions"})
        (tmp_path / f"{name}.tflite").write_bytes(build(G(tensors, [node], ["x"], ["y"])))
    x = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(12) % 3)
    words = ["same.tflite", "turned.tflite", "bent.tflite", "--data", "d.npz", "--no-latency"]
    found = asked(tmp_path, "compare", *words, "--task", "embeddings", "--max-drop", "50%")
    rows = [line.split() for line in found["said"].splitlines()]
    shown = [row[3] for row in rows if row[:2] == ["cosine", "to"]]
    expected = np.linalg.norm(x[:, :2], axis=1) / np.linalg.norm(x, axis=1)
    assert [float(one) for one in shown] == pytest.approx([-1, expected.mean()], abs=1e-4)
