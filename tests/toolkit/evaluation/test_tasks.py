"""Which task labels and outputs look like, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from task_table import written

from edgekit.errors import DataError
from edgekit.evaluation.metrics import METRICS
from edgekit.evaluation.tasks import TASKS, TaskEvidence, detect, of_metric
from edgekit.types import TensorSpec

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 4, 40)
MASKS = RNG.integers(0, 3, (40, 8, 6))
ONE_HOT = np.eye(4, dtype=np.float32)[CLASSES]


def evidence(
    labels: npt.NDArray[Any],
    *sizes: int | None,
    last: str = "",
    dtype: str = "float32",
    inputs: tuple[int, ...] = (8, 8, 1),
) -> TaskEvidence:
    taken = (TensorSpec("image", (None, *inputs), "float32"),)
    return TaskEvidence(labels, TensorSpec("output_0", (None, *sizes), dtype), last, taken)


@pytest.mark.parametrize(
    ("given", "task", "reason"),
    [
        (
            evidence(CLASSES, 4, last="softmax"),
            "classification",
            "labels are class numbers 0 to 3, and the model gives 4 values per item (softmax)",
        ),
        (evidence(CLASSES.astype(np.float32), 1, 1, 4), "classification", "class numbers 0 to 3"),
        (evidence(CLASSES % 2, 1, last="sigmoid"), "classification", "labels are 0 or 1"),
        (
            evidence((CLASSES % 2).astype(np.float32)[:, None], 1),
            "classification",
            "labels are 0 or 1",
        ),
        (evidence(ONE_HOT, 4), "classification", "labels are one-hot rows of 4"),
        (evidence(ONE_HOT.astype(np.uint8), 4), "classification", "labels are one-hot rows of 4"),
        (evidence(0.9 * ONE_HOT + 0.025, 4), "classification", "one-hot rows, smoothed, of 4"),
        (evidence(CLASSES, 1), "regression", "labels are numbers (int64), one for each value"),
        (evidence(RNG.random(40), 1), "regression", "labels are numbers (float64)"),
        (evidence(RNG.random((40, 1)), 1), "regression", "labels are numbers (float64)"),
        (evidence(RNG.random((40, 4)), 4), "regression", "labels are numbers"),
        (evidence(RNG.dirichlet(np.ones(4), 40), 4), "regression", "labels are numbers"),
        (evidence(CLASSES, dtype="int64"), "class-ids", "the model gives integers (int64)"),
        (evidence(CLASSES, 1, last="argmax"), "class-ids", "the model ends in argmax"),
        (
            evidence(np.tile([[1, 1, 0, 0]], (40, 1)), 4, last="sigmoid"),
            "multi-label",
            "labels are 0 or 1 for each of 4, any number at once (sigmoid)",
        ),
        (evidence(MASKS, 8, 6, 3), "segmentation", "labels are a class per place [N, 8, 6]"),
        (evidence(MASKS[..., None], 8, 6, 3), "segmentation", "gives 3 values for each of these"),
        (evidence(np.eye(3)[MASKS], 8, 6, 3), "segmentation", "a one-hot row per place"),
        (evidence(MASKS % 2, 8, 6, 1), "segmentation", "labels are 0 or 1 per place [N, 8, 6]"),
        (evidence(MASKS, 8, 6, dtype="int64"), "segmentation", "a class per place: [N, 8, 6]"),
        (evidence(MASKS, None, None, 3), "segmentation", "a class per place"),
        (evidence(RNG.random((40, 8, 6, 3)), 8, 6, 3), "regression", "labels are numbers"),
        (evidence(CLASSES, 16, last="unit norm"), "embeddings", "16 values of length 1"),
        (
            evidence(np.array(["a", "b c"] * 20), 30, 7, last="softmax"),
            "text",
            "labels are texts, and the output is [N, 30, 7] (softmax)",
        ),
        (
            evidence(np.pad(CLASSES.reshape(20, 2), ((0, 0), (0, 2))), 30, 7),
            "text",
            "labels are up to 4 tokens, and the output scores 7 tokens at each of 30 steps",
        ),
        (
            evidence(CLASSES.reshape(20, 2), 12, dtype="int32"),
            "text",
            "the output gives 12 integers",
        ),
        (evidence(CLASSES.reshape(20, 2) % 3, 2, 3), "segmentation", "a class per place"),
        (evidence(CLASSES % 2, 8, 8, 1), "anomaly", "the output has the size of the input 'image'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_task_is_told_by_labels_and_output(given: TaskEvidence, task: str, reason: str) -> None:
    found = detect(given)
    assert found.task is TASKS[task]
    assert reason in found.reason


def test_labels_that_fit_nothing_are_refused_with_what_both_look_like() -> None:
    with pytest.raises(DataError) as caught:
        detect(evidence(RNG.random((40, 5)), 4))
    assert caught.value.code == "EK-DATA-012"
    assert "labels are float64 [N, 5] from 0." in caught.value.message
    assert "the output is float32 [N, 4]" in caught.value.message
    assert "--task" in caught.value.hint


def test_named_metric_says_the_task_unless_labels_do() -> None:
    found = of_metric(METRICS["mae"], evidence(RNG.random((40, 5)), 4))
    assert found is not None
    assert (found.task.name, found.reason) == ("regression", "the metric is mae")
    found = of_metric(METRICS["f1"], evidence(ONE_HOT, 4))
    assert found is not None
    assert "one-hot" in found.reason


def test_every_task_has_its_metrics() -> None:
    for task in TASKS.values():
        assert METRICS[task.metric].reads in task.reads
        assert all(METRICS[name].reads in task.reads for name in task.beside)


def test_documented_table_is_the_codes_and_every_task_has_a_page() -> None:
    docs = Path(__file__).parents[3] / "docs"
    page = (docs / "tasks.md").read_text(encoding="utf-8")
    assert page == written(page)
    assert {one.stem for one in (docs / "tasks").glob("*.md")} >= set(TASKS)
