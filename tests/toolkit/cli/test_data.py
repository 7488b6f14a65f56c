"""`edgekit data describe`: what data holds, a sheet of it, and the part its pipeline waits for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import answer

pytestmark = pytest.mark.usefixtures("lent_worker")

# A layer that computes for much longer than reading a batch of small items takes.
SLOW = """
import keras

class Slow(keras.layers.Layer):
    def call(self, x):
        big = keras.ops.ones((400, 400)) + x[0, 0, 0, 0]
        for _ in range(8):
            big = keras.ops.matmul(big, big) / 400
        return x + 0 * big[0, 0]

def layers():
    return Slow()
"""


def described(folder: Path, *words: Any) -> dict[str, Any]:
    done = answer("data", "describe", *words, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_folder_of_pictures_is_described_and_drawn(tmp_path: Path) -> None:
    for name, count, colour in (("cat", 3, (250, 0, 0)), ("dog", 2, (0, 0, 90))):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(count):
            picture = Image.new("RGB", (20, 10), colour)
            picture.save(tmp_path / "photos" / name / f"{number}.png")
    found = described(tmp_path, "photos", "--sheet", "sheet.png", "--no-timing")
    assert (found["count"], found["classes"]) == (5, {"cat": 3, "dog": 2})
    array = found["arrays"][0]
    assert (array["use"], array["dtype"], array["shape"]) == ("input", "uint8", [10, 20, 3])
    assert (array["low"], array["high"]) == (0, 250)
    assert array["mean"] == pytest.approx((3 * 250 + 2 * 90) / 15)
    assert found["pipeline"] is None
    with Image.open(tmp_path / "sheet.png") as sheet:
        colours = {colour for _, colour in sheet.getcolors(1 << 20) or ()}
        assert {(250, 0, 0), (0, 0, 90)} <= colours


def test_numbers_of_classes_are_called_as_the_project_does(tmp_path: Path) -> None:
    x, y = np.zeros((6, 4), np.float32), np.array([0, 2, 2, 1, 2, 0])
    np.savez(tmp_path / "train.npz", x=x, y=y)
    (tmp_path / "edgekit.toml").write_text(
        'schema = 1\n[model]\nname = "toy"\nsource = "mine.py:build"\n'
        '[data]\ntrain = "train.npz"\nlabels = ["cat", "dog", "fish"]\n'
    )
    assert described(tmp_path, "--no-timing")["classes"] == {"cat": 2, "dog": 1, "fish": 3}


def test_part_that_the_pipeline_waits_for_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SLOW)
    x = np.zeros((40, 8, 8, 1), np.float32)
    np.savez(tmp_path / "train.npz", x=x, y=np.linspace(0, 1, 40))
    (tmp_path / "edgekit.toml").write_text(
        'schema = 1\n[model]\nname = "toy"\nsource = "mine.py:layers"\n'
        '[data]\ntrain = "train.npz"\n[train]\nbatch_size = 16\naugment = "mine.py:layers"\n'
    )
    found = described(tmp_path)
    pipeline = found["pipeline"]
    assert set(pipeline["parts"]) == {"order", "read", "preprocess", "augment"}
    assert (pipeline["slowest"], pipeline["batch_size"]) == ("augment", 16)
    # Labels of many values are not classes.
    assert found["classes"] == {}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "EK-DATA-013"),
        (("rows.npz", "--sheet", "sheet.png", "--no-timing"), "EK-DATA-044"),
        (("none.npz",), "EK-DATA-001"),
    ],
)
def test_what_cannot_be_described_is_refused(
    tmp_path: Path, words: tuple[str, ...], code: str
) -> None:
    np.savez(tmp_path / "rows.npz", x=np.zeros((4, 3), np.float32))
    done = answer("data", "describe", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert f"error {code}" in done.stderr
    assert not (tmp_path / "sheet.png").exists()


def test_parts_of_a_split_share_no_group_and_are_data_again(tmp_path: Path) -> None:
    patients = np.repeat(np.arange(30), 4)
    lines = [f"{patient},{patient % 2},{row / 7}" for row, patient in enumerate(patients)]
    (tmp_path / "scans.csv").write_text("\n".join(["patient,y,value", *lines]) + "\n")
    words = ("--validation", "0.2", "--test", "0.3", "--group", "patient", "--into", "parts")
    done = answer("data", "split", "scans.csv", *words, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)["parts"]
    assert sum(counts.values()) == 120
    groups = {name: set(np.load(tmp_path / "parts" / name / "patient.npy")) for name in counts}
    assert set(groups) == {"train", "validation", "test"}
    assert sum(map(len, groups.values())) == len(set.union(*groups.values())) == 30
    found = described(tmp_path, "parts/test", "--no-timing")
    assert found["count"] == counts["test"]
    assert sum(found["classes"].values()) == counts["test"]

    again = answer("data", "split", "scans.csv", *words, cwd=tmp_path)
    assert (again.returncode, "EK-OUTPUT-001" in again.stderr) == (2, True)
    (tmp_path / "parts" / "notes.txt").write_text("mine")
    forced = answer("data", "split", "scans.csv", *words, "--force", cwd=tmp_path)
    assert (forced.returncode, "holds notes.txt" in forced.stderr) == (2, True)
    assert (tmp_path / "parts" / "notes.txt").read_text() == "mine"
