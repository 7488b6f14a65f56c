"""Metrics: by hand, against scikit-learn, their drop, and that no NaN hides in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    roc_auc_score,
)

from edgekit.errors import DataError, RunnerError
from edgekit.evaluation.metrics import (
    METRICS,
    default_for,
    drop,
    find,
    measure,
    predicted_class,
    true_class,
)
from edgekit.types import PairedCounts

Floats = npt.NDArray[np.float32]
RNG = np.random.default_rng(4)
CLASSES = RNG.integers(0, 4, 300)
LOGITS = (np.eye(4)[CLASSES] * 1.5 + RNG.normal(size=(300, 4))).astype(np.float32)
TARGETS = RNG.normal(size=(200, 3)).astype(np.float32)


def softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def value(name: str, y_true: object, y_pred: object) -> float:
    found = measure(METRICS[name], np.asarray(y_true), np.asarray(y_pred, np.float32)).value
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]], [1, 0]),
        ([[0.2], [0.51], [0.5]], [0, 1, 0]),
        ([0.2, 0.9], [0, 1]),
        ([[-2.0], [0.3], [4.0]], [0, 1, 1]),
        ([[0.3], [1.2], [0.6]], [1, 1, 1]),
        ([[[0.1, 0.9]], [[0.8, 0.2]]], [1, 0]),
    ],
    ids=["softmax", "sigmoid", "flat sigmoid", "logits", "positive logits", "another dimension"],
)
def test_predicted_class_by_hand(scores: object, expected: list[int]) -> None:
    assert predicted_class(np.array(scores, np.float32)).tolist() == expected


@pytest.mark.parametrize(
    "labels", [[2, 0, 1], [[2], [0], [1]], [[0, 0, 1], [1, 0, 0], [0, 1, 0]], [2.0, 0.0, 1.0]]
)
def test_true_class_takes_numbers_and_one_hot(labels: object) -> None:
    assert true_class(np.array(labels)).tolist() == [2, 0, 1]


ONE_HOT = np.eye(3, dtype=int)[[0, 1, 2, 2]]
SCORES = [[0.8, 0.1, 0.1], [0.3, 0.3, 0.4], [0.1, 0.2, 0.7], [0.0, 0.1, 0.9]]


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "expected"),
    [
        ("accuracy", [0, 1, 2, 2], SCORES, 3 / 4),
        ("accuracy", ONE_HOT, SCORES, 3 / 4),
        ("accuracy", [1, 0, 1, 1], [[0.9], [0.4], [0.6], [0.2]], 3 / 4),
        ("accuracy", [1, 0, 1, 1], [[3.0], [-1.0], [0.2], [-0.1]], 3 / 4),
        # Two errors of 1 and 3 in four values.
        ("mse", [[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0], [3.0, 7.0]], (1 + 9) / 4),
        ("mae", [[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0], [3.0, 7.0]], (1 + 3) / 4),
        ("mse", [1.0, 2.0], [[1.5], [2.5]], 0.25),
        # Per class 2·tp / (2·tp + fp + fn): 1 for 0, 0 for 1, and 4 / (4 + 1) for 2.
        ("f1", [0, 1, 2, 2], SCORES, (1 + 0 + 0.8) / 3),
        ("f1", ONE_HOT, SCORES, (1 + 0 + 0.8) / 3),
        # Of the 4 pairs of a positive and a negative, 3 are in order.
        ("roc_auc", [1, 0, 1, 0], [[0.9], [0.4], [0.3], [0.2]], 3 / 4),
        ("roc_auc", [1, 0, 1, 0], [[2.0], [-1.0], [-2.0], [-3.0]], 3 / 4),
        ("roc_auc", [1, 0, 1, 0], [[0.1, 0.9], [0.6, 0.4], [0.7, 0.3], [0.8, 0.2]], 3 / 4),
        # Logits of two classes: only their difference says anything.
        ("roc_auc", [1, 0], [[-5.0, 1.0], [7.0, 2.0]], 1.0),
    ],
)
def test_metric_by_hand(name: str, y_true: object, y_pred: object, expected: float) -> None:
    assert value(name, y_true, y_pred) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "expected"),
    [
        ("accuracy", CLASSES, LOGITS, accuracy_score(CLASSES, LOGITS.argmax(1))),
        ("f1", CLASSES, LOGITS, f1_score(CLASSES, LOGITS.argmax(1), average="macro")),
        (
            "roc_auc", CLASSES, softmax(LOGITS),
            roc_auc_score(CLASSES, softmax(LOGITS), multi_class="ovr"),
        ),
        (
            "roc_auc", CLASSES, LOGITS,
            roc_auc_score(CLASSES, softmax(LOGITS), multi_class="ovr"),
        ),
        (
            "roc_auc", CLASSES > 1, LOGITS[:, :1],
            roc_auc_score(CLASSES > 1, LOGITS[:, 0]),
        ),
        ("mse", TARGETS, TARGETS * 0.9, mean_squared_error(TARGETS, TARGETS * 0.9)),
        ("mae", TARGETS, TARGETS * 0.9, mean_absolute_error(TARGETS, TARGETS * 0.9)),
    ],
    ids=["accuracy", "f1", "auc softmax", "auc logits", "auc one column", "mse", "mae"],
)  # fmt: skip
def test_metric_equals_scikit_learn(
    name: str, y_true: npt.NDArray[np.int64], y_pred: Floats, expected: float
) -> None:
    assert value(name, y_true, y_pred) == pytest.approx(expected, abs=1e-6)


def test_roc_auc_takes_a_quantized_softmax_as_it_is() -> None:
    shares = softmax(LOGITS)
    quantized = np.clip(np.rint(shares * 256), 0, 255) / 256
    assert not np.allclose(quantized.sum(1), 1, atol=1e-3)
    expected = np.mean([roc_auc_score(k == CLASSES, quantized[:, k]) for k in range(4)])
    assert value("roc_auc", CLASSES, quantized) == pytest.approx(expected, abs=1e-9)


def test_roc_auc_is_unavailable_when_a_class_is_missing() -> None:
    kept = CLASSES < 3
    found = measure(METRICS["roc_auc"], CLASSES[kept], softmax(LOGITS)[kept])
    assert (found.value, found.how) == (None, "unavailable")
    assert "class" in found.reason
    lost, _ = drop(METRICS["roc_auc"], CLASSES[kept], LOGITS[kept], LOGITS[kept])
    assert lost.how == "unavailable"


def test_roc_auc_refuses_more_classes_than_outputs() -> None:
    with pytest.raises(DataError, match="4 classes"):
        value("roc_auc", CLASSES, LOGITS[:, :3])


@pytest.mark.parametrize("name", ["mse", "mae"])
def test_error_metric_refuses_targets_of_another_size(name: str) -> None:
    with pytest.raises(DataError) as caught:
        value(name, np.zeros((4, 2)), np.zeros((4, 3)))
    assert caught.value.code == "EK-DATA-012"


@pytest.mark.parametrize("name", METRICS)
def test_interval_holds_the_value(name: str) -> None:
    y_true, y_pred = examples(name)
    found = measure(METRICS[name], y_true, y_pred)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert (found.n, found.level) == (len(y_true), 0.95)


def examples(name: str) -> tuple[npt.NDArray[np.generic], Floats]:
    if METRICS[name].direction == "lower":
        return TARGETS, (TARGETS + RNG.normal(size=TARGETS.shape) * 0.3).astype(np.float32)
    return CLASSES, softmax(LOGITS)


def worse(name: str, y_true: npt.NDArray[np.generic], y_pred: Floats) -> Floats:
    """Outputs that are worse: half of the items answered as others are."""
    bad = y_pred.copy()
    bad[::2] = np.roll(bad[::2], 1, axis=0)
    assert value(name, y_true, bad) != value(name, y_true, y_pred)
    return bad


@pytest.mark.parametrize("name", METRICS)
def test_drop_is_positive_when_the_candidate_is_worse(name: str) -> None:
    y_true, good = examples(name)
    bad = worse(name, y_true, good)
    lost, _ = drop(METRICS[name], y_true, good, bad)
    gained, _ = drop(METRICS[name], y_true, bad, good)
    assert lost.value is not None
    assert gained.value is not None
    assert lost.low is not None
    expected = abs(value(name, y_true, good) - value(name, y_true, bad))
    assert lost.value == pytest.approx(expected, abs=1e-6)
    assert gained.value == pytest.approx(-expected, abs=1e-6)
    assert lost.low > 0


@pytest.mark.parametrize("name", METRICS)
def test_drop_is_zero_when_both_answer_alike(name: str) -> None:
    y_true, y_pred = examples(name)
    assert drop(METRICS[name], y_true, y_pred, y_pred)[0].value == 0.0


def test_drop_counts_what_only_one_of_two_gets_right() -> None:
    y_true = np.array([0, 1, 1, 0, 1])
    reference = np.eye(2, dtype=np.float32)[[0, 1, 1, 1, 1]]
    candidate = np.eye(2, dtype=np.float32)[[1, 0, 1, 0, 1]]
    lost, counts = drop(METRICS["accuracy"], y_true, reference, candidate)
    assert counts == PairedCounts(n=5, lost=2, gained=1)
    assert lost.value == pytest.approx(0.2)


@pytest.mark.parametrize("planted", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", METRICS)
def test_metric_refuses_outputs_that_are_not_finite(name: str, planted: float) -> None:
    y_true, y_pred = examples(name)
    bad = y_pred.copy()
    # Where the right answer is class 0, argmax takes a NaN there for a hit.
    bad[17, 0] = planted
    for action in (
        lambda: measure(METRICS[name], y_true, bad),
        lambda: drop(METRICS[name], y_true, y_pred, bad),
        lambda: drop(METRICS[name], y_true, bad, y_pred),
    ):
        refused(action)


def refused(action: Callable[[], object]) -> None:
    with pytest.raises(RunnerError) as caught:
        action()
    assert caught.value.code == "EK-RUNNER-006"
    assert "item 17" in caught.value.message


def test_users_metric_refuses_outputs_that_are_not_finite(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def zero(y_true, y_pred):\n    return 0.0\n")
    metric = find("mine.py:zero", tmp_path)
    assert metric is not None
    bad = LOGITS.copy()
    bad[17] = np.nan
    refused(lambda: measure(metric, CLASSES, bad))


def test_find_takes_names_and_users_functions(tmp_path: Path) -> None:
    source = (
        "def lost(y_true, y_pred):\n    return float(abs(y_true - y_pred[:, 0]).mean()), None\n"
    )
    (tmp_path / "mine.py").write_text(source + "lost.direction = 'lower'\n")
    metric = find("mine.py:lost", tmp_path)
    assert metric is not None
    assert (metric.name, metric.direction, metric.bounded) == ("lost", "lower", False)
    assert metric.value is not None
    assert metric.value(np.array([1.0, 2.0]), np.array([[1.5], [2.5]])) == 0.5
    assert find("f1", tmp_path) is METRICS["f1"]
    assert find("nonsense", tmp_path) is None


@pytest.mark.parametrize(
    ("dtype", "expected"), [(np.int64, "accuracy"), (np.uint8, "accuracy"), (np.float32, "mse")]
)
def test_default_metric_follows_the_labels(dtype: type, expected: str) -> None:
    assert default_for(np.zeros(3, dtype)) == expected


@pytest.mark.parametrize(
    ("labels", "outputs", "words"),
    [
        ([0, 5], np.zeros((2, 3)), "labels are 0 to 5, the model has 3 classes"),
        ([-1, 1], np.zeros((2, 3)), "labels are -1 to 1"),
        ([0, 1], np.zeros((2, 4, 3)), "one class per item"),
    ],
)
def test_accuracy_is_refused_when_labels_or_outputs_do_not_fit(
    labels: list[int], outputs: npt.NDArray[np.float64], words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        measure(METRICS["accuracy"], np.array(labels), outputs)
    assert caught.value.code == "EK-DATA-012"


def test_accuracy_takes_outputs_with_dimensions_of_one() -> None:
    outputs = np.eye(3)[[0, 1, 2]].reshape(3, 1, 1, 3)
    assert measure(METRICS["accuracy"], np.arange(3), outputs).value == 1.0
