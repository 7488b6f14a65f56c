"""What is deployed, watched: planted drift of each kind is seen, and no record does harm."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from recorded_batches import golden, items, latencies, recorded

from edgekit import api
from edgekit.cli.main import group
from edgekit.data.source import from_file
from edgekit.errors import RecordError
from edgekit.report import monitoring as report
from edgekit.report.html.monitoring import page
from edgekit.store import Store
from edgekit.targets.runners import raw_items, recorder
from edgekit.types import Status
from edgekit.types.monitored import Monitored, MonitorLimits

COUNT = 3000


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return golden()


@pytest.fixture(scope="module")
def bundle(told: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked folder of a bundle, of which nothing else is read."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "monitoring.json").write_text(json.dumps(told))
    return folder


def plain_batch(folder: Path, told: dict[str, Any], seed: int = 7, count: int = COUNT) -> Path:
    return recorded(folder, told, *items(count, seed), latencies(count, seed))


def status_of(found: Monitored, name: str) -> Status:
    return next(row.status for row in found.rows if row.name == name)


def red(found: Monitored) -> set[str]:
    return {row.kind for row in found.rows if row.status is Status.FAILED}


def test_what_did_not_change_passes(bundle: Path, told: dict[str, Any], tmp_path: Path) -> None:
    path = plain_batch(tmp_path / "now", told)
    before = plain_batch(tmp_path / "before", told, seed=8)
    for baseline in ((), (before,)):
        found = api.monitor(bundle, [path], baseline)
        assert (found.status, found.exit_code, found.items) == (Status.PASSED, 0, COUNT)
    # Against golden items nothing is said of latency: they were not timed in an app.
    assert status_of(api.monitor(bundle, [path]), "latency p50") is Status.NOT_EVALUATED
    assert status_of(found, "latency p99") is Status.PASSED


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("brighter", {"input"}),
        ("blurred", {"input"}),
        ("class balance", {"classes", "output"}),
        ("less sure", {"confidence", "output"}),
        ("slower", {"latency"}),
        ("slower at times", {"latency"}),
        ("errors", {"errors"}),
        ("not finite", {"uncounted"}),
    ],
)
def test_planted_drift_of_each_kind_is_red_and_no_other_is(
    bundle: Path, told: dict[str, Any], tmp_path: Path, fault: str, kinds: set[str]
) -> None:
    shares = (0.6, 0.2, 0.2) if fault == "class balance" else (1.0, 1.0, 1.0)
    inputs, outputs = items(COUNT, 9, shares)
    times, errors = latencies(COUNT, 9), 0
    if fault == "brighter":
        inputs["image"] = np.minimum(inputs["image"].astype(int) + 20, 255).astype(np.uint8)
    if fault == "blurred":
        smooth = inputs["image"].astype(float)
        smooth[:, :, 1:] = (smooth[:, :, 1:] + smooth[:, :, :-1]) / 2
        inputs["image"] = smooth.astype(np.uint8)
    if fault == "less sure":
        outputs["scores"] = (outputs["scores"] + 0.15) / 1.45
    if fault == "slower":
        times = latencies(COUNT, 9, 1.5)
    if fault == "slower at times":
        times = [one * 5 if k % 20 == 0 else one for k, one in enumerate(times)]
    if fault == "errors":
        errors = COUNT // 20
    if fault == "not finite":
        outputs["scores"][:100] = np.nan
    path = recorded(tmp_path / "now", told, inputs, outputs, times, errors)
    before = plain_batch(tmp_path / "before", told, seed=8)
    found = api.monitor(bundle, [path], [before])
    assert found.exit_code == 1
    assert red(found) <= kinds
    assert red(found) & kinds


def test_too_few_items_are_inconclusive_and_the_number_that_settles_it_is_said(
    bundle: Path, told: dict[str, Any], tmp_path: Path
) -> None:
    found = api.monitor(bundle, [plain_batch(tmp_path, told, count=60)])
    assert (found.status, found.exit_code) == (Status.INCONCLUSIVE, 4)
    lines = [line for line, _ in report.lines(found)]
    assert any("too few items: about" in line for line in lines)


def test_no_item_at_all_is_unavailable(bundle: Path, told: dict[str, Any], tmp_path: Path) -> None:
    path = recorded(tmp_path, told, *items(0), [], errors=5)
    found = api.monitor(bundle, [path])
    assert (found.status, found.exit_code, found.items) == (Status.FAILED, 1, 0)
    (tmp_path / "empty.jsonl").touch()
    assert api.monitor(bundle, [tmp_path / "empty.jsonl"]).exit_code == 3


def test_a_shift_that_is_small_is_no_alarm_however_many_items_there_are(
    bundle: Path, told: dict[str, Any], tmp_path: Path
) -> None:
    path = plain_batch(tmp_path, told)
    # A thousand times as many items, a little more of each in the first bin.
    record = json.loads(path.read_text().splitlines()[0])
    for one in record["features"].values():
        one["counts"] = [count * 1000 for count in one["counts"]]
        shifted = sum(one["counts"]) // 50
        one["counts"] = [one["counts"][0] + shifted, *one["counts"][1:-1], one["counts"][-1]]
        one["n"] = sum(one["counts"])
    record["n"] = 10**6
    record["classes"] = {name: 1000 * count for name, count in record["classes"].items()}
    path.write_text(json.dumps(record) + "\n")
    assert not red(api.monitor(bundle, [path]))
    found = api.monitor(bundle, [path], limits=MonitorLimits(drift=1e-5))
    assert "input" in red(found)


def kept_batch(folder: Path, told: dict[str, Any]) -> tuple[Any, Any]:
    """Record items of which two stand out, and keep all of them; return what was recorded."""
    inputs, outputs = items(200, 9)
    inputs["image"][7] = 255
    outputs["scores"][11] = (0.34, 0.33, 0.33)
    one = recorder.Recorder(told, folder, raw=raw_items.RawItems(told, folder, items=200))
    one.add(inputs, outputs)
    one.close()
    return inputs, outputs


def test_raw_items_that_stand_out_are_written_as_data_that_lint_data_reads(
    bundle: Path, told: dict[str, Any], tmp_path: Path
) -> None:
    inputs, _ = kept_batch(tmp_path / "now", told)
    words = ["monitor", str(bundle), str(tmp_path / "now"), "--items", str(tmp_path / "look")]
    done = CliRunner().invoke(group, words)
    assert "200 raw items, of 200 that were met" in done.output
    assert "100 raw items are in" in done.output
    index = json.loads((tmp_path / "look" / "items.json").read_text())
    assert [one["item"] for one in index[:2]] == [7, 11]
    assert index[0]["distance"] > 1 > index[1]["confidence"]
    look = np.load(tmp_path / "look" / "image.npy")
    np.testing.assert_array_equal(look, inputs["image"][[one["item"] for one in index]])
    data, _ = from_file(tmp_path / "look", Store(tmp_path / "store"))
    assert list(data.arrays) == ["image"]
    again = CliRunner().invoke(group, words)
    assert isinstance(again.exception, RecordError)
    assert again.exception.code == "EK-RECORD-025"


def test_records_without_raw_items_say_which_option_keeps_some(
    bundle: Path, told: dict[str, Any], tmp_path: Path
) -> None:
    path = plain_batch(tmp_path / "now", told, count=60)
    with pytest.raises(RecordError, match="no raw items") as raised:
        api.monitor(bundle, [path], items=tmp_path / "look")
    assert "--raw-items" in str(raised.value)
    assert not (tmp_path / "look").exists()


@pytest.mark.hostile
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"shape": [1 << 40]}, "larger than any item"),
        ({"shape": [8, 6, 4]}, "not as many as its shape says"),
        ({"shape": [-1]}, "is not a count"),
        ({"dtype": "object"}, "no numbers"),
        ({"b64": "%%%"}, "not base64"),
        ({"name": "other"}, "no input 'other'"),
        ({"head": False}, "no first line"),
    ],
)
def test_a_raw_item_that_is_damaged_is_named_and_counts_for_nothing(
    bundle: Path, told: dict[str, Any], tmp_path: Path, fault: dict[str, Any], said: str
) -> None:
    kept_batch(tmp_path, told)
    path = tmp_path / raw_items.FILE
    head, first, *rest = path.read_text().splitlines(keepends=True)
    line = json.loads(first)
    image = line["input"].pop("image")
    fields = {key: value for key, value in fault.items() if key in image}
    line["input"][fault.get("name", "image")] = {**image, **fields}
    beginning = [head] if fault.get("head", True) else []
    path.write_text("".join([*beginning, json.dumps(line) + "\n", *rest[:2]]))
    found = api.monitor(bundle, [tmp_path])
    assert said in found.refused[0].reason
    assert {one.kind for one in found.refused} == {"raw item"}
    assert found.raw_items == (2 if beginning else 0)
    assert status_of(found, "records") is Status.PASSED


def test_raw_items_of_another_bundle_are_told_apart(
    bundle: Path, told: dict[str, Any], tmp_path: Path
) -> None:
    kept_batch(tmp_path / "other", golden(seed=5))
    kept_batch(tmp_path / "own", told)
    both = [tmp_path / "other", tmp_path / "own"]
    found = api.monitor(bundle, both)
    assert (found.raw_items, set(found.refused_kinds)) == (200, {"foreign"})


@pytest.mark.parametrize(
    ("stated", "device", "status", "said"),
    [
        # The batch has two milliseconds; what is proven is that the model takes no longer.
        (2.0e6, "test bench", Status.PASSED, "within x1.2 of the 2 ms"),
        (0.5e6, "test bench", Status.NOT_EVALUATED, "which the app's own work may be"),
        (2.0e6, "another board", Status.NOT_EVALUATED, "not a reference"),
        (None, "", Status.NOT_EVALUATED, "states no such figure"),
    ],
)
def test_stated_latency_is_a_reference_on_the_same_kind_of_device_alone(
    told: dict[str, Any],
    tmp_path: Path,
    stated: float | None,
    device: str,
    status: Status,
    said: str,
) -> None:
    own = {**told, "device": device, "latency_p50": {"value": stated, "unit": "ns"}}
    (tmp_path / "monitoring.json").write_text(json.dumps(own if stated else told))
    monitored = api.monitor(tmp_path, [plain_batch(tmp_path / "now", told, count=1500)])
    row = next(row for row in monitored.rows if row.name == "latency p50")
    assert (row.status, said in row.message) == (status, True), row.message
    if status is not Status.PASSED:
        assert "--baseline RECORDS" in row.message
    assert status_of(monitored, "latency p99") is Status.NOT_EVALUATED


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


def changed(line: str, **facts: object) -> str:
    return json.dumps({**json.loads(line), **facts}) + "\n"


def with_counts(line: str, counts: object) -> str:
    record = json.loads(line)
    record["features"]["image[0].mean"]["counts"] = counts
    return json.dumps(record) + "\n"


@pytest.mark.hostile
@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (lambda line: line[: len(line) // 2], "cut short", "stopped while it wrote"),
        (lambda _: "{}\n", "damaged", "schema_version"),
        (lambda _: "\x00\xff nonsense\n", "damaged", ""),
        (lambda _: "[" * 100_000 + "\n", "damaged", "nested"),
        (lambda line: changed(line, n=float("nan")), "damaged", "NaN"),
        (lambda line: changed(line, n=-1), "damaged", "is not a count"),
        (lambda line: changed(line, n=10**30), "damaged", "too large"),
        (lambda line: changed(line, n=1 << 50), "damaged", "is not a count"),
        (lambda line: changed(line, n=True), "damaged", "is not a count"),
        (lambda line: changed(line, errors="many"), "damaged", "is not a count"),
        (lambda line: changed(line, device="\x1b[2J"), "damaged", "printable"),
        (lambda line: changed(line, features={"image": {}}), "damaged", "no feature"),
        (lambda line: changed(line, classes={"-1": 3}), "damaged", "no number"),
        (lambda line: changed(line, classes={"0": 10**6}), "damaged", "classes are of more"),
        (lambda line: changed(line, latency={"buckets": {"9999": 1}}), "damaged", "no number"),
        (lambda line: changed(line, latency=None), "damaged", ""),
        (lambda line: with_counts(line, [-5] * 10), "damaged", "is not a count"),
        (lambda line: with_counts(line, [1] * 4), "damaged", "bins"),
        (lambda line: with_counts(line, [500] * 10), "damaged", "counted of more"),
        (lambda line: with_counts(line, "many"), "damaged", "no counts"),
        (lambda line: changed(line, golden="f" * 64, version="2"), "foreign", "another bundle"),
        (lambda line: line, "repeated", "was there before"),
    ],
)
def test_a_line_that_cannot_be_counted_is_named_and_the_others_count(
    bundle: Path, told: dict[str, Any], tmp_path: Path, fault: Any, kind: str, said: str
) -> None:
    path = plain_batch(tmp_path, told)
    lines = lines_of(path)
    path.write_text("".join([*lines, fault(lines[0])]), encoding="utf-8")
    found = api.monitor(bundle, [path])
    (refused,) = found.refused
    assert (refused.kind, refused.line) == (kind, len(lines) + 1)
    assert said in refused.reason
    assert found.items == COUNT
    assert found.exit_code == (4 if kind == "damaged" else 0)
    assert f"{path}:{refused.line}" in "".join(line for line, _ in report.lines(found))


@pytest.mark.hostile
@pytest.mark.parametrize(
    "fault",
    [
        {"edges": [2.0, 1.0]},
        {"items": -1},
        {"digest": "other"},
        {"schema_version": 2},
        {"classes": {"output": "scores"}},
    ],
)
def test_golden_statistics_that_are_damaged_are_refused(
    told: dict[str, Any], tmp_path: Path, fault: dict[str, Any]
) -> None:
    if "edges" in fault:
        fault = {"features": [{**told["features"][0], **fault}, *told["features"][1:]]}
    path = tmp_path / "monitoring.json"
    path.write_text(json.dumps({**told, **fault}))
    with pytest.raises(RecordError, match="damaged") as raised:
        api.monitor(path, ["-"])
    assert raised.value.code == "EK-RECORD-021"


def test_a_bundle_of_an_older_edgekit_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(RecordError, match="no golden statistics") as raised:
        api.monitor(tmp_path, ["-"])
    assert "older edgekit" in (raised.value.hint or "")


def test_records_are_files_folders_patterns_and_standard_input(
    bundle: Path, told: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plain_batch(tmp_path / "records", told)
    for sources in ([path], [path.parent], [tmp_path / "rec*" / "*.jsonl"], [path, path.parent]):
        assert api.monitor(bundle, sources).items == COUNT
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert api.monitor(bundle, ["-"]).items == COUNT
    for missing in ("none.jsonl", "none*.jsonl", str(bundle)):
        with pytest.raises(RecordError) as raised:
            api.monitor(bundle, [missing])
        assert raised.value.code == "EK-RECORD-022"


def test_the_command_writes_every_form_and_its_exit_code_is_the_verdict(
    bundle: Path, told: dict[str, Any], tmp_path: Path
) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    inputs, outputs = items(COUNT, 9)
    inputs["image"] //= 2
    path = recorded(tmp_path / "now", told, inputs, outputs, latencies(COUNT))
    names = {form: tmp_path / f"out.{form}" for form in ("markdown", "prometheus", "html")}
    flags = [part for form, file in names.items() for part in (f"--{form}", str(file))]
    command = ["monitor", str(bundle), str(path)]
    done = CliRunner().invoke(group, [*command, *flags], standalone_mode=False)
    assert done.return_value == 1
    assert "comparisons failed: image[0].mean" in done.output
    assert "| image\\[0\\].mean |" in names["markdown"].read_text()
    samples = {
        (sample.name, sample.labels.get("name")): sample.value
        for family in text_string_to_metric_families(names["prometheus"].read_text())
        for sample in family.samples
    }
    assert samples["edgekit_monitor_status", None] == 3
    assert samples["edgekit_monitor_check_status", "image[0].mean"] == 3
    assert samples["edgekit_monitor_check_status", "class balance"] == 0
    assert "<svg" in names["html"].read_text()
    done = CliRunner().invoke(group, [*command, "--json"], standalone_mode=False)
    document = json.loads(done.stdout)
    assert (document["status"], document["exit_code"]) == ("failed", 1)
    assert len(document["rows"]) == len(told["features"]) + 6


def test_a_slowdown_is_against_a_baseline(
    bundle: Path, told: dict[str, Any], tmp_path: Path
) -> None:
    path = plain_batch(tmp_path, told)
    command = ["monitor", str(bundle), str(path), "--max-slowdown", "10%"]
    done = CliRunner().invoke(group, command)
    assert done.exit_code == 2
    assert "--baseline" in done.output


@pytest.mark.hostile
def test_the_page_escapes_names_of_another_hand(told: dict[str, Any], tmp_path: Path) -> None:
    named = {**told, "name": "<script>alert(1)</script>", "version": "|`\n"}
    (tmp_path / "monitoring.json").write_text(json.dumps(named))
    path = plain_batch(tmp_path / "now", named)
    found = api.monitor(tmp_path, [path])
    assert "<script>alert" not in page(found)
    assert "<script>" not in report.markdown(found)
