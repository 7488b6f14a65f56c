"""Parity: by hand, over blocks, and that no NaN hides in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import RunnerError
from edgekit.evaluation import parity as module
from edgekit.evaluation.parity import open_outputs, parity, steps

REFERENCE = np.array([[3.0, 4.0], [1.0, 0.0]], np.float32)
CANDIDATE = np.array([[3.0, 2.0], [1.0, 1.0]], np.float32)


def test_parity_by_hand() -> None:
    found = parity(REFERENCE, CANDIDATE)
    assert found["max_abs_error"].value == 2.0
    assert found["mean_abs_error"].value == (2 + 1) / 4
    assert found["relative_error"].value == (2 + 1) / (3 + 4 + 1)
    first = (9 + 8) / (5 * np.sqrt(13))
    assert found["cosine"].value == pytest.approx((first + np.sqrt(0.5)) / 2)
    # 4 is the largest of the first, 3 of its candidate; the second's tie goes to the first column.
    assert found["argmax_agreement"].value == 0.5
    assert found["sqnr"].value == pytest.approx(10 * np.log10((9 + 16 + 1) / (4 + 1)))
    assert {m.n for m in found.values()} == {2}


def test_parity_is_perfect_when_the_outputs_are_equal() -> None:
    found = parity(REFERENCE, REFERENCE)
    values = {name: m.value for name, m in found.items()}
    assert values["cosine"] == pytest.approx(1.0)
    assert (values["max_abs_error"], values["mean_abs_error"]) == (0.0, 0.0)
    assert values["argmax_agreement"] == 1.0
    assert (found["sqnr"].how, found["sqnr"].reason) == ("unavailable", "the outputs are equal")


def test_parity_sees_an_output_that_vanishes() -> None:
    found = parity(REFERENCE, np.zeros_like(REFERENCE))
    assert found["cosine"].how == "unavailable"
    assert found["max_abs_error"].value == 4.0
    assert found["sqnr"].value == pytest.approx(0.0)


def test_parity_has_no_signal_to_compare_with_when_the_reference_is_zero() -> None:
    found = parity(np.zeros_like(REFERENCE), CANDIDATE)
    assert found["sqnr"].how == "unavailable"
    assert "zero" in found["sqnr"].reason
    assert found["relative_error"].how == "unavailable"
    assert found["cosine"].how == "unavailable"


def test_cosine_leaves_out_an_item_that_rounds_to_zero() -> None:
    found = parity(REFERENCE, REFERENCE * np.array([[1], [0]], np.float32))
    assert (found["cosine"].value, found["cosine"].n) == (pytest.approx(1.0), 1)
    assert found["argmax_agreement"].n == 2


@pytest.mark.parametrize("block", [1, 7, 64, 4096])
def test_parity_is_the_same_at_any_block_size(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    rng = np.random.default_rng(2)
    left = rng.normal(size=(100, 2, 3)).astype(np.float32)
    right = left + rng.normal(size=left.shape).astype(np.float32) / 10
    expected = {name: m.value for name, m in parity(left, right).items()}
    monkeypatch.setattr(module, "BLOCK", block)
    for name, measured in parity(left, right).items():
        assert measured.value == pytest.approx(expected[name], rel=1e-9)


@pytest.mark.parametrize("planted", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["reference", "candidate"])
@pytest.mark.parametrize("item", [0, 5000])
def test_parity_refuses_outputs_that_are_not_finite(planted: float, side: str, item: int) -> None:
    outputs = {name: np.ones((6000, 3), np.float32) for name in ("reference", "candidate")}
    outputs[side][item, 1] = planted
    with pytest.raises(RunnerError) as caught:
        parity(outputs["reference"], outputs["candidate"])
    assert caught.value.code == "EK-RUNNER-006"
    assert f"the {side}'s outputs" in caught.value.message
    assert f"item {item}" in caught.value.message


def test_open_outputs_finds_a_runners_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a_b_0.npy", REFERENCE)
    opened = open_outputs(tmp_path, ("a/b:0",))
    assert np.array_equal(opened["a/b:0"], REFERENCE)


def test_steps_by_hand() -> None:
    left = np.arange(-128, 128, dtype=np.float32).reshape(32, 8) * np.float32(0.05)
    apart = np.zeros((32, 8), np.int64)
    apart[3] = [0, 1, -1, 2, 3, -4, 5, 48]
    found = steps(left, (left + apart * 0.05).astype(np.float32), 0.05)
    assert found.counts == {
        "0": 31 * 8 + 1,
        "1": 2,
        "2": 1,
        "3-4": 2,
        "5-8": 1,
        "9-16": 0,
        "17-32": 0,
        "33-64": 1,
    }
    assert found.largest == 48
    assert (found.differing.value, found.differing.n) == (7 / 256, 256)
    assert (found.differing_items.value, found.differing_items.n) == (1 / 32, 32)


def test_steps_of_equal_outputs_are_none() -> None:
    found = steps(REFERENCE, REFERENCE, 0.5)
    assert (found.counts, found.largest, found.differing.value) == ({"0": 4}, 0, 0.0)


@pytest.mark.parametrize("block", [1, 7, 4096])
def test_steps_are_the_same_at_any_block_size(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    rng = np.random.default_rng(2)
    left = rng.normal(size=(100, 2, 3)).astype(np.float32)
    right = left + rng.normal(size=left.shape).astype(np.float32) / 10
    expected = steps(left, right, 0.01)
    monkeypatch.setattr(module, "BLOCK", block)
    assert steps(left, right, 0.01) == expected


def test_steps_refuse_a_nan_and_an_output_without_steps() -> None:
    with pytest.raises(RunnerError, match="EK-RUNNER-006"):
        steps(REFERENCE, REFERENCE * np.float32(np.nan), 0.1)
    with pytest.raises(ValueError, match="quantized"):
        steps(REFERENCE, REFERENCE, 0.0)
