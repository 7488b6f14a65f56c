"""Detectors scored from the command line: YOLO heads, TFLite_Detection_PostProcess, annotations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from custom_files import detector
from PIL import Image
from rendered import ReadPage
from tflite_files import G, N, T, build

from conftest import answer
from edgekit.converters import flatbuffer, flex
from edgekit.errors import ModelError
from edgekit.pipeline.float_file import check

PICTURES = 40
ROWS = 12


def scaled(factor: float = 1.0) -> bytes:
    """A head ``x`` [1, 12, 7] given back, its boxes scaled."""
    by = np.array([factor] * 4 + [1] * 3, np.float32)
    tensors = [T("x", [1, ROWS, 7]), T("s", [7], data=by), T("y", [1, ROWS, 7])]
    return build(G(tensors, [N("MUL", ["x", "s"], ["y"])], ["x"], ["y"]))


def constant() -> bytes:
    """Pictures [1, 8, 8, 3] to one box of class 1 in a YOLO head [1, 12, 7], in pixels of 8."""
    head = np.zeros((1, ROWS, 7), np.float32)
    head[0, 0] = [2.4, 3.2, 3.2, 3.2, 1, 0, 0.9]
    tensors = [
        T("image", [1, 8, 8, 3]),
        T("flat", [1, 192]),
        T("shape", [2], "INT32", np.array([1, 192], np.int32)),
        T("w", [ROWS * 7, 192], data=np.zeros((ROWS * 7, 192), np.float32)),
        T("b", [ROWS * 7], data=head.reshape(-1)),
        T("v", [1, ROWS * 7]),
        T("back", [3], "INT32", np.array([1, ROWS, 7], np.int32)),
        T("y", [1, ROWS, 7]),
    ]
    nodes = [
        N("RESHAPE", ["image", "shape"], ["flat"]),
        N("FULLY_CONNECTED", ["flat", "w", "b"], ["v"]),
        N("RESHAPE", ["v", "back"], ["y"]),
    ]
    return build(G(tensors, nodes, ["image"], ["y"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Heads with two boxes each, of which the labels have one; pictures with annotations."""
    folder = tmp_path_factory.mktemp("detectors")
    (folder / "head.tflite").write_bytes(scaled())
    (folder / "smaller.tflite").write_bytes(scaled(0.8))
    (folder / "constant.tflite").write_bytes(constant())
    (folder / "ssd.tflite").write_bytes(detector())
    rng = np.random.default_rng(0)
    x = np.zeros((PICTURES, ROWS, 7), np.float32)
    x[:, :2, :2] = rng.random((PICTURES, 2, 2)) * 0.4 + 0.3
    x[:, :2, 2:4] = rng.random((PICTURES, 2, 2)) * 0.2 + 0.2
    x[:, :2, 4], x[:, 0, 5], x[:, 1, 6] = 1, 0.9, 0.8
    y = np.zeros((PICTURES, 1, 5), np.float32)
    middle, half = x[:, 0, :2], x[:, 0, 2:4] / 2
    y[:, 0, 1:3], y[:, 0, 3:5] = middle - half, middle + half
    np.savez(folder / "boxes.npz", x=x, y=y)
    noisy = y + rng.normal(0, 0.02, y.shape).astype(np.float32) * (np.arange(5) > 0)
    np.savez(folder / "noisy.npz", x=x, y=noisy)
    (folder / "pictures").mkdir()
    (folder / "yolo").mkdir()
    images = []
    for number in range(6):
        name = f"p{number}"
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(folder / f"pictures/{name}.png")
        (folder / f"yolo/{name}.txt").write_text("1 0.3 0.4 0.4 0.4\n")
        images.append({"id": number, "file_name": f"{name}.png", "width": 80, "height": 80})
    document = {
        "images": images,
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [
            {"image_id": one["id"], "category_id": 2, "bbox": [8, 16, 32, 32]} for one in images
        ],
    }
    (folder / "coco.json").write_text(json.dumps(document))
    boxes = rng.normal(size=(PICTURES, 2, 4)).astype(np.float32)
    scores = rng.random((PICTURES, 2, 4)).astype(np.float32)
    np.savez(folder / "ends.npz", boxes=boxes, scores=scores, y=y)
    return folder


def asked(folder: Path, command: str, *words: str, code: int = 0) -> dict[str, Any]:
    done = answer(command, *words, "--json", cwd=folder)
    assert done.returncode == code, done.stderr
    return dict(json.loads(done.stdout))


