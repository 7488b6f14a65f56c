"""Metrics: by hand, against scikit-learn, their drop, and that no NaN hides in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    precision_score,
    r2_score,
    recall_score,
    roc_auc_score,
    top_k_accuracy_score,
)

from edgekit.errors import DataError, RunnerError
from edgekit.evaluation import metrics
from edgekit.evaluation.metrics import (
    METRICS,
    TEXTS,
    drop,
    find,
    is_known,
    measure,
    predicted_class,
    true_class,
)
from edgekit.evaluation.metrics.measurement import measure_read, read
from edgekit.evaluation.metrics.ranking import Ranking, average_precisions, roc_areas
from edgekit.types import PairedCounts

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.generic]
RNG = np.random.default_rng(4)
WIDTH = 7
CLASSES = RNG.integers(0, WIDTH, 300)
LOGITS = (np.eye(WIDTH)[CLASSES] * 1.5 + RNG.normal(size=(300, WIDTH))).astype(np.float32)
TARGETS = RNG.normal(size=(200, 3)).astype(np.float32)
SEVERAL = (RNG.random((200, 4)) < 0.4).astype(np.int64)
MASKS = RNG.integers(0, 3, (60, 5, 4))
EXAMPLES = {
    "labels": (SEVERAL, (SEVERAL * 0.4 + RNG.random((200, 4)) * 0.6).astype(np.float32)),
    "masks": (MASKS, (np.eye(3)[MASKS] + 2 * RNG.random((60, 5, 4, 3))).astype(np.float32)),
    "vectors": (CLASSES, LOGITS),
}
ERRORS = (RNG.random(200) + 0.3 * (np.arange(200) % 2)).astype(np.float32)


def softmax(logits: Floats) -> npt.NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True).astype(np.float64))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def value(name: str, y_true: object, y_pred: object) -> float:
    given = np.asarray(y_pred)
    given = given if given.dtype.kind == "U" else given.astype(np.float32)
    found = measure(METRICS[name], np.asarray(y_true), given).value
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
        # A sigmoid of 0.99999996 and one of 0.99999998 are told apart.
        ("roc_auc", [1, 0], [[18.0], [17.0]], 1.0),
        # The labels' scores are first, fourth and second.
        ("top_3", [0, 3, 1], [[0.4, 0.3, 0.2, 0.1]] * 3, 2 / 3),
        # All four are equal: the first three count.
        ("top_3", [0, 1, 2, 3], [[0.25] * 4] * 4, 3 / 4),
        ("top_5", [5, 4], [[0.3, 0.2, 0.2, 0.1, 0.1, 0.05]] * 2, 1 / 2),
        # Hits of times answered: 1 of 1 for 0, never answered, 2 of 3.
        ("precision", [0, 1, 2, 2], SCORES, (1 + 0 + 2 / 3) / 3),
        # Hits of times labelled: 1 of 1, 0 of 1, 2 of 2.
        ("recall", [0, 1, 2, 2], SCORES, (1 + 0 + 1) / 3),
        # In falling order 1, 0, 1, 0: precision 1 at the first positive, 2/3 at the second.
        ("pr_auc", [1, 0, 1, 0], [[0.9], [0.4], [0.3], [0.2]], (1 + 2 / 3) / 2),
        # All tie: the precision at the one threshold is the share of positives.
        ("pr_auc", [1, 0, 0, 0], [[0.5]] * 4, 1 / 4),
        ("log_loss", [0, 1], [[0.5, 0.5], [0.75, 0.25]], (np.log(2) + np.log(4)) / 2),
        ("log_loss", [1, 0], [[0.5], [0.75]], (np.log(2) + np.log(4)) / 2),
        # Logits: the softmax of (ln 3, 0) is (3/4, 1/4), the sigmoid of ln 3 is 3/4.
        ("log_loss", [1], [[np.log(3), 0.0]], np.log(4)),
        ("log_loss", [0], [[np.log(3)]], np.log(4)),
        # A probability of 0 counts as the smallest step of float32.
        ("log_loss", [1], [[1.0, 0.0]], -np.log(2.0**-23)),
        # A quantized softmax that sums to 3/4.
        ("log_loss", [0], [[0.5, 0.25]], np.log(1.5)),
        # Confidence 0.9, right, and 0.6, wrong, each alone in its bin.
        ("calibration_error", [0, 0], [[0.9, 0.1], [0.4, 0.6]], (0.1 + 0.6) / 2),
        # One bin: of two with a confidence of 0.9 one is right.
        ("calibration_error", [0, 1], [[0.9, 0.1], [0.9, 0.1]], 0.4),
        # 1 - (0.5² + 0.5²) / (1² + 1²) around the mean of 2.
        ("r2", [1.0, 3.0], [[1.5], [2.5]], 0.75),
        # The mean of 0.75 and 0; the third value's targets do not vary.
        ("r2", [[1.0, 1, 5], [3.0, 3, 5]], [[1.5, 2.0, 0.0], [2.5, 2.0, 0.0]], 0.375),
        ("reconstruction_error", [0, 0], [0.5, 1.5], 1.0),
        # Of 4 pairs of an anomaly and a normal item, 2 are in order and 1 ties.
        ("anomaly_auc", [1, 0, 1, 0], [0.9, 0.5, 0.5, 0.7], 2.5 / 4),
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
            "roc_auc",
            CLASSES,
            softmax(LOGITS),
            roc_auc_score(CLASSES, softmax(LOGITS), multi_class="ovr"),
        ),
        (
            "roc_auc",
            CLASSES,
            LOGITS,
            roc_auc_score(CLASSES, softmax(LOGITS), multi_class="ovr"),
        ),
        (
            "roc_auc",
            CLASSES > 1,
            LOGITS[:, :1],
            roc_auc_score(CLASSES > 1, LOGITS[:, 0]),
        ),
        ("mse", TARGETS, TARGETS * 0.9, mean_squared_error(TARGETS, TARGETS * 0.9)),
        ("mae", TARGETS, TARGETS * 0.9, mean_absolute_error(TARGETS, TARGETS * 0.9)),
        ("r2", TARGETS, TARGETS * 0.9, r2_score(TARGETS, TARGETS * 0.9)),
        ("top_3", CLASSES, LOGITS, top_k_accuracy_score(CLASSES, LOGITS, k=3)),
        (
            "precision",
            CLASSES,
            LOGITS,
            precision_score(CLASSES, LOGITS.argmax(1), average="macro"),
        ),
        ("recall", CLASSES, LOGITS, recall_score(CLASSES, LOGITS.argmax(1), average="macro")),
        ("log_loss", CLASSES, LOGITS, log_loss(CLASSES, softmax(LOGITS))),
        ("pr_auc", CLASSES > 1, LOGITS[:, :1], average_precision_score(CLASSES > 1, LOGITS[:, 0])),
        (
            "pr_auc",
            CLASSES,
            softmax(LOGITS),
            average_precision_score(np.eye(WIDTH)[CLASSES], softmax(LOGITS)),
        ),
        (
            "anomaly_auc",
            CLASSES[:200] % 2,
            ERRORS,
            roc_auc_score(CLASSES[:200] % 2, ERRORS),
        ),
    ],
)
def test_metric_equals_scikit_learn(
    name: str, y_true: npt.NDArray[np.int64], y_pred: Floats, expected: float
) -> None:
    assert value(name, y_true, y_pred) == pytest.approx(expected, abs=1e-6)


def test_roc_auc_takes_a_quantized_softmax_as_it_is() -> None:
    shares = softmax(LOGITS)
    quantized = np.clip(np.rint(shares * 256), 0, 255) / 256
    assert not np.allclose(quantized.sum(1), 1, atol=1e-3)
    expected = np.mean([roc_auc_score(k == CLASSES, quantized[:, k]) for k in range(WIDTH)])
    assert value("roc_auc", CLASSES, quantized) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc"])
def test_area_is_unavailable_when_a_class_is_missing(name: str) -> None:
    kept = (CLASSES != 3) & (CLASSES != 5)
    found = measure(METRICS[name], CLASSES[kept], softmax(LOGITS)[kept])
    assert (found.value, found.how) == (None, "unavailable")
    assert "no item of classes 3, 5" in found.reason
    lost, _ = drop(METRICS[name], CLASSES[kept], LOGITS[kept], LOGITS[kept])
    assert lost.how == "unavailable"


@pytest.mark.parametrize(("missing", "kind"), [(0, "normal"), (1, "anomalous")])
def test_anomaly_auc_is_unavailable_when_a_kind_is_missing(missing: int, kind: str) -> None:
    found = measure(METRICS["anomaly_auc"], np.full(20, 1 - missing), ERRORS[:20])
    assert found.how == "unavailable"
    assert kind in found.reason


def test_r2_is_unavailable_when_targets_do_not_vary() -> None:
    found = measure(METRICS["r2"], np.ones((5, 1)), np.arange(5.0)[:, None])
    assert found.how == "unavailable"
    assert "do not vary" in found.reason


@pytest.mark.parametrize("name", ["mse", "mae", "r2"])
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


def boxes() -> tuple[Labels, Floats]:
    """One box a picture, and an answer near it."""
    rng = np.random.default_rng(4)
    low = rng.random((40, 1, 2)) * 0.5
    corners = np.concatenate([low, low + 0.3], axis=2)
    near = corners + rng.normal(0, 0.03, corners.shape)
    scores = rng.random((40, 1, 1))
    truth = np.concatenate([np.zeros((40, 1, 1)), corners], axis=2)
    return truth, np.concatenate([scores, np.zeros((40, 1, 1)), near], axis=2).astype(np.float32)


def texts() -> tuple[Labels, Floats]:
    """Utterances of one to six words, every fifth answered otherwise."""
    labels = np.array([" ".join("abcdef"[: 1 + k % 6]) for k in range(60)])
    return labels, np.where(np.arange(60) % 5 == 0, np.roll(labels, 2), labels)


def examples(name: str) -> tuple[Labels, Floats]:
    if METRICS[name].reads in EXAMPLES:
        return EXAMPLES[METRICS[name].reads]
    reads = METRICS[name].reads
    if reads == "boxes":
        return boxes()
    if reads in TEXTS:
        return texts()
    if reads == "errors":
        return np.arange(200) % 2, ERRORS
    if reads == "numbers":
        return TARGETS, (TARGETS + RNG.normal(size=TARGETS.shape) * 0.3).astype(np.float32)
    return CLASSES, softmax(LOGITS)


def worse(name: str, y_true: Labels, y_pred: Floats) -> Floats:
    """Outputs that are worse: half of the items answered as others are, or errors are larger."""
    bad = y_pred.copy()
    if METRICS[name].reads == "errors":
        bad[::2] += 0.2
    elif name == "calibration_error":
        bad = np.roll(np.eye(WIDTH, dtype=np.float32), 1, axis=1)[CLASSES]
    else:
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
@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].reads not in TEXTS])
def test_metric_refuses_outputs_that_are_not_finite(name: str, planted: float) -> None:
    y_true, y_pred = examples(name)
    bad = y_pred.copy()
    # Where the right answer is class 0, argmax takes a NaN there for a hit.
    bad.reshape(len(bad), -1)[17, 0] = planted
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


@pytest.mark.parametrize("name", METRICS)
def test_metric_is_best_in_its_direction_when_every_answer_is_right(name: str) -> None:
    """A direction that is flipped in the table is noticed by what the numbers do."""
    y_true, y_pred = examples(name)
    perfect: Mapping[str, npt.NDArray[np.generic]] = {
        "classes": np.eye(WIDTH)[CLASSES],
        "numbers": TARGETS,
        "errors": np.arange(200) % 2 * 0.5,
        "labels": SEVERAL,
        "masks": np.eye(3)[MASKS],
        "vectors": np.eye(WIDTH)[CLASSES],
    }
    if METRICS[name].reads not in perfect:
        pytest.skip("what it reads has tests of its own")
    best = value(name, y_true, perfect[METRICS[name].reads])
    usual = value(name, y_true, y_pred)
    assert best != usual
    assert (best < usual) == (METRICS[name].direction == "lower")


@pytest.mark.parametrize("name", METRICS)
def test_bounded_metric_lies_within_0_and_1_when_all_is_wrong(name: str) -> None:
    y_true, _ = examples(name)
    wrong = {
        "classes": np.roll(np.eye(WIDTH, dtype=np.float32), 1, axis=1)[CLASSES],
        "numbers": 100 + TARGETS,
        "errors": 2.0 - np.arange(200) % 2,
        "boxes": boxes()[1] + np.array([0, 0, 2, 2, 2, 2], np.float32),
        "labels": 1.0 - SEVERAL,
        "masks": np.eye(3)[(MASKS + 1) % 3],
        "vectors": np.arange(len(CLASSES))[:, None] ** [0, 1],
        "words": np.full(60, "x"),
        "characters": np.full(60, "x"),
    }
    if name == "cosine":
        wrong["numbers"] = -TARGETS
    if name == "relative_error":
        wrong["numbers"] = 3 * TARGETS
    found = value(name, y_true, wrong[METRICS[name].reads])
    assert (0 <= found <= 1) == METRICS[name].bounded


@pytest.mark.parametrize("name", ["accuracy", "top_3", "f1", "log_loss", "calibration_error"])
def test_part_of_the_items_is_read_as_the_whole(name: str) -> None:
    """Of logits, some items alone may look like probabilities: a drawn sample must not."""
    metric = METRICS[name]
    labels = np.arange(400) % WIDTH
    logits = np.full((400, WIDTH), 0.1, np.float32)
    logits[np.arange(400), labels] = 0.9
    logits[0, 0] = -2.0
    labels_read, (scores,) = read(metric, labels, logits)
    part = np.arange(WIDTH, 7 * WIDTH)
    alone = measure(metric, labels[part], logits[part])
    within = measure_read(metric, labels_read[part], scores[part])
    if name in ("log_loss", "calibration_error"):
        assert alone.value != within.value
    exact = softmax(logits[part])
    assert within.value == pytest.approx(value(name, labels[part], exact), abs=1e-6)


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "calibration_error", "roc_auc"])
def test_probability_that_is_rounded_up_is_no_logit(name: str) -> None:
    shares = softmax(LOGITS * 3)
    rounded = shares.copy()
    rounded[shares.argmax() // WIDTH, shares.argmax() % WIDTH] = 1.0000001
    rounded[shares.argmin() // WIDTH, shares.argmin() % WIDTH] = -1e-7
    expected = value(name, CLASSES, shares)
    assert value(name, CLASSES, rounded) == pytest.approx(expected, abs=1e-6)


def test_single_logits_are_cut_at_0_in_every_part() -> None:
    labels, (scores,) = read(METRICS["accuracy"], np.array([1, 1, 0]), np.array([0.2, 0.3, -4.0]))
    assert measure_read(METRICS["accuracy"], labels[:2], scores[np.array([0, 1])]).value == 1.0


def test_two_models_are_read_alike() -> None:
    """One model's logits happen to lie in 0..1, the other's do not: both are cut at 0."""
    y_true = np.array([1, 1, 1, 1])
    reference, candidate = np.array([0.2, 0.4, 0.9, 0.3]), np.array([0.2, 0.4, 1.1, -0.3])
    assert drop(METRICS["accuracy"], y_true, reference, candidate)[1] == PairedCounts(4, 1, 0)


@pytest.mark.parametrize("name", [n for n, m in METRICS.items() if m.reads != "vectors"])
def test_one_item_is_measured_where_it_defines_the_metric(name: str) -> None:
    y_true, y_pred = examples(name)
    found = measure(METRICS[name], y_true[:1], y_pred[:1])
    undefined = name in ("roc_auc", "pr_auc", "r2", "anomaly_auc", "label_map")
    assert found.how == ("unavailable" if undefined else "measured")


@pytest.mark.parametrize("labels", [[0, 7], [-1, 1]])
@pytest.mark.parametrize("name", [n for n, m in METRICS.items() if m.reads == "classes"])
def test_labels_beyond_the_classes_are_refused(name: str, labels: list[int]) -> None:
    with pytest.raises(DataError, match=f"{name}: labels are {labels[0]} to {labels[1]}"):
        value(name, labels, softmax(LOGITS)[:2])


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "words"),
    [
        ("accuracy", [0.5, 1.0], [[0.1, 0.9]] * 2, "not class numbers"),
        ("accuracy", [[1, 1], [0, 1]], [[0.1, 0.9]] * 2, "item 0 name no single class"),
        ("accuracy", [0, 1, 1], [[0.1, 0.9]] * 2, "3 labels for 2"),
        ("mse", [1.0, np.nan], [[1.0], [1.0]], "item 1 is not finite"),
        ("top_3", [0, 1], [[0.1, 0.9]] * 2, "top_3 of 2 classes is always right"),
        ("anomaly_auc", [0, 2], [0.1, 0.2], "labels are 0 to 2"),
        ("anomaly_auc", [0, 1], [[0.1, 0.2]] * 2, "with the model's inputs"),
        ("reconstruction_error", [0, 1], [[0.1, 0.2]] * 2, "with the model's inputs"),
    ],
)
def test_what_a_metric_cannot_take_is_refused(
    name: str, y_true: object, y_pred: object, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        value(name, y_true, y_pred)


@pytest.mark.parametrize(("name", "known"), [("top_1", True), ("top_10", True), ("top_0", False)])
def test_top_k_is_found_for_every_k(name: str, known: bool, tmp_path: Path) -> None:
    found = find(name, tmp_path)
    assert (found is not None) == is_known(name) == known
    if name == "top_1" and found:
        accuracy = value("accuracy", CLASSES, LOGITS)
        assert measure(found, CLASSES, LOGITS).value == accuracy


def test_areas_of_resamples_equal_scikit_learn_with_ties() -> None:
    for trial in range(20):
        rng = np.random.default_rng(trial)
        n, classes = int(rng.integers(5, 60)), int(rng.integers(1, 4))
        scores = rng.integers(0, rng.integers(2, 30), (n, classes)).astype(np.float64)
        positive = rng.random((n, classes)) < 0.4
        positive[0], positive[1] = True, False
        ranking = Ranking(scores, positive)
        items = rng.integers(0, n, n)
        roc, precision = roc_areas(ranking, items), average_precisions(ranking, items)
        for k in range(classes):
            ours, by = positive[items, k], scores[items, k]
            if ours.any() and not ours.all():
                assert roc[k] == pytest.approx(roc_auc_score(ours, by), abs=1e-12)
                assert precision[k] == pytest.approx(average_precision_score(ours, by), abs=1e-12)
            assert np.isnan(precision[k]) == (not ours.any())


def test_calibration_error_is_not_proven_when_the_model_is_calibrated() -> None:
    """With few items chance makes it 7 % of what is really none; percentiles would miss that."""
    rng = np.random.default_rng(3)
    shares = softmax((rng.normal(size=(300, 10)) * 2).astype(np.float32))
    labels = (shares.cumsum(axis=1) > rng.random((300, 1))).argmax(axis=1)
    found = measure(METRICS["calibration_error"], labels, shares)
    assert found.value is not None
    assert found.value > 0.03
    assert found.low == 0.0
    overconfident = measure(METRICS["calibration_error"], labels, shares**3)
    assert overconfident.low is not None
    assert overconfident.low > 0.05


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


@pytest.mark.parametrize("name", ["f1", "roc_auc", "accuracy", "log_loss", "mse", "mae", "r2"])
def test_equal_outputs_are_no_drop_proven(name: str) -> None:
    rng = np.random.default_rng(0)
    metric = metrics.METRICS[name]
    if metric.reads == "numbers":
        labels = rng.normal(size=20)
        outputs = rng.normal(size=(20, 1)).astype(np.float32)
    else:
        labels = np.arange(20) % 3
        outputs = rng.dirichlet(np.ones(3), 20).astype(np.float32)
    lost, _ = metrics.drop(metric, labels, outputs, outputs.copy())
    assert (lost.value, lost.low, lost.high) == (0.0, 0.0, 0.0)
    assert lost.tool == "the outputs are equal"


def test_floor_is_what_float32_tells_at_the_outputs_scale() -> None:
    targets = np.arange(1.0, 21.0)
    outputs = targets.astype(np.float32)[:, None]
    off = metrics.ULPS * float(np.finfo(np.float32).eps) * 20
    assert metrics.floor(metrics.METRICS["mse"], targets, outputs, 20) == pytest.approx(off**2)
    assert metrics.floor(metrics.METRICS["mae"], targets, outputs, 20) == pytest.approx(off)
    assert metrics.floor(metrics.METRICS["accuracy"], targets, outputs, 20) == 0.0
