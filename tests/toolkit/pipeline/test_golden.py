"""Golden items: spread over classes or the outputs' range; a wrong class cannot pass."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from tflite_files import build, doubling

from conftest import answer
from edgekit.evaluation.tasks import TASKS
from edgekit.evaluation.tasks.margins import DecisionMargin
from edgekit.pipeline import golden


def answers(classes: int = 10, each: int = 50, sharp: float = 6.0) -> golden.Floats:
    """Softmax rows in the order of a class folder: first all of class 0, then all of class 1."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(classes * each, classes))
    rows[np.arange(len(rows)), np.repeat(np.arange(classes), each)] += sharp
    grown = np.exp(rows)
    return (grown / grown.sum(axis=1, keepdims=True)).astype(np.float32)


def kept(values: golden.Floats, rounding: float) -> tuple[golden.Floats, float]:
    chosen = golden.choose({"y": values}, None, 1)
    chosen = chosen[golden.clear_items(values[chosen], rounding)]
    return values[chosen], golden.tolerance(values[chosen], rounding)[0]


def test_items_of_a_class_folder_are_of_every_class() -> None:
    values = answers()
    chosen = golden.choose({"y": values}, None, 1)
    assert set(values[chosen].argmax(axis=1)) == set(range(10))


def test_items_are_of_every_label_when_the_model_answers_one_class() -> None:
    values = answers()[:, ::-1] * 0 + np.linspace(0, 1, 10, dtype=np.float32)
    labels = np.repeat(np.arange(10), 50)
    chosen = golden.choose({"y": values}, labels, 1)
    assert set(labels[chosen]) == set(range(10))


@pytest.mark.parametrize("rounding", [1e-4, 2 / 256, 0.3])
def test_any_two_classes_that_change_places_are_seen(rounding: float) -> None:
    values, tolerance = kept(answers(), rounding)
    for a, b in itertools.combinations(range(10), 2):
        swapped = values.copy()
        swapped[:, [a, b]] = swapped[:, [b, a]]
        assert np.abs(swapped - values).max() > tolerance, (a, b)


def test_no_wrong_class_is_within_the_tolerance_when_runtimes_differ_much() -> None:
    values, tolerance = kept(answers(sharp=1.0), rounding=0.8)
    worst = values.copy()
    best = values.argmax(axis=1)
    worst[np.arange(len(values)), best] -= tolerance
    others = np.where(np.arange(10) == best[:, None], worst, worst + tolerance)
    assert (others.argmax(axis=1) == best).all()


def test_it_is_said_when_classes_are_told_by_less_than_rounding() -> None:
    assert golden.tolerance(np.full((8, 3), 0.33, np.float32), 0.01) == (0.01, False)
    assert golden.tolerance(np.eye(3, dtype=np.float32), 0.01) == (0.01, True)


def test_numbers_are_spread_over_their_range_with_both_ends() -> None:
    values = np.random.default_rng(1).permutation(1000).astype(np.float32).reshape(-1, 1)
    found = np.sort(values[golden.choose({"y": values}, None, 1)].ravel())
    assert (len(found), found[0], found[-1]) == (8, 0, 999)
    assert np.diff(found).max() < 200


def test_large_items_are_few_and_small_sets_whole() -> None:
    assert len(golden.choose({"y": answers(classes=30)}, None, 10_000_000)) == 8
    assert len(golden.choose({"y": answers(classes=30)}, None, 1)) == 30
    assert len(golden.choose({"y": answers(classes=100, each=5)}, None, 1)) == 32
    assert len(golden.choose({"y": answers(each=1)[:3]}, None, 1)) == 3
    assert golden.choose({"y": np.zeros((5, 2, 2), np.float32)}, None, 1).tolist() == [
        0,
        1,
        2,
        3,
        4,
    ]


