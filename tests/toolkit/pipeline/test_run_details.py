"""``details.json`` of a run says what its report says, and nothing in it can fail a run."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from edgekit.data.thumbnails import is_picture, thumbnail
from edgekit.evaluation.launch_samples import MOST, split, thinned
from edgekit.evaluation.metrics import METRICS
from edgekit.evaluation.metrics.reliability import confusion_matrix, reliability
from edgekit.pipeline.details.answers import of_answers
from edgekit.pipeline.details.parts import Parts, Pictures
from edgekit.pipeline.details.values import described, looked_at
from edgekit.report import details as file
from edgekit.types.details import CandidateDetails, Details, LaunchSamples

LABELS = np.array([0, 0, 1, 1, 2])
OUTPUTS = np.array(
    [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.0, 1.0, 0.0], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8]]
)


@pytest.fixture(scope="module")
def details(digits_run: Path) -> Details:
    (run,) = (digits_run / "project/.edgekit/runs").iterdir()
    found = file.read(run)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def rows(digits_report: dict[str, Any]) -> dict[str, Any]:
    """The report's row of each model."""
    named = {one["id"]: one for one in digits_report["candidates"]}
    return {"reference": digits_report["reference"], **named}


@pytest.fixture(scope="module")
def models(details: Details) -> dict[str, CandidateDetails]:
    return {"reference": details.reference, **details.candidates}


def test_details_are_of_the_models_of_the_report(
    details: Details, models: dict[str, CandidateDetails], rows: dict[str, Any]
) -> None:
    assert list(models) == list(rows)
    assert (details.kind, details.command) == ("convert", "edgekit convert --json")
    assert details.absent == {}


def test_confusion_and_bins_count_the_items_that_the_metric_is_taken_on(
    models: dict[str, CandidateDetails], rows: dict[str, Any]
) -> None:
    for name, model in models.items():
        accuracy = rows[name]["metrics"]["accuracy"]
        assert model.confusion is not None
        assert model.reliability is not None
        matrix = np.array(model.confusion.matrix)
        assert matrix.sum() == accuracy["n"] == sum(one.count for one in model.reliability.bins)
        assert np.trace(matrix) / matrix.sum() == pytest.approx(accuracy["value"])
        by_class = {one["name"]: one["count"] for one in rows[name]["parts"]}
        assert dict(zip(model.confusion.labels, matrix.sum(axis=1), strict=True)) == by_class
        right = int.from_bytes(base64.b64decode(model.right), "big").bit_count()
        assert right == np.trace(matrix)


def test_the_median_of_the_launches_is_the_report_s(
    models: dict[str, CandidateDetails], rows: dict[str, Any]
) -> None:
    for name, model in models.items():
        latency = rows[name]["latency"]
        assert [one.count for one in model.launches] == latency["launches"]
        runs = np.concatenate([one.samples for one in model.launches])
        p50, spread = latency["p50"], 0.01 * latency["p50"]["value"]
        assert p50["low"] - spread <= np.median(runs) <= p50["high"] + spread


def test_sizes_are_all_of_the_file_s_bytes(
    models: dict[str, CandidateDetails], rows: dict[str, Any]
) -> None:
    for name, model in models.items():
        if name == "reference":
            assert "sizes" in model.absent
            continue
        assert model.sizes is not None
        assert model.operators is not None
        tensors = sum(one.bytes for one in model.sizes.tensors)
        assert tensors + sum(model.sizes.rest.values()) == rows[name]["bytes"]
        operators = sum(one["count"] for one in rows[name]["operators"])
        assert len(model.operators.rows) == operators


def test_the_worst_items_are_pictures_of_wrong_answers(details: Details) -> None:
    items = details.candidates["int8"].worst_items
    assert items
    assert all(one.label != one.answer for one in items)
    assert [one.score for one in items] == sorted((one.score for one in items), reverse=True)
    drawn = Image.open(io.BytesIO(base64.b64decode(details.pictures[items[0].picture])))
    assert drawn.size == (8, 8)


def test_data_is_described_as_the_model_is_fed_it(details: Details) -> None:
    assert details.representative is not None
    assert details.evaluated is not None
    fed = details.representative.inputs["image"]
    assert fed.range is not None
    assert fed.histogram is not None
    assert (fed.range.items, fed.range.min, fed.range.max) == (200, 0.0, 1.0)
    assert sum(fed.histogram.counts) == 200 * 64
    assert len(fed.pictures) == 32
    assert fed.envelope is None
    assert sum(details.evaluated.classes.values()) == details.evaluated.items


