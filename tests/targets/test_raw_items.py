"""Raw items that an app keeps where it is told to: bounded, exact, and at no cost of a count."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded_batches import golden, items

from edgekit.record.monitoring.golden import parse_golden
from edgekit.record.monitoring.raw_items import RawFile, read_item
from edgekit.targets.bundles import monitoring
from edgekit.targets.runners import raw_items, recorder


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return golden()


def recorded(
    folder: Path, told: dict[str, Any], count: int = 300, seed: int = 3, **bounds: int
) -> recorder.Recorder:
    """Record items, a hundred in each window, and keep some where bounds are given."""
    raw = raw_items.RawItems(told, folder, **bounds) if bounds else None
    one = recorder.Recorder(told, folder, items=100, device="test", raw=raw)
    inputs, outputs = items(count, seed)
    for at in range(0, count, 50):
        part = slice(at, at + 50)
        one.add({"image": inputs["image"][part]}, {"scores": outputs["scores"][part]}, [1000])
    one.close()
    return one


def read(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    head, *lines = map(json.loads, (folder / raw_items.FILE).read_text().splitlines())
    return head, lines


def counted(folder: Path) -> int:
    text = (folder / recorder.FILE).read_text()
    return sum(json.loads(line)["n"] for line in text.splitlines())


def test_without_the_switch_no_raw_value_is_in_any_file(
    told: dict[str, Any], tmp_path: Path
) -> None:
    recorded(tmp_path, told)
    assert [path.name for path in tmp_path.iterdir()] == [recorder.FILE]
    record = json.loads((tmp_path / recorder.FILE).read_text().splitlines()[0])
    assert "b64" not in json.dumps(record)
    # Counts, sums and extremes of features are all the numbers that there are.
    features = record["features"].values()
    assert {key for one in features for key in one} == {"counts", "n", "nan", "sum", "min", "max"}
    assert {len(one["counts"]) <= monitoring.BINS for one in features} == {True}


def test_with_it_exact_items_come_back_and_the_first_line_tells_the_bounds(
    told: dict[str, Any], tmp_path: Path
) -> None:
    recorded(tmp_path, told, items=20)
    head, lines = read(tmp_path)
    assert "personal data" in head["warning"]
    assert (head["seen"], head["kept"], head["most_items"]) == (300, 20, 20)
    assert (len(lines), head["most_bytes"], counted(tmp_path)) == (20, 16 << 20, 300)
    inputs, outputs = items(300, 3)
    file = RawFile("test", 20)
    for line in lines:
        item = read_item(line, file, parse_golden(told))
        assert item.inputs["image"].dtype == np.uint8
        np.testing.assert_array_equal(item.inputs["image"], inputs["image"][item.number])
        np.testing.assert_array_equal(item.outputs["scores"], outputs["scores"][item.number])


def test_every_item_has_the_same_chance_and_the_seed_decides() -> None:
    kept = np.zeros(400)
    for seed in range(2000):
        kept[np.argsort(raw_items.places(seed, 0, 400))[:20]] += 1
    # Each of 400 is kept in a twentieth of 2,000: the deviation of such a count is 9.7.
    assert abs(kept - 100).max() < 5 * 9.7
    assert (raw_items.places(1, 50, 9) == raw_items.places(1, 0, 99)[50:59]).all()
    assert len(set(raw_items.places(0, 0, 10**5).tolist())) == 10**5


def test_bytes_are_bounded_and_what_no_file_holds_is_counted(
    told: dict[str, Any], tmp_path: Path
) -> None:
    recorded(tmp_path / "small", told, items=100, most_bytes=8000)
    head, lines = read(tmp_path / "small")
    assert 0 < len(lines) < 20
    assert (tmp_path / "small" / raw_items.FILE).stat().st_size <= 8000
    recorded(tmp_path / "none", told, items=100, most_bytes=4200)
    head, lines = read(tmp_path / "none")
    assert (head["too_large"], lines) == (300, [])


def test_a_start_goes_on_with_the_sample_and_one_of_another_bundle_is_moved_aside(
    told: dict[str, Any], tmp_path: Path
) -> None:
    for folder, counts in (("parts", (150, 150)), ("whole", (300,))):
        for k, count in enumerate(counts):
            one = raw_items.RawItems(told, tmp_path / folder, items=20)
            inputs, outputs = (
                {name: value[150 * k :][:count] for name, value in side.items()}
                for side in items(300, 3)
            )
            one.add(inputs, outputs)
            one.write("test")
    (_, parts), (_, whole) = read(tmp_path / "parts"), read(tmp_path / "whole")
    assert parts == whole
    other = golden(seed=2)
    for damage in (lambda text: text, lambda text: text[: len(text) // 2]):
        path = tmp_path / "parts" / raw_items.FILE
        path.write_text(damage(path.read_text()))
        recorded(tmp_path / "parts", other, items=20)
        assert read(tmp_path / "parts")[0]["seen"] == 300
        assert (tmp_path / "parts" / raw_items.OLDER).exists()
        other = told


def test_who_takes_the_file_away_begins_a_new_sample(told: dict[str, Any], tmp_path: Path) -> None:
    one = raw_items.RawItems(told, tmp_path, items=20)
    one.add(*items(100, 1))
    one.write("test")
    (tmp_path / raw_items.FILE).unlink()
    one.write("test")
    one.add(*items(30, 2))
    one.write("test")
    assert read(tmp_path)[0]["seen"] == 30


def test_a_full_disk_costs_no_count_and_leaves_the_sample_of_before_whole(
    told: dict[str, Any], tmp_path: Path
) -> None:
    one = recorded(tmp_path, told, items=50)
    size = (tmp_path / recorder.FILE).stat().st_size
    before = (tmp_path / raw_items.FILE).read_bytes()
    assert len(before) > 2 * size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The counts find room, and the sample not: no file may be larger.
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * size, hard))
    try:
        one.add(*items(100, 9))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "items.jsonl" in one.problem
    assert counted(tmp_path) == 400
    assert (tmp_path / raw_items.FILE).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [raw_items.FILE, recorder.FILE]
    one.add(*items(100, 10))
    assert (one.problem, read(tmp_path)[0]["seen"], counted(tmp_path)) == ("", 500, 500)


def test_what_is_left_of_a_kill_in_the_middle_of_writing_costs_nothing(
    told: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / ".items.jsonl.part").write_text('{"schema_version":1,"kind":"raw it')
    recorded(tmp_path, told, items=20)
    assert (read(tmp_path)[0]["kept"], counted(tmp_path)) == (20, 300)
    assert not (tmp_path / ".items.jsonl.part").exists()


def test_what_cannot_be_kept_is_counted_all_the_same(
    told: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise MemoryError("no room for it")

    monkeypatch.setattr(raw_items, "item_line", fails)
    recorded(tmp_path, told, items=20)
    assert counted(tmp_path) == 300
