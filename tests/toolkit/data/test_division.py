"""Items set aside: identical ones together, groups together, and added items move no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.data import Dataset
from edgekit.data.division import common, divide
from edgekit.errors import DataError

RNG = np.random.default_rng(0)
ITEMS = RNG.normal(size=(2000, 3)).astype(np.float32)


def dataset(folder: Path, items: np.ndarray, patients: np.ndarray | None = None) -> Dataset:
    np.save(folder / "x.npy", items)
    beside = {}
    if patients is not None:
        np.save(folder / "patient.npy", patients)
        beside = {"patient": folder / "patient.npy"}
    return Dataset("d", {"x": folder / "x.npy"}, None, len(items), "", beside)


def test_parts_share_no_item_and_have_about_their_share(tmp_path: Path) -> None:
    parts = divide(dataset(tmp_path, ITEMS), {"validation": 0.1, "test": 0.2})
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(2000))
    # Five standard deviations of a binomial count.
    assert abs(len(parts["validation"]) - 200) < 67
    assert abs(len(parts["test"]) - 400) < 90


def test_identical_items_are_in_one_part(tmp_path: Path) -> None:
    signed = np.concatenate([ITEMS, ITEMS[::-1]])
    signed[0], signed[-1] = (0.0, 1, 2), (-0.0, 1, 2)
    inside = np.zeros(4000, bool)
    inside[divide(dataset(tmp_path, signed), {"validation": 0.3})["validation"]] = True
    assert np.array_equal(inside[:2000], inside[2000:][::-1])


def test_items_that_are_added_move_no_other(tmp_path: Path) -> None:
    first, more = (
        divide(dataset(tmp_path, items), {"validation": 0.3})["validation"]
        for items in (ITEMS[:1500], ITEMS)
    )
    assert np.array_equal(first, more[more < 1500])


def test_parts_are_of_the_seed(tmp_path: Path) -> None:
    data = dataset(tmp_path, ITEMS)
    one, again, other = (divide(data, {"test": 0.3}, seed)["test"] for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert len(np.intersect1d(one, other)) < 0.5 * len(one)


@pytest.mark.parametrize("names", [np.arange(40), np.array([f"patient {n}" for n in range(40)])])
def test_groups_stay_together(tmp_path: Path, names: np.ndarray) -> None:
    patients = names[RNG.integers(0, 40, 2000)]
    parts = divide(dataset(tmp_path, ITEMS, patients), {"validation": 0.3}, group="patient")
    assert not np.isin(patients[parts["train"]], patients[parts["validation"]]).any()


def test_part_without_items_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of 1 groups .* falls into the part 'validation'"):
        divide(dataset(tmp_path, ITEMS, np.zeros(2000)), {"validation": 0.01}, group="patient")


def test_items_of_both_sets_are_found(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    left, right = dataset(folders[0], ITEMS[:100]), dataset(folders[1], ITEMS[[500, 7, 99, 600]])
    assert common(left, right).tolist() == [7, 99]