def test_a_yolo_head_is_scored_by_cocos_map(folder: Path) -> None:
    found = asked(folder, "evaluate", "head.tflite", "--data", "boxes.npz")
    assert found["settings"]["task"]["name"] == "detection"
    assert found["settings"]["metric"] == "coco_map"
    # Boxes of another class than any label's do not count.
    assert found["models"][0]["metric"]["value"] == pytest.approx(1.0)
    assert found["models"][0]["metric"]["n"] == PICTURES


def test_boxes_of_another_size_fail(folder: Path) -> None:
    words = ["head.tflite", "smaller.tflite", "--data", "noisy.npz", "--no-latency"]
    found = asked(folder, "compare", *words, code=1)
    checks = {one["name"]: one["status"] for one in found["verdict"]["checks"]}
    assert checks["coco_map drop"] == "failed"


@pytest.mark.parametrize("annotations", ["yolo", "coco.json"])
def test_pictures_are_judged_by_their_annotations(folder: Path, annotations: str) -> None:
    words = ["constant.tflite", "--data", "pictures", "--annotations", annotations]
    found = asked(folder, "evaluate", *words)
    assert found["models"][0]["metric"]["value"] == pytest.approx(1.0)
    assert found["models"][0]["metric"]["n"] == 6


def test_the_worst_pictures_are_shown_with_their_boxes(folder: Path) -> None:
    moved = folder / "moved"
    shutil.copytree(folder / "yolo", moved)
    (moved / "p3.txt").write_text("1 0.8 0.8 0.2 0.2\n")
    (moved / "p4.txt").write_text("1 0.3 0.4 0.4 0.4\n0 0.8 0.8 0.2 0.2\n")
    words = ["constant.tflite", "--data", "pictures", "--annotations", "moved"]
    found = asked(folder, "evaluate", *words)
    assert [(one["name"], one["score"]) for one in found["worst"]] == [
        ("p3.png", 0.0),
        ("p4.png", pytest.approx(2 / 3)),
    ]
    run = folder / ".edgekit/runs" / found["run"]
    (model,) = json.loads((run / "details.json").read_text())["candidates"].values()
    corners = [[box[s] for s in ("left", "top", "right", "bottom")] for box in worst_boxes(model)]
    assert [box["found"] for box in worst_boxes(model)] == [False, True]
    assert corners == [pytest.approx([0.7, 0.7, 0.9, 0.9]), pytest.approx([0.1, 0.2, 0.5, 0.6])]
    page = ReadPage((run / "report.html").read_text())
    rows = [one for tag, one in page.elements if tag == "rect" and "x" in one]
    # Pictures have 8 pixels: the box of the labels, then the one that was found.
    drawn = {str(one["class"]): one for one in rows[:4]}
    assert [drawn["true"][side] for side in ("x", "width")] == ["5.6", "1.6"]
    assert [drawn["found"][side] for side in ("x", "width")] == ["0.8", "3.2"]
    assert "1 in the labels, 1 found F1 of the picture 0" in " ".join(page.visible.split())


def worst_boxes(model: dict[str, Any]) -> list[dict[str, Any]]:
    """The boxes of the picture that a model answers worst."""
    return list(model["worst_items"][0]["boxes"])


def test_annotations_of_other_pictures_are_refused(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "q.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    words = ["constant.tflite", "--data", "pictures", "--annotations", "other"]
    done = answer("evaluate", *words, cwd=folder)
    assert done.returncode == 2
    assert "EK-DATA-066" in done.stderr
    assert "such as 'p0.png'" in done.stderr


def test_the_postprocess_operator_is_scored_without_a_word_on_its_outputs(folder: Path) -> None:
    found = asked(folder, "evaluate", "ssd.tflite", "--data", "ends.npz")
    assert found["settings"]["task"]["name"] == "detection"
    assert found["models"][0]["metric"]["value"] is not None


def test_a_model_with_an_operator_that_the_judge_carries_is_taken(folder: Path) -> None:
    check(folder / "ssd.tflite", flatbuffer.read(folder / "ssd.tflite"))
    other = folder / "sinh.tflite"
    tensors = [T("x", [1]), T("y", [1])]
    other.write_bytes(build(G(tensors, [N("Sinh", ["x"], ["y"])], ["x"], ["y"])))
    with pytest.raises(ModelError, match="Sinh"):
        check(other, flatbuffer.read(other))
    assert flex.problem(flatbuffer.read(folder / "ssd.tflite")) == ""
    assert "Sinh" in flex.problem(flatbuffer.read(other))
