"""The ranges of a float file's activations, item by item."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.converters.quantization.activations import item_ranges
from edgekit.errors import ConversionError


def test_ranges_are_of_inputs_and_outputs_as_fed(converted: Path) -> None:
    feed = np.load(converted / "representative.npy")
    names, ranges = item_ranges(
        converted / "float32.tflite", {"image": converted / "representative.npy"}, 1000
    )
    assert ranges.shape == (100, len(names), 2)
    assert (ranges[:, 0, 0] == feed.min(axis=(1, 2, 3))).all()
    assert (ranges[:, 0, 1] == feed.max(axis=(1, 2, 3))).all()
    # The last is a softmax over ten digits.
    assert (ranges[:, -1, 1] <= 1).all()
    assert (ranges[..., 0] <= ranges[..., 1]).all()


def test_fewer_items_are_spread_over_all(converted: Path) -> None:
    feeds = {"image": converted / "representative.npy"}
    _, whole = item_ranges(converted / "float32.tflite", feeds, 100)
    _, some = item_ranges(converted / "float32.tflite", feeds, 4)
    assert (some == whole[::25]).all()


def test_state_does_not_leak_from_item_to_item(converted: Path, tmp_path: Path) -> None:
    steps = np.load(converted / "steps.npy")
    np.save(tmp_path / "turned.npy", steps[::-1])
    _, forth = item_ranges(converted / "lstm.tflite", {"steps": converted / "steps.npy"}, 20)
    _, back = item_ranges(converted / "lstm.tflite", {"steps": tmp_path / "turned.npy"}, 20)
    np.testing.assert_array_equal(forth, back[::-1])


@pytest.mark.parametrize(
    ("file", "name", "code"),
    [("float32", "photo", "EK-CONVERT-041"), ("float32", "image", "EK-CONVERT-040")],
)
def test_what_cannot_be_run_is_refused(
    converted: Path, tmp_path: Path, file: str, name: str, code: str
) -> None:
    wrong = tmp_path / "wrong.npy"
    np.save(wrong, np.zeros((3, 5, 5, 1), np.float32))
    with pytest.raises(ConversionError) as refused:
        item_ranges(converted / f"{file}.tflite", {name: wrong}, 3)
    assert refused.value.code == code