def test_labels_and_answers_by_hand() -> None:
    found = confusion_matrix(METRICS["accuracy"], LABELS, OUTPUTS, ("cat", "dog", "bird"))
    assert found.labels == ("cat", "dog", "bird")
    assert found.matrix == ((1, 1, 0), (0, 2, 0), (0, 0, 1))
    bins = reliability(METRICS["accuracy"], LABELS, OUTPUTS)
    assert sorted(one.count for one in bins.bins if one.count) == [1, 1, 1, 2]
    # Right with 0.6, 0.9 and 1.0; of two with 0.8 one is right.
    assert bins.calibration_error.value == pytest.approx((0.4 + 0.1 + 0.0 + abs(1 - 1.6)) / 5)


@pytest.mark.parametrize(
    "metric", [name for name, one in METRICS.working().items() if one.reads != "classes"]
)
def test_other_tasks_have_no_confusion_and_say_so(metric: str) -> None:
    for part in (confusion_matrix, reliability):
        with pytest.raises(ValueError, match=f"{metric} is not a metric of one class per item"):
            part(METRICS[metric], LABELS, OUTPUTS)


@pytest.mark.parametrize(
    ("metric", "scores"),
    [("mse", [4.0, 1.0]), ("mae", [2.0, 1.0]), ("cosine", [-1.0, 1.0, 1.0])],
)
def test_items_are_ranked_by_their_error_and_those_without_one_are_left_out(
    metric: str, scores: list[float]
) -> None:
    shown = SimpleNamespace(
        metric=METRICS[metric],
        labels=np.array([[1.0], [1.0], [1.0]]),
        groups=None,
        names=None,
        index=np.array([7, 8, 9]),
        class_names=(),
    )
    found = of_answers(cast(Any, shown), np.array([[1.0], [2.0], [-1.0]]))
    assert [one.score for one in found.worst_items] == scores
    assert found.worst_items[0].number == 9


def test_thinned_launches_keep_their_quantiles() -> None:
    runs = np.random.default_rng(0).lognormal(10, 1, 9999)
    found = thinned(runs)
    assert (found.count, len(found.samples)) == (9999, MOST)
    assert (found.samples[0], found.samples[-1]) == (round(runs.min()), round(runs.max()))
    for q in (5, 50, 95):
        exact = np.percentile(runs, q)
        assert np.percentile(found.samples, q) == pytest.approx(exact, rel=0.03)
    assert split(np.array([3, 1, 9]), (2, 1)) == (
        LaunchSamples(2, (1, 3)),
        LaunchSamples(1, (9,)),
    )


@pytest.mark.parametrize(
    ("shape", "is_one"),
    [
        ((28, 28), True),
        ((224, 224, 3), True),
        ((3, 96, 96), True),
        ((16000,), False),
        ((128, 6), False),
        ((4, 4, 3), False),
        ((32, 32, 5), False),
    ],
)
def test_pictures_are_told_from_series(shape: tuple[int, ...], is_one: bool) -> None:
    assert is_picture(shape) is is_one


def test_a_photo_becomes_small_whatever_its_layout() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (3, 300, 200), np.uint8)
    content = base64.b64decode(thumbnail(photo))
    assert Image.open(io.BytesIO(content)).size == (64, 96)
    assert len(content) < 10_000


def test_series_have_an_envelope_and_examples() -> None:
    items = np.zeros((20, 1000, 2), np.float32)
    items[3, 500, 1], items[4, 700, 0] = 2.0, -1.0
    found = described(items)
    assert found.envelope is not None
    assert found.range is not None
    assert (max(found.envelope.high), min(found.envelope.low)) == (2.0, -1.0)
    assert found.envelope.high.index(2.0) == pytest.approx(64, abs=1)
    assert len(found.examples) <= 8
    assert found.range.percentiles["50"] == 0.0


@pytest.mark.parametrize("items", [np.array([["a"]]), np.array([[np.inf, 1.0]]), np.zeros((0, 3))])
def test_values_without_a_range_say_why(items: Any) -> None:
    with pytest.raises(ValueError, match=r"no range|finite"):
        described(items)


def test_of_large_data_some_items_are_looked_at() -> None:
    chosen = looked_at(1000, (512, 512, 3))
    assert (chosen[0], chosen[-1], len(chosen)) == (0, 999, (1 << 24) // (512 * 512 * 3))


def test_parts_that_fail_are_absent_with_a_reason() -> None:
    parts = Parts()
    assert parts.make("whole", lambda: 1, 0) == 1
    assert parts.make("zero", lambda: 1 // 0, 5) == 5
    assert parts.make("key", lambda: {}["a"], None) is None
    assert set(parts.absent) == {"zero", "key"}
    assert "ZeroDivisionError" in parts.absent["zero"]


def test_pictures_are_held_once_and_within_their_room() -> None:
    book = Pictures(room=10)
    assert list(book.add({"a": "12345", "b": "1234567", "c": "12345"})) == ["a", "c"]
    assert list(book.add({"a": "12345", "d": "1"})) == ["a"]
    assert json.dumps(book.drawn) == '{"a": "12345", "c": "12345"}'
