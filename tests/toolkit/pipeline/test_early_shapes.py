"""Items of a shape that the model cannot take are refused before it is exported, or trained."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from conftest import answer
from edgekit.models import files

MODEL = """
import keras

def build():
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(),
                              keras.layers.Dense(2, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""
PROJECT = """
schema = 1
[model]
source = "model.py:build"
[data]
train = "train.npz"
evaluate = "test.npz"
"""


def config(*shapes: list[int | None]) -> dict[str, object]:
    layers = [{"class_name": "InputLayer", "config": {"batch_shape": each}} for each in shapes]
    return {"class_name": "Functional", "config": {"layers": layers}}


def items(path: Path, *shape: int) -> None:
    np.savez(path, x=np.zeros((20, *shape), np.float32), y=np.arange(20) % 2)


@pytest.mark.parametrize(
    ("found", "shape"),
    [
        (config([None, 4, 4, 1]), (None, 4, 4, 1)),
        (config([None, None, None, 3]), (None, None, None, 3)),
        # Of several inputs it is not known which an array is.
        (config([None, 4], [None, 4]), None),
        (config(), None),
        (config([None, "4"]), None),
        ({"config": {"layers": [None, {"class_name": "InputLayer"}]}}, None),
        (None, None),
    ],
)
def test_a_configuration_tells_the_shape_of_the_only_input(
    found: object, shape: tuple[int | None, ...] | None
) -> None:
    spec = files.only_input(found)
    assert (spec.shape if spec else None) == shape


def test_items_of_another_shape_are_refused_before_the_export(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config([None, 4, 4, 1])))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        # No weights: it is never loaded.
        with h5py.File(tmp_path / "empty.h5", "w"):
            pass
        archive.write(tmp_path / "empty.h5", "model.weights.h5")
    items(tmp_path / "test.npz", 5, 5, 1)
    done = answer("convert", "model.keras", "--data", "test.npz", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "EK-DATA-004" in done.stderr
    assert "input 'input' expects float32 [N, 4, 4, 1]; " in done.stderr
    assert "[20, 5, 5, 1]" in done.stderr
    assert "export" not in done.stderr


@pytest.mark.slow
def test_items_of_another_shape_are_refused_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "edgekit.toml").write_text(PROJECT)
    items(tmp_path / "train.npz", 4, 4, 1)
    items(tmp_path / "test.npz", 5, 5, 1)
    done = answer("train", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "EK-DATA-004" in done.stderr
    assert not list(tmp_path.rglob("events.out.tfevents.*"))
    items(tmp_path / "test.npz", 4, 4, 1)
    done = answer("train", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"tensorboard --logdir {Path('build') / 'model' / 'logs'}" in done.stderr + done.stdout
    (history,) = tmp_path.glob("build/*/history.csv")
    first, *rows = history.read_text().splitlines()
    rates = [dict(zip(first.split(","), row.split(","), strict=True)) for row in rows]
    assert all(float(one["learning_rate"]) == pytest.approx(0.001) for one in rates)
