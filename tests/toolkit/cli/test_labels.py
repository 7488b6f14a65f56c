"""What labels and pictures are is seen by itself, and what cannot be meant is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tflite_files import G, N, T, build

from conftest import answer

CLASSES = 10
ORIENTATION = 274


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier, one that ends in argmax, and the labels of its items in every form."""
    folder = tmp_path_factory.mktemp("labels")
    w = np.random.default_rng(1).normal(size=(CLASSES, 6)).astype(np.float32)
    x = np.random.default_rng(3).normal(size=(60, 6)).astype(np.float32)
    y = (x @ w.T).argmax(1)
    scored = [T("x", [1, 6]), T("w", [CLASSES, 6], data=w), T("h", [1, CLASSES])]
    dense = N("FULLY_CONNECTED", ["x", "w", None], ["h"])
    axis, chosen = T("axis", [1], "INT32", np.array([1], np.int32)), T("y", [1], "INT64")
    argmax = N("ARG_MAX", ["h", "axis"], ["y"], options={"kind": "ArgMaxOptions", "outputType": 4})
    (folder / "scores.tflite").write_bytes(build(G(scored, [dense], ["x"], ["h"])))
    (folder / "classes.tflite").write_bytes(
        build(G([*scored, axis, chosen], [dense, argmax], ["x"], ["y"]))
    )
    one_hot = np.eye(CLASSES, dtype=np.float32)[y]
    forms = {"numbers": y, "one-hot": one_hot, "smoothed": one_hot * 0.9 + 0.01, "from-one": y + 1}
    for name, labels in forms.items():
        np.savez(folder / f"{name}.npz", x=x, y=labels)
    (folder / "names.txt").write_text("\n".join(map(str, range(CLASSES))))
    (folder / "background.txt").write_text("\n".join(["background", *map(str, range(CLASSES))]))
    (folder / "twice.txt").write_text("\n".join(["a"] * CLASSES))
    return folder


def evaluated(folder: Path, *words: object) -> dict[str, Any]:
    done = answer("evaluate", *words, "--worst", 0, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("model", "items"),
    [("scores", "numbers"), ("scores", "one-hot"), ("scores", "smoothed"), ("classes", "numbers")],
)
def test_labels_in_every_form_are_scored_by_accuracy(folder: Path, model: str, items: str) -> None:
    found = evaluated(folder, f"{model}.tflite", "--data", f"{items}.npz")
    assert found["settings"]["metric"] == "accuracy"
    assert found["models"][0]["metric"]["value"] == 1.0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("numbers.npz", "--labels", "background.txt"), "11 class names, the model gives 10"),
        (("numbers.npz", "--labels", "twice.txt"), "'a' appears several times"),
        (("from-one.npz",), "they count from 1, the outputs from 0 to 9"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "convert"])
def test_labels_of_another_number_are_refused_before_anything_is_run(
    folder: Path, tmp_path: Path, command: str, words: tuple[str, ...], said: str
) -> None:
    items, *more = words
    done = answer(
        command,
        folder / "scores.tflite",
        "--data",
        folder / items,
        *more,
        "--output",
        tmp_path,
        cwd=folder,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "build").exists()
    assert "  convert: " not in done.stderr


def test_names_of_every_class_are_taken(folder: Path) -> None:
    evaluated(folder, "scores.tflite", "--data", "numbers.npz", "--labels", "names.txt")


def test_pictures_are_turned_upright_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    """Half of the pictures lie upside down, with a note of it; one is of no kind that is read."""
    w = np.repeat(np.eye(2, dtype=np.float32), 3, axis=1)
    tensors = [
        T("x", [1, 2, 1, 3]),
        T("s", [2], "INT32", np.array([1, 6], np.int32)),
        T("f", [1, 6]),
        T("w", [2, 6], data=w),
        T("y", [1, 2]),
    ]
    nodes = [N("RESHAPE", ["x", "s"], ["f"]), N("FULLY_CONNECTED", ["f", "w", None], ["y"])]
    (tmp_path / "rows.tflite").write_bytes(build(G(tensors, nodes, ["x"], ["y"])))
    for row, name in enumerate(("upper", "lower")):
        (tmp_path / "pictures" / f"{row}-{name}").mkdir(parents=True)
        for number in range(4):
            pixels = np.zeros((2, 1, 3), np.uint8)
            pixels[row] = 200
            picture = Image.fromarray(pixels)
            noted = picture.getexif()
            if number % 2:
                picture, noted[ORIENTATION] = picture.transpose(Image.Transpose.ROTATE_180), 3
            picture.save(tmp_path / "pictures" / f"{row}-{name}" / f"{number}.png", exif=noted)
    (tmp_path / "pictures" / "0-upper" / "a.heic").write_bytes(b"x" * 30)
    found = evaluated(tmp_path, "rows.tflite", "--data", "pictures")
    assert found["models"][0]["metric"]["value"] == 1.0
    said = " ".join(one["message"] for one in found["advice"])
    assert "4 of 8 pictures are rotated upright" in said
    assert "8 pictures are read, and left out are 1 .heic" in said
