"""What the project says of its training data: set aside, weighed, changed; faults are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import answer
from edgekit.pipeline.feeding import balanced

MODEL = """
import keras

def build():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    return model
"""
RNG = np.random.default_rng(0)
ITEMS = RNG.normal(size=(60, 4)).astype(np.float32)
NAMES = 'labels = ["ant", "bee", "cow"]'
LABELS = np.repeat([0, 1, 2], [40, 15, 5])


def project(folder: Path, data: str = "", train: str = "") -> Path:
    (folder / "model.py").write_text(MODEL)
    np.savez(folder / "train.npz", x=ITEMS, y=LABELS, weight=np.full(60, -1.0))
    np.savez(folder / "other.npz", x=ITEMS[10:20], y=LABELS[10:20])
    (folder / "edgekit.toml").write_text(
        'schema = 1\n[model]\nname = "toy"\nsource = "model.py:build"\n'
        f'[data]\ntrain = "train.npz"\n{data}\n[train]\nepochs = 2\nbatch_size = 16\n{train}\n'
    )
    return folder


@pytest.mark.usefixtures("lent_worker")
@pytest.mark.parametrize(
    ("data", "train", "code", "words"),
    [
        ("validation = 0.9", "", "EK-PROJECT", "less than or equal to 0.5"),
        ('validation = 0.1\ngroup = "patient"', "", "EK-DATA-016", "no column 'patient'"),
        (NAMES, "class_weights = { cat = 2 }", "EK-DATA-083", "the classes are ant, bee, cow"),
        ("", 'sample_weights = "weight"', "EK-DATA-083", "'weight' holds no weights"),
        ("", "augment = { Dense = 3 }", "EK-DATA-082", "Dense is not a random layer of Keras"),
        ("", "augment = { RandomFlip = 3 }", "EK-DATA-082", "cannot change items shaped [4]"),
    ],
)
def test_faults_of_the_project_are_named(
    tmp_path: Path, data: str, train: str, code: str, words: str
) -> None:
    # Weights that nobody asks for are a column that the model does not take.
    column = "" if "sample_weights" in train else 'group = "weight"\n'
    done = answer("train", cwd=project(tmp_path, data if "group" in data else column + data, train))
    assert done.returncode == 2
    assert code in done.stderr
    assert words in " ".join(done.stderr.split())


def test_balanced_classes_count_alike() -> None:
    weights = balanced(LABELS, 4)
    assert [round(w * n, 9) for w, n in zip(weights, (40, 15, 5), strict=False)] == [20.0] * 3
    assert weights[3] == 1


@pytest.mark.usefixtures("lent_worker")
def test_validation_is_in_the_history_and_its_overlap_is_told(tmp_path: Path) -> None:
    weights = 'class_weights = "balanced"\naugment = { GaussianNoise = 0.1 }'
    validation = 'group = "weight"\nvalidation = "other.npz"'
    done = answer("train", "--json", cwd=project(tmp_path, validation, weights))
    assert done.returncode == 0, done.stderr
    assert "10 of 10 items of the validation data (other.npz)" in " ".join(done.stderr.split())
    assert json.loads(done.stdout)
    (history,) = (tmp_path / "build").rglob("history.csv")
    head, *rows = history.read_text().splitlines()
    assert "val_loss" in head
    assert len(rows) == 2
