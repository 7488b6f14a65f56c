"""Models nobody here made: file kinds, generations, pruning, inputs by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit import Project, convert
from edgekit.api import Options
from edgekit.types import Report

pytestmark = pytest.mark.usefixtures("untimed", "lent_worker")


def run(
    model: Path, items: Path, output: Path, options: Options | None = None, **tables: Any
) -> Report:
    """Convert a model around a data file of the digits."""
    table: dict[str, Any] = {
        "model": {"source": str(model)},
        "data": {"evaluate": str(items), "preprocess": {"scale": "1/16"}, **tables.pop("data", {})},
        "convert": {"precisions": ["float32"]},
        **tables,
    }
    return convert(Project.parse(table, output), options)


@pytest.mark.parametrize(
    "name",
    [
        "keras3.keras",
        "keras2.h5",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("keras3.h5", "keras2.keras")),
        "saved_model",
    ],
)
def test_every_file_kind_converts_and_keeps_its_accuracy(
    models: Path, digits: Path, tmp_path: Path, name: str
) -> None:
    report = run(models / name, digits / "test.npz", tmp_path, convert={"precisions": ["int8"]})
    reference = report.reference_evaluation.metrics["accuracy"]
    assert reference.value is not None
    assert reference.value > 0.8
    assert report.verdict.exit_code == 0
    (candidate,) = report.candidates
    assert candidate.float_operators == ()
    assert report.targets[0].bundle is not None


@pytest.mark.parametrize(
    "name", ["keras3.keras", pytest.param("keras2.h5", marks=pytest.mark.slow)]
)
def test_pruning_without_recovery_goes_red(
    models: Path, digits: Path, tmp_path: Path, name: str
) -> None:
    report = run(
        models / name, digits / "test.npz", tmp_path, compress={"prune": {"sparsity": 0.95}}
    )
    assert report.compression is not None
    (pruned,) = report.compression.schemes
    assert pruned.sparsity == pytest.approx(0.95, abs=0.02)
    assert pruned.epochs == 0
    assert report.verdict.exit_code == 1
    (candidate,) = report.candidates
    drop = candidate.evaluation.drop["accuracy"]
    assert drop.low is not None
    assert drop.low > 0.02
    # What pruning is for: the file is as large, and zips smaller.
    assert candidate.compressed_bytes < 0.7 * candidate.bytes


@pytest.mark.slow
def test_pruning_recovers_when_it_is_fine_tuned(models: Path, digits: Path, tmp_path: Path) -> None:
    report = run(
        models / "keras3.keras",
        digits / "test.npz",
        tmp_path,
        data={"train": str(digits / "train.npz")},
        compress={"prune": {"sparsity": 0.5}, "finetune_epochs": 4},
    )
    assert report.compression is not None
    (pruned,) = report.compression.schemes
    assert pruned.epochs == 4
    assert pruned.sparsity == pytest.approx(0.5, abs=0.02)
    assert report.verdict.exit_code == 0


@pytest.mark.slow
def test_wrong_rescale_shows_what_the_model_really_gets(
    models: Path, digits: Path, tmp_path: Path
) -> None:
    right = run(models / "keras3.keras", digits / "test.npz", tmp_path)
    wrong = run(
        models / "keras3.keras",
        digits / "test.npz",
        tmp_path,
        data={"preprocess": {"scale": "1/255"}},
    )

    def value(report: Report) -> float:
        return report.reference_evaluation.metrics["accuracy"].value or 0.0

    assert value(wrong) < value(right) - 0.1


def test_inputs_are_matched_by_name_and_float_targets_take_mse(
    models: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    left = rng.normal(size=(120, 4)).astype(np.float32)
    right = rng.normal(size=(120, 2)).astype(np.float32)
    # In the file the second input comes first: order must not matter.
    np.savez(tmp_path / "d.npz", right=right, left=left, y=left.sum(1) + right.sum(1))
    report = run(
        models / "two_inputs.keras",
        tmp_path / "d.npz",
        tmp_path,
        data={"preprocess": {}},
        convert={"precisions": ["float32", "int8"]},
    )
    assert report.settings["metric"] == "mse"
    for candidate in report.candidates:
        assert candidate.problem == ""
        (parity,) = candidate.evaluation.parity.values()
        cosine = parity["cosine"].value
        assert cosine is not None
        assert cosine > 0.99


def test_no_evaluate_converts_only(models: Path, digits: Path, tmp_path: Path) -> None:
    report = run(
        models / "keras3.keras",
        digits / "test.npz",
        tmp_path,
        Options(evaluate=False),
        convert={"precisions": ["float32", "int8"]},
    )
    assert (report.verdict.status.value, report.verdict.exit_code) == ("not evaluated", 0)
    assert all(c.evaluation.metrics == {} and c.bytes for c in report.candidates)
    assert not (tmp_path / "dist").exists()
    stated = run(
        models / "keras3.keras",
        digits / "test.npz",
        tmp_path,
        Options(evaluate=False, max_drop=0.01),
    )
    assert stated.verdict.exit_code == 3


def test_int8_that_stays_float_is_named_and_does_not_ship(
    models: Path, digits: Path, tmp_path: Path
) -> None:
    report = run(
        models / "elu.keras",
        digits / "test.npz",
        tmp_path,
        convert={"precisions": ["int8"]},
        data={"preprocess": {"scale": "1/16"}},
    )
    (candidate,) = report.candidates
    assert "ELU" in candidate.problem
    assert report.targets[0].candidate is None
    assert report.verdict.exit_code in (1, 5)


def test_users_metric_is_taken_by_file_and_function(
    models: Path, digits: Path, tmp_path: Path
) -> None:
    (tmp_path / "score.py").write_text(
        "def wrong(y_true, y_pred):\n    return float((y_pred.argmax(1) != y_true).mean())\n"
        'wrong.direction = "lower"\n'
    )
    report = run(
        models / "keras3.keras",
        digits / "test.npz",
        tmp_path,
        evaluate={"metric": "score.py:wrong"},
    )
    value = report.reference_evaluation.metrics["wrong"].value
    assert value is not None
    assert 0 < value < 0.2
