"""Items of a shape that the model cannot take are refused before it is exported, or trained."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from conftest import answer
from edgekit import data
from edgekit.errors import DataError
from edgekit.models import files, signature_file
from edgekit.types import Preprocess, TensorSpec

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


PHOTO = TensorSpec("photo", (None, 8, 8, 1), "float32")


def config(*shapes: list[int | None]) -> dict[str, object]:
    layers = [{"class_name": "InputLayer", "config": {"batch_shape": each}} for each in shapes]
    return {"class_name": "Functional", "config": {"layers": layers}}


def two(places: object) -> dict[str, object]:
    """A configuration of two inputs, ``a`` [4] and ``b`` [2]."""
    layers = [
        {"class_name": "InputLayer", "config": {"name": name, "batch_shape": [None, size]}}
        for name, size in (("a", 4), ("b", 2))
    ]
    return {"class_name": "Functional", "config": {"layers": layers, "input_layers": places}}


def saved_model(**inputs: list[int]) -> bytes:
    """A SavedModel's file with a signature of these inputs, float32; -1 is any size."""

    def varint(value: int) -> bytes:
        rest, low = divmod(value % (1 << 64), 128)
        return bytes([low | 128]) + varint(rest) if rest else bytes([low])

    def field(number: int, content: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(content)) + content

    def entry(name: str, content: bytes) -> bytes:
        return field(1, name.encode()) + field(2, content)

    def tensor(sizes: list[int]) -> bytes:
        shape = b"".join(field(2, b"\x08" + varint(size)) for size in sizes)
        return b"\x10\x01" + field(3, shape)

    named = b"".join(field(1, entry(name, tensor(sizes))) for name, sizes in inputs.items())
    tables = (entry("__saved_model_init_op", b""), entry("serving_default", named))
    # A graph of any content goes before.
    graph = field(2, bytes(300)) + b"".join(field(5, one) for one in tables)
    return b"\x08\x01" + field(2, graph)


def items(path: Path, *shape: int) -> None:
    np.savez(path, x=np.zeros((20, *shape), np.float32), y=np.arange(20) % 2)


@pytest.mark.parametrize(
    ("found", "shape"),
    [
        (config([None, 4, 4, 1]), (None, 4, 4, 1)),
        (config([None, None, None, 3]), (None, None, None, 3)),
        # Without a word on the order of several.
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
    assert [spec.shape for spec in files.inputs_of(found)] == ([shape] if shape else [])


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ([["a", 0, 0], ["b", 0, 0]], True),
        ({"a": ["a", 0, 0], "b": ["b", 0, 0]}, True),
        # The model calls them otherwise than its layers do.
        ({"left": ["a", 0, 0], "right": ["b", 0, 0]}, False),
        ([["b", 0, 0], ["a", 0, 0]], False),
        ([1, None], False),
    ],
)
def test_several_inputs_are_told_where_they_are_called_as_their_layers(
    places: object, told: bool
) -> None:
    assert [spec.name for spec in files.inputs_of(two(places))] == (["a", "b"] if told else [])


def test_a_saved_model_tells_its_inputs_and_a_damaged_one_none(tmp_path: Path) -> None:
    content = saved_model(left=[-1, 4], right=[1, 2])
    (tmp_path / "saved_model.pb").write_bytes(content)
    found = signature_file.inputs_of(tmp_path)
    assert [(spec.name, spec.shape) for spec in found] == [("left", (None, 4)), ("right", (1, 2))]
    assert not signature_file.inputs_of(tmp_path, "other")
    for length in range(0, len(content), 5):
        (tmp_path / "saved_model.pb").write_bytes(content[:length])
        assert len(signature_file.inputs_of(tmp_path)) in (0, 2)
    for at in range(0, len(content), 5):
        (tmp_path / "saved_model.pb").write_bytes(content[:at] + b"\xff" + content[at + 1 :])
        signature_file.inputs_of(tmp_path)


@pytest.mark.parametrize(
    ("spec", "stated", "words"),
    [
        (PHOTO, Preprocess(resize=(16, 16)), "has [N, 16, 16, 1] resize the items to [8, 8, 1]"),
        (PHOTO, Preprocess(color="rgb"), "has [N, 8, 8, 3] the model takes grey pictures"),
        (
            TensorSpec("photo", (None, 3, 8, 8), "float32"),
            Preprocess(resize=(9, 9)),
            "[N, 3, 9, 9]",
        ),
        (PHOTO, Preprocess(), None),
        # Its size is that of the pictures, which nobody has read yet.
        (TensorSpec("photo", (None, None, None, 3), "float32"), Preprocess(), None),
    ],
)
def test_pictures_are_refused_by_what_is_stated_before_one_is_read(
    spec: TensorSpec, stated: Preprocess, words: str | None
) -> None:
    if words is None:
        data.check_pictures("photos", stated, (spec,))
        return
    with pytest.raises(DataError, match=re.escape("input 'photo' expects float32")) as raised:
        data.check_pictures("photos", stated, (spec,))
    assert words in f"{raised.value.message} {raised.value.hint}"


def weightless(path: Path, found: object) -> None:
    """Write a model of this configuration. It has no weights: it is never loaded."""
    with h5py.File(path.with_name("empty.h5"), "w"):
        pass
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(found))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.write(path.with_name("empty.h5"), "model.weights.h5")


def test_arrays_for_several_inputs_are_refused_before_the_export(tmp_path: Path) -> None:
    weightless(tmp_path / "model.keras", two([["a", 0, 0], ["b", 0, 0]]))
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(saved_model(a=[-1, 4], b=[-1, 2]))
    labels = np.arange(20) % 2
    np.savez(tmp_path / "test.npz", a=np.zeros((20, 4)), b=np.zeros((20, 3)), y=labels)
    np.savez(tmp_path / "names.npz", a=np.zeros((20, 4)), c=np.zeros((20, 2)), y=labels)
    for model in ("model.keras", "saved"):
        done = answer("convert", model, "--data", "test.npz", cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "EK-DATA-004: input 'b' expects float32 [N, 2]; " in done.stderr
        assert "export" not in done.stderr
    done = answer("convert", "saved", "--data", "names.npz", cwd=tmp_path)
    assert "EK-DATA-010" in done.stderr
    assert "the model's inputs are a, b" in done.stderr
    assert "export" not in done.stderr


def test_items_of_another_shape_are_refused_before_the_export(tmp_path: Path) -> None:
    weightless(tmp_path / "model.keras", config([None, 4, 4, 1]))
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
