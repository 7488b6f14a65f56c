"""COCO's mean average precision by hand and by the library, and outputs read as boxes."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.errors import DataError, ProjectError
from edgekit.evaluation import boxes, metrics
from edgekit.evaluation.boxes import BoxSpec, decoded
from edgekit.evaluation.metrics import METRICS, detection
from edgekit.evaluation.worst import worst

Array = npt.NDArray[Any]
SIZE = (100, 200)
BOX = [0.1, 0.2, 0.5, 0.6]


def labels(*pictures: list[list[float]]) -> Array:
    most = max(map(len, pictures))
    rows = np.zeros((len(pictures), most, 5), np.float32)
    rows[..., 0] = -1
    for row, given in zip(rows, pictures, strict=True):
        row[: len(given)] = given or np.zeros((0, 5))
    return rows


def answers(*pictures: list[list[float]]) -> Array:
    rows = np.zeros((len(pictures), 4, 6), np.float32)
    rows[..., 0] = boxes.EMPTY
    for row, given in zip(rows, pictures, strict=True):
        row[: len(given)] = given or np.zeros((0, 6))
    return rows


def test_average_precision_is_as_by_hand() -> None:
    truth = labels([[0, *BOX]], [[0, *BOX]])
    # The best answer is right, the second is nowhere, the third is right: precision 1 up to a
    # recall of 1/2 (51 of 101 points), then 2/3.
    given = answers([[0.9, 0, *BOX], [0.8, 0, 0.7, 0.7, 0.9, 0.9]], [[0.7, 0, *BOX]])
    by_hand = (51 * 1 + 50 * 2 / 3) / 101
    assert metrics.measure(METRICS["coco_map_50"], truth, given).value == pytest.approx(by_hand)
    assert metrics.measure(METRICS["coco_map"], truth, given).value == pytest.approx(by_hand)


def test_overlap_counts_in_the_mean_over_thresholds() -> None:
    # Of a box, its left 0.72: right at the five overlaps from 0.5 to 0.7.
    left, top, right, bottom = BOX
    given = answers([[0.9, 0, left, top, left + 0.72 * (right - left), bottom]])
    truth = labels([[0, *BOX]])
    assert metrics.measure(METRICS["coco_map"], truth, given).value == pytest.approx(0.5)
    assert metrics.measure(METRICS["coco_map_50"], truth, given).value == pytest.approx(1.0)


def test_pictures_are_ranked_by_f1_of_the_boxes_that_an_application_would_show() -> None:
    elsewhere = [0.7, 0.7, 0.9, 0.9]
    truth = labels([[0, *BOX]], [[0, *BOX], [1, *elsewhere]], [[0, *BOX]], [], [[0, *BOX]])
    given = answers(
        # Right, beside a box of a score at which most are wrong.
        [[0.9, 0, *BOX], [0.1, 0, *elsewhere]],
        # One of two: 2 of 3.
        [[0.8, 0, *BOX]],
        # Right, and one too many: 2 of 3.
        [[0.7, 0, *BOX], [0.7, 1, *elsewhere]],
        # Nothing there, nothing shown.
        [[0.1, 0, *elsewhere]],
        # Another class is not a hit.
        [[0.6, 1, *BOX]],
    )
    found = detection.picture_scores(truth, given)
    assert found.least == pytest.approx(0.7)
    assert found.f1 == pytest.approx([1, 2 / 3, 2 / 3, 1, 0])
    listed = worst(METRICS["coco_map"], truth, given, 5)
    assert [(one.item, one.score) for one in listed] == [
        (4, 0.0),
        (1, pytest.approx(2 / 3)),
        (2, pytest.approx(2 / 3)),
    ]
    assert detection.lowest_first(truth[3:4], given[3:4]) is None


def random_pictures(count: int = 30) -> tuple[Array, Array]:
    rng = np.random.default_rng(3)

    def corners(n: int) -> Array:
        low, size = rng.random((n, 2)) * 0.6, rng.random((n, 2)) * 0.35 + 0.05
        return np.concatenate([low, low + size], axis=1)

    truth, given = [], []
    for _ in range(count):
        own = corners(int(rng.integers(1, 4)))
        kinds = rng.integers(0, 3, len(own))
        truth.append([[float(k), *box] for k, box in zip(kinds, own, strict=True)])
        near = own + rng.normal(0, 0.03, own.shape)
        rows = [[float(rng.random()), float(k), *box] for k, box in zip(kinds, near, strict=True)]
        given.append([*rows, [float(rng.random()), 0.0, *corners(1)[0]]])
    return labels(*truth), answers(*given)


def test_the_value_is_the_librarys() -> None:
    truth, given = random_pictures()
    document, rows = detection._documents(truth, given)
    evaluation = detection._evaluated(document, rows, detection.THRESHOLDS)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    expected = float(precision[precision > -1].mean())
    assert 0.1 < expected < 0.9
    assert metrics.value(METRICS["coco_map"], truth, given) == pytest.approx(expected, abs=1e-12)


def test_pictures_are_the_items_of_the_interval() -> None:
    truth, given = random_pictures()
    worse = given.copy()
    worse[::2, :, 0] = boxes.EMPTY
    lost, _ = metrics.drop(METRICS["coco_map"], truth, given, worse)
    assert lost.n == len(truth)
    assert lost.low is not None
    assert lost.low > 0.02
    same, _ = metrics.drop(METRICS["coco_map"], truth, given, given)
    assert same.value == 0


@pytest.mark.parametrize(
    ("layout", "values"),
    [
        ("xyxy", [20, 20, 100, 60]),
        ("yxyx", [20, 20, 60, 100]),
        ("xywh", [20, 20, 80, 40]),
        ("cxcywh", [60, 40, 80, 40]),
    ],
)
@pytest.mark.parametrize("pixels", [True, False])
def test_every_layout_is_read_alike(
    layout: boxes.Layout, values: list[float], pixels: bool
) -> None:
    given = np.array([[values]], np.float64)
    if not pixels:
        given /= [100, 200, 100, 200] if layout == "yxyx" else [200, 100, 200, 100]
    outputs = {"boxes": given, "scores": np.array([[[0.2, 0.9]]])}
    found = decoded(outputs, BoxSpec(layout=layout), SIZE)[0, 0]
    assert found == pytest.approx([0.9, 1, *BOX], abs=1e-6)


def test_boxes_that_overlap_a_better_one_of_their_class_go() -> None:
    near = [0.12, 0.2, 0.5, 0.6]
    outputs = {
        "boxes": np.array([[BOX, near, near]]),
        "scores": np.array([[[0.9, 0], [0.8, 0], [0, 0.7]]]),
    }
    found = decoded(outputs, BoxSpec(), SIZE)[0]
    assert found[:2, :2] == pytest.approx(np.array([[0.9, 0], [0.7, 1]]))
    assert found[2, 0] == boxes.EMPTY
    kept = decoded(outputs, BoxSpec(iou=0.99), SIZE)[0]
    assert int((kept[:, 0] >= 0).sum()) == 3


@pytest.mark.parametrize("newer", [True, False])
def test_a_yolo_head_is_read_by_its_shape(newer: bool) -> None:
    row = np.zeros((1, 20, 6 if newer else 7))
    row[0, 7, :4] = [60, 40, 80, 40]
    row[0, 7, 4:] = [0.1, 0.8] if newer else [0.5, 0.2, 0.9]
    head = row.transpose(0, 2, 1) if newer else row
    found = decoded({"output0": head}, BoxSpec(score=0.2), SIZE)[0]
    assert found[0] == pytest.approx([0.8 if newer else 0.45, 1, *BOX], abs=1e-6)
    assert found[1, 0] == boxes.EMPTY


def test_an_ssd_head_moves_its_anchors() -> None:
    anchors = np.array([[0.4, 0.3, 0.4, 0.4], [0.8, 0.8, 0.2, 0.2]])
    offsets = np.array([[[0.0, 0, 0, 0], [10 * 0.5, 0, 5 * np.log(2), 0]]])
    outputs = {"raw_boxes": offsets, "raw_scores": np.array([[[0, 4.0], [0, 3.0]]])}
    spec = BoxSpec(anchors=anchors, background=True)
    found = decoded(outputs, spec, SIZE)[0]
    assert found[0, 2:] == pytest.approx([0.1, 0.2, 0.5, 0.6], abs=1e-6)
    # Half a height down, and twice as high.
    assert found[1, 2:] == pytest.approx([0.7, 0.7, 0.9, 1.1], abs=1e-6)
    assert found[0, 0] == pytest.approx(1 / (1 + np.exp(-4.0)))
    with pytest.raises(ProjectError, match="anchors"):
        decoded(outputs, BoxSpec(format="ssd"), SIZE)


def test_boxes_classes_and_scores_are_told_by_name_never_by_order() -> None:
    outputs = {
        "where": np.array([[[0.2, 0.1, 0.6, 0.5], [0, 0, 1, 1]]]),
        "b": np.array([[0.9, 0.8]]),
        "a": np.array([[2.0, 1.0]]),
        "count": np.array([1.0]),
    }
    with pytest.raises(ProjectError, match="not clear"):
        decoded(outputs, BoxSpec(), SIZE)
    found = decoded(outputs, BoxSpec(scores="b", classes="a"), SIZE)[0]
    assert found[0] == pytest.approx([0.9, 2, *BOX])
    assert found[1, 0] == boxes.EMPTY


def test_rows_that_the_postprocess_operator_left_unwritten_are_not_looked_at() -> None:
    outputs = {
        "where": np.array([[[0.2, 0.1, 0.6, 0.5], [np.nan] * 4]]),
        "score": np.array([[0.9, np.nan]]),
        "class": np.array([[2.0, np.inf]]),
        "count": np.array([1.0]),
    }
    found = boxes.clear_unused(outputs, BoxSpec())
    assert all(np.isfinite(values).all() for values in found.values())
    assert decoded(found, BoxSpec(), SIZE)[0, 0] == pytest.approx([0.9, 2, *BOX])
    # What it wrote stays what it is, for others to refuse.
    both = boxes.clear_unused({**outputs, "count": np.array([2.0])}, BoxSpec())
    assert np.isnan(both["score"][0, 1])
    head = {"y": np.full((1, 3, 7), np.nan)}
    assert boxes.clear_unused(head, BoxSpec()) is head


def test_other_outputs_are_refused_with_the_way_on() -> None:
    with pytest.raises(ProjectError, match="not those of a known detector") as found:
        decoded({"y": np.zeros((2, 10))}, BoxSpec(), SIZE)
    assert "[evaluate.boxes]" in found.value.hint


def test_labels_that_are_no_boxes_are_refused() -> None:
    with pytest.raises(DataError, match="are not boxes"):
        metrics.measure(METRICS["coco_map"], np.zeros(2), answers([], []))
