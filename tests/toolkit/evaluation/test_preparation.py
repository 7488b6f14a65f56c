"""Metrics that need the inputs, and groups of items: clips of windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from edgekit.errors import DataError
from edgekit.evaluation.metrics import METRICS, group_labels, measure, metric, prepared
from edgekit.types import Preprocess

RECONSTRUCTION, ANOMALY = METRICS["reconstruction_error"], METRICS["anomaly_auc"]
PREPROCESS = Preprocess(scale=1 / 255, offset=-0.5)
RNG = np.random.default_rng(2)
RAW = RNG.integers(0, 256, (50, 4, 4), np.uint8)
INDEX = np.arange(49, 9, -1)


def rebuilt(noise: float) -> np.ndarray:  # type: ignore[type-arg]
    given = RAW[INDEX] / 255 - 0.5
    return (given + noise).astype(np.float32).reshape(40, 4, 4, 1)


def test_reconstruction_is_against_the_input_as_the_model_takes_it() -> None:
    errors = prepared(RECONSTRUCTION, {"x": RAW}, INDEX, PREPROCESS, rebuilt(0.1))
    assert errors == pytest.approx(np.full(40, 0.01), abs=1e-6)
    found = measure(RECONSTRUCTION, None, errors)
    assert found.value == pytest.approx(0.01, abs=1e-6)


def test_preparation_reads_files_some_items_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", RAW)
    raw = np.load(tmp_path / "x.npy", mmap_mode="r")
    outputs = rebuilt(0.1) + RNG.normal(size=(40, 4, 4, 1)).astype(np.float32)
    whole = prepared(RECONSTRUCTION, {"x": RAW}, INDEX, PREPROCESS, outputs)
    monkeypatch.setattr("edgekit.evaluation.metrics.preparation.rows_at_once", lambda _: 7)
    assert prepared(RECONSTRUCTION, {"x": raw}, INDEX, PREPROCESS, outputs) == pytest.approx(whole)


def test_most_metrics_take_outputs_as_they_are() -> None:
    outputs = np.zeros((40, 3))
    assert prepared(METRICS["accuracy"], {"x": RAW}, INDEX, PREPROCESS, outputs) is outputs


def test_the_input_that_is_reconstructed_is_found_by_its_size() -> None:
    inputs = {"hint": RNG.random((50, 2)), "x": RAW}
    assert len(prepared(RECONSTRUCTION, inputs, INDEX, PREPROCESS, rebuilt(0.0))) == 40
    for wrong in ({"hint": inputs["hint"]}, {"a": RAW, "b": RAW}):
        with pytest.raises(DataError) as caught:
            prepared(RECONSTRUCTION, wrong, INDEX, PREPROCESS, rebuilt(0.0))
        assert caught.value.code == "EK-DATA-041"


def test_anomalies_are_scored_per_clip() -> None:
    """Four clips of ten windows: the means are told apart better than the windows are."""
    clips = np.repeat(["c", "a", "d", "b"], 10)
    labels = np.repeat([1, 0, 1, 0], 10)
    noise = RNG.normal(size=(40, 4, 4, 1)) * np.where(labels == 1, 0.30, 0.25)[:, None, None, None]
    outputs = rebuilt(0.0) + noise
    windows = prepared(ANOMALY, {"x": RAW}, INDEX, PREPROCESS, outputs)
    scores = prepared(ANOMALY, {"x": RAW}, INDEX, PREPROCESS, outputs, clips)
    truths = group_labels(ANOMALY, labels, clips)
    assert truths is not None
    assert truths.tolist() == [0, 0, 1, 1]
    assert scores == pytest.approx([windows[clips == c].mean() for c in "abcd"])
    found = measure(ANOMALY, truths, scores)
    assert found.n == 4
    assert found.value == roc_auc_score(truths, scores)
    alone = measure(ANOMALY, labels, windows).value
    assert alone is not None
    assert alone < (found.value or 0)


def test_groups_are_refused_where_they_cannot_be_meant() -> None:
    clips = np.repeat([1, 2], 20)
    mixed = np.arange(40) % 2
    for action in (
        lambda: group_labels(ANOMALY, mixed, clips),
        lambda: group_labels(METRICS["accuracy"], mixed, clips),
        lambda: prepared(ANOMALY, {"x": RAW}, INDEX, PREPROCESS, rebuilt(0.0), clips[:5]),
    ):
        with pytest.raises(DataError) as caught:
            action()
        assert caught.value.code == "EK-DATA-042"


def test_blocks_hold_16_mib() -> None:
    assert metric.rows_at_once((1024, 1024)) == 2
    assert metric.rows_at_once(()) == 2**21
