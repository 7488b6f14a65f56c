"""A metric in detail: classes, confusion, slices, the worst items."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from edgekit.errors import DataError, RunnerError
from edgekit.evaluation.metrics import METRICS, details, find, measure
from edgekit.evaluation.slices import slices
from edgekit.evaluation.worst import WorstItem, worst
from edgekit.statistics import wilson

RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 4, 400)
OUTPUTS = np.eye(4)[LABELS] * 1.5 + RNG.normal(size=(400, 4))
ACCURACY = METRICS["accuracy"]


def test_details_by_hand() -> None:
    labels, answers = np.array([0, 0, 0, 1, 1, 3]), np.array([0, 0, 1, 1, 2, 1])
    found = details(ACCURACY, labels, np.eye(4)[answers], ("ant", "bee", "cat", "dog"))
    assert found is not None
    assert found.confusion == ((2, 1, 0, 0), (0, 1, 1, 0), (0, 0, 0, 0), (0, 1, 0, 0))
    ant, bee, cat, dog = found.classes
    assert (ant.name, ant.labelled, ant.answered, ant.hits) == ("ant", 3, 2, 2)
    assert (ant.precision.value, ant.recall.value, ant.f1.value) == (1.0, 2 / 3, 0.8)
    assert (bee.precision.value, bee.recall.value) == (1 / 3, 1 / 2)
    assert (cat.recall.how, cat.recall.reason) == ("unavailable", "no item has this label")
    assert (cat.precision.value, cat.f1.value) == (0.0, 0.0)
    assert dog.precision.reason == "the class is never answered"
    confused = [(pair.label, pair.answer, pair.count, pair.share) for pair in found.confused]
    assert confused == [
        ("ant", "bee", 1, 1 / 3),
        ("bee", "cat", 1, 1 / 2),
        ("dog", "bee", 1, 1.0),
    ]
    assert json.loads(json.dumps(found.to_json()))["confusion"][0] == [2, 1, 0, 0]


def test_details_equal_scikit_learn_with_wilson_intervals() -> None:
    found = details(METRICS["f1"], LABELS, OUTPUTS)
    assert found is not None
    answers = OUTPUTS.argmax(axis=1)
    assert found.confusion == tuple(map(tuple, confusion_matrix(LABELS, answers).tolist()))
    expected = precision_recall_fscore_support(LABELS, answers)
    for k, row in enumerate(found.classes):
        values = (row.precision.value, row.recall.value, row.f1.value, row.labelled)
        assert values == pytest.approx([column[k] for column in expected])
        interval = wilson(row.hits, row.labelled)
        assert (row.recall.low, row.recall.high) == (interval.low, interval.high)
        assert row.f1.low is not None
        assert row.f1.high is not None
        assert row.f1.low < (row.f1.value or 0) < row.f1.high


def test_macro_means_are_the_means_of_the_details() -> None:
    found = details(ACCURACY, LABELS, OUTPUTS)
    assert found is not None
    for name in ("precision", "recall", "f1"):
        mean = np.mean([getattr(row, name).value for row in found.classes])
        assert measure(METRICS[name], LABELS, OUTPUTS).value == pytest.approx(mean)


def test_details_are_of_classes_only() -> None:
    assert details(METRICS["mse"], np.zeros(3), np.zeros(3)) is None


def test_details_of_many_classes_have_no_matrix() -> None:
    found = details(ACCURACY, np.arange(150), np.roll(np.eye(150), 1, axis=0))
    assert found is not None
    assert found.confusion is None
    assert len(found.classes) == 150
    assert len(found.confused) == 10


def test_slices_are_the_metric_of_each_part_worst_first() -> None:
    y_true = np.array([0] * 40 + [1] * 40 + [2] * 40)
    answers = np.concatenate([np.zeros(40), np.repeat([1, 0], 20), np.repeat([2, 0], [39, 1])])
    outputs = np.eye(3)[answers.astype(int)]
    site = np.array(["lab", "field", "shop"])[y_true]
    found = slices(ACCURACY, y_true, outputs, site, "site")
    assert [(s.value, s.count, s.metric.value) for s in found] == [
        ("field", 40, 0.5),
        ("shop", 40, 39 / 40),
        ("lab", 40, 1.0),
    ]
    assert all(s.name == "site" and s.metric.tool == "Wilson" for s in found)
    assert [bool(s.note) for s in found] == [False, False, False]


def test_slices_that_do_not_differ_say_so() -> None:
    parity = np.arange(400) % 2
    found = slices(ACCURACY, LABELS, OUTPUTS, parity, "parity")
    whole = measure(ACCURACY, LABELS, OUTPUTS).value
    assert [s.note for s in found] == [f"not shown to differ from all items ({whole:.4g})"] * 2


def test_slices_of_an_area_are_unavailable_where_a_class_is_missing() -> None:
    found = slices(METRICS["roc_auc"], LABELS, OUTPUTS, LABELS, "class")
    assert {s.metric.how for s in found} == {"unavailable"}
    assert "no item of classes" in found[0].note


def test_slices_are_read_as_the_whole() -> None:
    """Every item of one slice looks like a probability; the others show that these are logits."""
    y_true, outputs = np.array([1, 1, 0, 0]), np.array([0.2, 0.3, -3.0, -2.0])
    found = slices(ACCURACY, y_true, outputs, np.array([1, 1, 2, 2]), "half")
    assert [s.metric.value for s in found] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("column", "words"),
    [(np.arange(400), "400 values; at most 50"), (np.zeros(3), r"is \[3\], the items are 400")],
)
def test_slices_are_refused_when_the_column_is_none(column: np.ndarray, words: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(DataError, match=words) as caught:
        slices(ACCURACY, LABELS, OUTPUTS, column, "id")
    assert caught.value.code == "EK-DATA-043"


def test_outputs_that_are_not_finite_are_refused_in_detail_too() -> None:
    bad = OUTPUTS.copy()
    bad[17, 0] = np.nan
    for action in (
        lambda: details(ACCURACY, LABELS, bad),
        lambda: slices(ACCURACY, LABELS, bad, LABELS, "class"),
        lambda: worst(ACCURACY, LABELS, bad, 3),
    ):
        with pytest.raises(RunnerError, match="item 17"):
            action()


def test_worst_are_the_most_confident_wrong_answers() -> None:
    outputs = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.05, 0.95], [0.7, 0.3]])
    found = worst(ACCURACY, np.array([0, 1, 1, 0, 1]), outputs, 10)
    assert found == (
        WorstItem(3, pytest.approx(0.95), 0, 1),
        WorstItem(4, pytest.approx(0.7), 1, 0),
        WorstItem(1, pytest.approx(0.6), 1, 0),
    )
    assert worst(ACCURACY, np.array([0, 0, 1, 1, 0]), outputs, 10) == ()
    assert len(worst(METRICS["log_loss"], np.array([0, 0, 1, 1, 0]), outputs, 2)) == 2


def test_worst_of_errors_are_the_largest() -> None:
    targets, outputs = np.array([1.0, 2.0, 3.0]), np.array([[1.5], [2.0], [0.0]])
    for name, score in (("mae", 3.0), ("mse", 9.0), ("r2", 9.0)):
        first, second = worst(METRICS[name], targets, outputs, 2)
        assert first == WorstItem(2, score, 3.0, 0.0)
        assert second.item == 0


def test_worst_anomalies_are_on_the_wrong_side() -> None:
    labels, errors = np.array([0, 0, 1, 1]), np.array([0.1, 0.8, 0.9, 0.5])
    found = worst(METRICS["anomaly_auc"], labels, errors, 4)
    assert [(w.item, w.score, w.label, w.answer) for w in found] == [
        (1, 0.5, 0, 0.8),
        (3, 0.5, 1, 0.5),
    ]


@pytest.mark.parametrize(("direction", "item"), [("higher", 1), ("lower", 2)])
def test_worst_of_a_users_metric_follow_its_direction(
    tmp_path: Path, direction: str, item: int
) -> None:
    source = "def mine(y_true, y_pred):\n    return y_pred.mean(), y_pred\n"
    (tmp_path / "mine.py").write_text(f"{source}mine.direction = '{direction}'\n")
    metric = find("mine.py:mine", tmp_path)
    assert metric is not None
    outputs = np.array([0.5, 0.1, 0.9])
    found = worst(metric, np.zeros(3), outputs, 1)
    assert found == (WorstItem(item, float(outputs[item]), 0.0, float(outputs[item])),)