def test_items_without_labels_that_are_judged_make_a_bundle_too(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(build(doubling([1, 2])))
    np.savez(tmp_path / "items.npz", x=np.random.default_rng(0).random((40, 2), np.float32))
    words = ("convert", "model.tflite", "--data", "items.npz", "--precision", "float32")
    more = ("--metric", "reconstruction_error", "--target", "linux-x86_64", "--json")
    done = answer(*words, *more, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["settings"]["items"]["evaluated"] == 40
    assert Path(report["targets"][0]["bundle"]["path"]).is_file()


RNG = np.random.default_rng(5)


def shares(*shape: int) -> golden.Floats:
    """Softmax rows over the last axis, some of them hardly decided, all classes answered."""
    rows = RNG.normal(size=shape) * RNG.choice([1.0, 6.0], (*shape[:-1], 1))
    grown = np.exp(rows)
    return (grown / grown.sum(axis=-1, keepdims=True)).astype(np.float32)


def kept_as(task: str, values: golden.Floats, rounding: float) -> tuple[golden.Floats, float]:
    """The golden outputs of a task, and their tolerance."""
    by: DecisionMargin = TASKS[task].margin
    chosen = golden.choose({"y": values}, None, 1, {"y": by})
    chosen = chosen[golden.clear_items(values[chosen], rounding, by)]
    return values[chosen], golden.tolerance(values[chosen], rounding, by)[0]


@pytest.mark.parametrize("rounding", [1e-4, 0.02, 0.9])
def test_any_two_classes_of_pixels_that_change_places_are_seen(rounding: float) -> None:
    masks = shares(300, 5, 5, 6)
    # The last class is answered in one picture of three hundred.
    masks[..., 5] = 0
    masks[137, 2, 2] = np.eye(6)[5]
    values, tolerance = kept_as("segmentation", masks, rounding)
    for a, b in itertools.combinations(range(6), 2):
        swapped = values.copy()
        swapped[..., [a, b]] = swapped[..., [b, a]]
        assert np.abs(swapped - values).max() > tolerance, (a, b)


@pytest.mark.parametrize("rounding", [1e-4, 0.02, 0.9])
def test_no_other_text_is_within_the_tolerance(rounding: float) -> None:
    values, tolerance = kept_as("text", shares(200, 6, 5), rounding)
    best = values.argmax(axis=-1)
    assert set(best.ravel()) == set(range(5))
    # The most that the tolerance lets every step's best token lose, and the others gain.
    own = np.arange(5) == best[..., None]
    worst = np.where(own, values - tolerance, values + tolerance)
    assert (worst.argmax(axis=-1) == best).all()
    for a, b in itertools.combinations(range(5), 2):
        swapped = values.copy()
        swapped[..., [a, b]] = swapped[..., [b, a]]
        assert np.abs(swapped - values).max() > tolerance, (a, b)


@pytest.mark.parametrize("rounding", [1e-4, 0.1, 0.9])
def test_no_other_labels_are_within_the_tolerance(rounding: float) -> None:
    scores = RNG.random((200, 4)).astype(np.float32)
    values, tolerance = kept_as("multi-label", scores, rounding)
    said = values > 0.5
    assert said.any(axis=0).all()
    assert not said.all(axis=0).any()
    worst = np.where(said, values - tolerance, values + tolerance)
    assert ((worst > 0.5) == said).all()


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
@pytest.mark.parametrize("shape", [(90,), (90, 1), (90, 12)])
def test_no_other_number_is_within_the_tolerance(dtype: type, shape: tuple[int, ...]) -> None:
    numbers = RNG.integers(0, 7, shape).astype(dtype)
    task = "text" if shape[-1] == 12 else "class-ids"
    values, tolerance = kept_as(task, numbers, rounding=3.0)
    assert set(values.ravel()) == set(range(7))
    assert tolerance < 0.5


def test_no_other_side_of_one_sigmoid_is_within_the_tolerance() -> None:
    scores = RNG.random((100, 1)).astype(np.float32)
    values, tolerance = kept_as("classification", scores, rounding=0.3)
    assert set((values > 0.5).ravel()) == {True, False}
    assert (np.abs(values - 0.5) > tolerance).all()


def test_classes_and_order_of_boxes_are_told_however_far_runtimes_differ() -> None:
    boxes = np.sort(RNG.random((40, 3, 4)), axis=-1).astype(np.float32)
    assert kept_as("detection", boxes, 9.0)[1] < np.abs(boxes[:, 0] - boxes[:, 1]).max()
    classes = RNG.integers(0, 5, (40, 3)).astype(np.float32)
    assert kept_as("detection", classes, 9.0)[1] < 0.5
