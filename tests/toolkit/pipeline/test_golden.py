"""Golden items: spread over classes or the outputs' range; a wrong class cannot pass."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from tflite_files import build, doubling

from conftest import answer
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
