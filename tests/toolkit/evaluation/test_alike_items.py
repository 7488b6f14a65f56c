"""Sets on which every item is right: resamples have no spread, and the interval is honest."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.evaluation.metrics import METRICS, drop, measure

RNG = np.random.default_rng(7)
N = 40
CLASSES = np.arange(N) % 4
BOXES = np.zeros((N, 1, 5), np.float32)
BOXES[:, 0] = [0, 0.2, 0.2, 0.6, 0.6]
BOXES[:10, 0, 0] = 1
ANSWERS = np.concatenate([np.full((N, 1, 1), 0.9), BOXES], axis=2).astype(np.float32)
MASKS = np.tile(np.arange(4).reshape(1, 2, 2), (N, 1, 1))
LABELS = np.tile([[1, 0], [0, 1]], (N // 2, 1))
# 1 - (0.05 / 2) ** (1 / n), the one-sided bound of Clopper and Pearson.
OF_40, OF_30, OF_20, OF_10 = 0.0881, 0.1157, 0.1684, 0.3085


def sides(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Labels, answers that are all right, and others that are too."""
    if name.startswith("coco"):
        return BOXES, ANSWERS, np.where(np.arange(6) == 0, 0.8, ANSWERS).astype(np.float32)
    if name == "mean_iou":
        right = np.eye(4, dtype=np.float32)[MASKS]
        return MASKS, right, 0.9 * right
    if name.startswith("label"):
        return LABELS, 0.9 * LABELS, 0.8 * LABELS
    right = np.eye(4, dtype=np.float32)[CLASSES]
    return CLASSES, right, 0.25 * (1 - 0.9) + 0.9 * right


@pytest.mark.parametrize(
    ("name", "low"),
    [
        ("coco_map", ((1 - OF_10) ** 2 + (1 - OF_30) ** 2) / 2),
        ("coco_map_50", ((1 - OF_10) ** 2 + (1 - OF_30) ** 2) / 2),
        ("mean_iou", (1 - OF_40) ** 2),
        ("f1", (1 - OF_10) ** 2),
        ("label_f1", (1 - OF_20) ** 2),
        ("roc_auc", (1 - OF_10) * (1 - OF_30)),
    ],
)
def test_metric_of_items_that_are_all_right_is_bounded_class_by_class(
    name: str, low: float
) -> None:
    labels, right, also = sides(name)
    found = measure(METRICS[name], labels, right)
    assert found.value == pytest.approx(1.0)
    assert (found.low, found.high) == (pytest.approx(low, abs=2e-4), 1.0)
    assert found.tool == "Clopper-Pearson, of items that differ"
    lost, _ = drop(METRICS[name], labels, right, also)
    assert (lost.value, lost.high) == (0.0, pytest.approx(1 - low, abs=2e-4))


def test_two_detectors_that_find_the_same_boxes_are_no_more_apart_than_unseen_pictures() -> None:
    missed = ANSWERS.copy()
    missed[::4, :, 0] = -1
    lower = np.where((np.arange(6) == 0) & (missed > 0), missed / 2, missed).astype(np.float32)
    lost, _ = drop(METRICS["coco_map"], BOXES, missed, lower)
    assert lost.value == 0
    assert lost.high == pytest.approx(0.37, abs=0.01)


@pytest.mark.parametrize("name", ["coco_map", "f1"])
def test_one_wrong_item_is_bootstrapped(name: str) -> None:
    labels, right, _ = sides(name)
    wrong = right.copy()
    wrong[3] = wrong[12 if name == "coco_map" else 0] * (-1 if name == "coco_map" else 1)
    found = measure(METRICS[name], labels, wrong)
    assert "bootstrap" in found.tool
    assert found.value is not None
    assert found.value < 1


def test_average_precision_is_bounded_by_wrong_items_that_go_first() -> None:
    found = measure(METRICS["label_map"], LABELS, LABELS * 0.9)
    # Of 20 items 16 are surely found, behind 3.37 of the other 20.
    hits = np.arange(1, 17)
    assert found.low == pytest.approx(float((hits / (hits + 20 * OF_20)).sum() / 20), abs=1e-3)


def test_the_bound_holds_as_often_as_it_says() -> None:
    # A detector that misses a share of pictures just over the bound looks perfect in 2.5 % of sets.
    rng, trials = np.random.default_rng(0), 20_000
    perfect = (rng.random((trials, N)) >= OF_40).all(axis=1).mean()
    assert perfect == pytest.approx(0.025, abs=0.004)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("mae", 0.0, None),
        ("mse", 0.0, None),
        ("rmse", 0.0, None),
        ("r2", None, 1.0),
    ],
)
def test_numbers_that_are_all_right_end_where_the_metric_does(
    name: str, low: float | None, high: float | None
) -> None:
    numbers = np.arange(1, 9, dtype=np.float32).reshape(4, 2)
    found = measure(METRICS[name], numbers, numbers)
    assert found.value in (0.0, pytest.approx(1.0))
    assert (found.low, found.high) == (low, high)
