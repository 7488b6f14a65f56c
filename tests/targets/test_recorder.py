"""The recorder of the apps: what it counts, that windows add up, and that nothing fails the app."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded_batches import golden, items

from edgekit.targets.bundles import monitoring
from edgekit.targets.runners import recorder


def written(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / recorder.FILE).read_text().splitlines()]


def test_features_are_those_of_numpy_channel_by_channel_in_both_layouts() -> None:
    pictures = np.random.default_rng(1).normal(size=(5, 8, 6, 3))
    last = monitoring.layout_of("image", "input", (8, 6, 3))
    first = monitoring.layout_of("image", "input", (3, 8, 6))
    found = recorder.features(last, pictures).reshape(5, 3, 5)
    np.testing.assert_allclose(found[:, :, 0], pictures.mean(axis=(1, 2)))
    np.testing.assert_allclose(found[:, :, 1], pictures.std(axis=(1, 2)))
    np.testing.assert_array_equal(found[:, :, 3], pictures.max(axis=(1, 2)))
    np.testing.assert_allclose(found[:, :, 4], np.abs(np.diff(pictures, axis=2)).mean(axis=(1, 2)))
    turned = recorder.features(first, pictures.transpose(0, 3, 1, 2)).reshape(5, 3, 5)
    np.testing.assert_allclose(turned, found)


@pytest.mark.parametrize(
    ("shape", "count"), [((4,), 4), ((), 1), ((500,), 4), ((49, 3), 12), ((9, 9, 64), 5)]
)
def test_features_do_not_grow_with_the_tensor(shape: tuple[int, ...], count: int) -> None:
    told = monitoring.layout_of("x", "input", shape)
    assert len(told["features"]) == count
    assert recorder.features(told, np.ones((2, *shape))).shape == (2, count)


def test_bins_hold_as_many_golden_items_each_and_no_edge_is_a_value() -> None:
    values = np.round(np.random.default_rng(2).normal(size=1000), 3)
    edges = monitoring.edges_of(values)
    assert not set(edges) & set(values.tolist())
    counted = recorder.Counts(edges)
    counted.add(values)
    assert len(edges) == 9
    assert np.abs(counted.counts - 100).max() <= 3


def test_what_never_varied_has_a_bin_for_less_and_for_more() -> None:
    counted = recorder.Counts(monitoring.edges_of(np.zeros(50)))
    counted.add(np.array([0.0, 0.0, 1.0, -1.0, np.nan]))
    assert counted.facts()["counts"] == [1, 2, 1]
    assert counted.facts()["nan"] == 1


@pytest.mark.parametrize("time", [0, 15, 16, 17, 31, 32, 1000, 123_456_789, 10**12])
def test_a_bucket_of_latency_holds_its_time_and_is_narrow(time: int) -> None:
    low, high = recorder.bounds(recorder.bucket(time))
    assert low <= time < high
    assert high - low <= max(1, low / 16)


def test_windows_add_up_to_what_one_counts_of_all(tmp_path: Path) -> None:
    told = golden()
    inputs, outputs = items(1000, seed=3)
    whole = recorder.Recorder(told, tmp_path / "whole", items=10**6)
    parts = recorder.Recorder(told, tmp_path / "parts", items=100)
    for one, step in ((whole, 1000), (parts, 7)):
        for at in range(0, 1000, step):
            part = slice(at, at + step)
            one.add(
                {"image": inputs["image"][part]},
                {"scores": outputs["scores"][part]},
                range(at, min(at + step, 1000)),
            )
        one.error(3)
        one.close()
    (alone,), several = written(tmp_path / "whole"), written(tmp_path / "parts")
    assert len(several) == 10
    assert alone["n"] == 1000 == sum(one["n"] for one in several)
    assert sum(one["errors"] for one in several) == 3
    for name, feature in alone["features"].items():
        added = np.sum([one["features"][name]["counts"] for one in several], axis=0)
        assert added.tolist() == feature["counts"], name
    for key in ("classes", "latency"):
        total: dict[str, int] = {}
        for one in several:
            table = one["latency"]["buckets"] if key == "latency" else one[key]
            for place, count in table.items():
                total[place] = total.get(place, 0) + count
        expected = alone["latency"]["buckets"] if key == "latency" else alone[key]
        assert total == expected


def test_a_window_ends_by_time_too(tmp_path: Path) -> None:
    now = [1000.0]
    one = recorder.Recorder(golden(), tmp_path, seconds=60, clock=lambda: now[0])
    one.add(*items(5))
    now[0] += 61
    one.add(*items(5))
    (record,) = written(tmp_path)
    assert (record["n"], record["began"], record["ended"]) == (
        10,
        "1970-01-01T00:16:40Z",
        "1970-01-01T00:17:41Z",
    )


def test_files_are_bounded_and_the_newest_are_kept(tmp_path: Path) -> None:
    one = recorder.Recorder(golden(), tmp_path, items=1, most_bytes=10_000)
    for k in range(60):
        one.add(*items(1, seed=k))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "records-1.jsonl",
        "records-2.jsonl",
        "records-3.jsonl",
        "records.jsonl",
    ]
    assert all(path.stat().st_size <= 10_000 for path in tmp_path.iterdir())


def test_a_folder_that_takes_nothing_fails_no_app_and_loses_no_count(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("a file is where the folder should be")
    one = recorder.Recorder(golden(), tmp_path / "records", items=10)
    for k in range(3):
        one.add(*items(10, seed=k))
    assert "records" in one.problem
    (tmp_path / "records").unlink()
    one.close()
    assert [record["n"] for record in written(tmp_path / "records")] == [30]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    one = recorder.Recorder(golden(), tmp_path, items=10)
    one.add(*items(10))
    size = (tmp_path / recorder.FILE).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel takes twenty bytes more, as a disk that is full in the middle of a line.
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
    try:
        one.add(*items(10))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "full" in one.problem
    assert [record["n"] for record in written(tmp_path)] == [10]
    one.close()
    assert [record["n"] for record in written(tmp_path)] == [10, 10]


def test_half_a_line_of_an_app_that_was_killed_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / recorder.FILE).write_text('{"schema_version": 1, "n"')
    one = recorder.Recorder(golden(), tmp_path)
    one.add(*items(3))
    one.close()
    lines = (tmp_path / recorder.FILE).read_text().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[1])["n"] == 3


def test_what_is_no_number_or_of_another_size_is_counted_apart(tmp_path: Path) -> None:
    one = recorder.Recorder(golden(), tmp_path)
    inputs, outputs = items(4)
    outputs["scores"][1, 0] = np.nan
    one.add({"image": inputs["image"][:, :7]}, outputs)
    one.add({"image": "no picture"}, outputs)
    one.close()
    (record,) = written(tmp_path)
    assert (record["n"], record["unrecorded"]) == (4, 1)
    assert record["features"]["image[0].mean"]["nan"] == 4
    assert record["features"]["scores.confidence"]["nan"] == 1
    assert sum(record["classes"].values()) == 3
