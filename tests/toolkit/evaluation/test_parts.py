"""Metrics class by class: by hand, and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, jaccard_score

from edgekit.evaluation.metrics import METRICS, parts

RNG = np.random.default_rng(2)
SEVERAL = (RNG.random((120, 4)) < 0.4).astype(np.int64)
SCORES = np.clip(SEVERAL * 0.3 + RNG.random((120, 4)) * 0.7, 0, 1).astype(np.float32)
MASKS = RNG.integers(0, 3, (30, 6, 5))
PLACES = (np.eye(3)[MASKS] * 0.8 + RNG.random((30, 6, 5, 3))).astype(np.float32)


def test_pixels_have_an_iou_per_class_by_hand() -> None:
    labels = np.array([[[0, 1], [1, 1]], [[0, 0], [2, 2]]])
    answers = np.array([[[0, 1], [1, 0]], [[0, 0], [2, 1]]])
    found = parts(METRICS["mean_iou"], labels, answers, ("road", "car", "person"))
    assert [(one.name, one.count, one.figures["iou"].value) for one in found] == [
        ("road", 2, 0.75),
        ("car", 1, 0.5),
        ("person", 1, 0.5),
    ]


def test_figures_agree_with_scikit_learn() -> None:
    said, answers = SCORES > 0.5, PLACES.argmax(-1).reshape(-1)
    labels = parts(METRICS["label_accuracy"], SEVERAL, SCORES)
    oracles = {
        "f1": f1_score(SEVERAL, said, average=None),
        "average_precision": average_precision_score(SEVERAL, SCORES, average=None),
        "accuracy": (said == SEVERAL).mean(axis=0),
    }
    for name, oracle in oracles.items():
        assert [one.figures[name].value for one in labels] == pytest.approx(list(oracle))
    pixels = parts(METRICS["pixel_accuracy"], MASKS, PLACES)
    oracle = jaccard_score(MASKS.reshape(-1), answers, average=None)
    assert [one.figures["iou"].value for one in pixels] == pytest.approx(list(oracle))
    for one in (*labels, *pixels):
        for figure in one.figures.values():
            assert figure.low is not None
            assert figure.high is not None
            assert figure.low < (figure.value or 0) < figure.high


def test_a_class_is_bounded_by_its_own_items() -> None:
    labels = np.zeros((40, 2, 2), np.int64)
    labels[:5, 0] = 1
    often, seldom = (one.figures["iou"] for one in parts(METRICS["mean_iou"], labels, labels))
    assert often.low == pytest.approx((0.025 ** (1 / 40)) ** 2)
    assert seldom.low == pytest.approx((0.025 ** (1 / 5)) ** 2)
    assert (often.high, seldom.high, seldom.n) == (1.0, 1.0, 5)


def test_a_label_that_no_item_has_is_unavailable() -> None:
    labels = SEVERAL.copy()
    labels[:, 2] = 0
    found = parts(METRICS["label_map"], labels, SCORES)[2]
    assert found.count == 0
    assert found.figures["average_precision"].reason == "no item has this label"


def test_numbers_have_no_parts() -> None:
    assert parts(METRICS["mse"], np.zeros(3), np.zeros(3)) == ()
