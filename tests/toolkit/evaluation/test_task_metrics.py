"""Metrics of several labels, pixels, class numbers and vectors: by hand, and scikit-learn's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    jaccard_score,
    root_mean_squared_error,
)

from edgekit.errors import DataError
from edgekit.evaluation.metrics import METRICS, drop, find, measure
from edgekit.evaluation.worst import worst

RNG = np.random.default_rng(2)
LABELS = (RNG.random((120, 4)) < 0.4).astype(np.int64)
SCORES = np.clip(LABELS * 0.3 + RNG.random((120, 4)) * 0.7, 0, 1).astype(np.float32)
MASKS = RNG.integers(0, 3, (30, 6, 5))
PLACES = (np.eye(3)[MASKS] * 0.8 + RNG.random((30, 6, 5, 3))).astype(np.float32)


def value(name: str, labels: object, outputs: object) -> float:
    found = measure(METRICS[name], np.asarray(labels), np.asarray(outputs)).value
    assert found is not None
    return found


def test_several_labels_by_hand() -> None:
    labels = [[1, 0, 1], [0, 0, 0], [1, 1, 0], [0, 1, 0]]
    outputs = [[0.9, 0.2, 0.6], [0.1, 0.7, 0.3], [0.8, 0.9, 0.1], [0.6, 0.4, 0.2]]
    assert value("label_accuracy", labels, outputs) == pytest.approx(9 / 12)
    assert value("subset_accuracy", labels, outputs) == 0.5
    # Hits 2, 1, 1; labelled 2, 2, 1; answered 3, 2, 1.
    assert value("label_f1", labels, outputs) == pytest.approx((4 / 5 + 2 / 4 + 1) / 3)
    # The second label: scores 0.9 and 0.4 are right, 0.7 between them is not.
    assert value("label_map", labels, outputs) == pytest.approx((1 + (1 + 2 / 3) / 2 + 1) / 3)
    logits = np.log(np.asarray(outputs) / (1 - np.asarray(outputs)))
    assert value("label_accuracy", labels, logits) == pytest.approx(9 / 12)


def test_several_labels_agree_with_scikit_learn() -> None:
    said = SCORES > 0.5
    assert value("subset_accuracy", LABELS, SCORES) == accuracy_score(LABELS, said)
    assert value("label_f1", LABELS, SCORES) == pytest.approx(
        f1_score(LABELS, said, average="macro")
    )
    expected = average_precision_score(LABELS, SCORES, average="macro")
    assert value("label_map", LABELS, SCORES) == pytest.approx(expected)


def test_several_labels_are_refused_where_they_are_none() -> None:
    with pytest.raises(DataError, match="labels are int64 from 0 to 2"):
        value("label_accuracy", [[0, 2], [1, 0]], np.zeros((2, 2)))
    with pytest.raises(DataError, match="2 labels per item, 3 outputs"):
        value("label_accuracy", [[0, 1], [1, 0]], np.zeros((2, 3)))


def test_pixels_by_hand() -> None:
    labels = np.array([[[0, 1], [1, 1]], [[0, 0], [2, 2]]])
    answers = np.array([[[0, 1], [1, 0]], [[0, 0], [2, 1]]])
    outputs = np.eye(3, dtype=np.float32)[answers]
    assert value("pixel_accuracy", labels, outputs) == pytest.approx(6 / 8)
    # Intersection 3, 2, 1; union 4, 4, 2.
    assert value("mean_iou", labels, outputs) == pytest.approx((3 / 4 + 2 / 4 + 1 / 2) / 3)
    for same in (labels[..., None], np.eye(3, dtype=np.int64)[labels]):
        assert value("mean_iou", same, outputs) == pytest.approx(7 / 12)
    assert value("mean_iou", labels, answers) == pytest.approx(7 / 12)
    assert value("mean_iou", labels, answers[..., None]) == pytest.approx(7 / 12)


def test_void_pixels_count_for_nothing() -> None:
    labels = np.array([[[0, 255], [1, 1]], [[0, 0], [-1, -1]]])
    outputs = np.eye(2, dtype=np.float32)[np.array([[[0, 1], [1, 0]], [[0, 1], [1, 1]]])]
    assert value("pixel_accuracy", labels, outputs) == pytest.approx(3 / 5)
    assert value("mean_iou", labels, outputs) == pytest.approx((2 / 4 + 1 / 3) / 2)


def test_one_sigmoid_per_pixel_is_two_classes() -> None:
    labels = np.array([[[0, 1], [1, 1]]] * 2)
    outputs = np.array([[[0.1, 0.9], [0.4, 0.8]]] * 2, np.float32)[..., None]
    assert value("pixel_accuracy", labels, outputs) == 0.75
    assert value("mean_iou", labels, outputs - 0.5) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_pixels_agree_with_scikit_learn() -> None:
    said = PLACES.argmax(-1).reshape(-1)
    assert value("pixel_accuracy", MASKS, PLACES) == pytest.approx(
        accuracy_score(MASKS.reshape(-1), said)
    )
    expected = jaccard_score(MASKS.reshape(-1), said, average="macro")
    assert value("mean_iou", MASKS, PLACES) == pytest.approx(expected)


def test_unit_of_statistics_is_the_picture_not_the_pixel() -> None:
    # Pictures that are right or wrong as a whole: a thousand pixels tell no more than thirty do.
    right = np.arange(30) % 3 > 0
    labels = np.zeros((30, 32, 32), np.int64)
    outputs = np.where(right[:, None, None], 0, 1) + labels
    found = measure(METRICS["pixel_accuracy"], labels, outputs)
    assert found.n == 30
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 0.25
    lost, _ = drop(METRICS["mean_iou"], MASKS, PLACES, PLACES)
    assert lost.n == 30


def test_labels_of_more_classes_than_pixels_have_scores_are_refused() -> None:
    with pytest.raises(DataError, match="labels are up to 3, the model has 3 classes per pixel"):
        value("mean_iou", MASKS + 1, PLACES)


def test_class_numbers_as_outputs() -> None:
    labels, answers = np.array([0, 5, 9, 9]), np.array([0, 5, 9, 1], np.int64)
    assert value("accuracy", labels, answers) == 0.75
    assert value("accuracy", labels, answers[:, None]) == 0.75
    with pytest.raises(DataError, match="the model gives class numbers"):
        value("log_loss", labels, answers)


def test_recall_at_k_by_hand() -> None:
    angles = np.radians([0, 10, 25, 100, 90, 61])
    labels = np.array([0, 1, 0, 1, 1, 2])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # The nearest of each: 1, 0, 1, 4, 3, 4; of label 2 there is no other item.
    assert value("recall_at_1", labels, vectors) == pytest.approx(2 / 6)
    third = find("recall_at_2", Path())
    assert third is not None
    assert measure(third, labels, 7 * vectors).value == pytest.approx(4 / 6)


def test_cosine_rmse_and_relative_error() -> None:
    targets, outputs = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[6.0, 8.0], [0.0, 1.0]])
    assert value("cosine", targets, outputs) == pytest.approx(0.5)
    assert value("relative_error", targets, outputs) == pytest.approx(9 / 8)
    assert value("rmse", targets, outputs) == pytest.approx(np.sqrt(27 / 4))
    truth, said = RNG.normal(size=80), RNG.normal(size=(80, 1))
    assert value("rmse", truth, said) == pytest.approx(root_mean_squared_error(truth, said[:, 0]))


@pytest.mark.parametrize(
    ("name", "labels", "outputs"),
    [
        ("label_f1", [[1, 0], [1, 1], [0, 0]], [[0.9, 0.1], [0.1, 0.2], [0.1, 0.8]]),
        ("mean_iou", [[[0, 1]], [[1, 1]], [[0, 0]]], [[[0, 1]], [[0, 0]], [[0, 1]]]),
    ],
)
def test_worst_items_have_the_largest_wrong_share(
    name: str, labels: object, outputs: object
) -> None:
    found = worst(METRICS[name], np.asarray(labels), np.asarray(outputs), 5)
    assert [(one.item, one.score) for one in found] == [(1, 1.0), (2, 0.5)]


def test_worst_items_by_cosine_show_the_cosine_itself() -> None:
    labels, outputs = np.float32([[1, 0], [1, 0], [1, 0]]), np.float32([[1, 0], [0, 1], [-1, 0]])
    found = worst(METRICS["cosine"], labels, outputs, 2)
    assert [(one.item, round(one.score, 6)) for one in found] == [(2, -1.0), (1, 0.0)]
