"""`edgekit bench` on real runtimes: rows, phases, files, inputs, and what is not there."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatfiles
import numpy as np
import pytest
from benching import probe_bundle
from tflite_files import G, N, T, build, int8_dense

from conftest import edgekit, once
from edgekit import api, statistics
from edgekit.errors import BundleError, DataError, DeviceError, ProjectError
from edgekit.evaluation import profile
from edgekit.evaluation.protocol import Protocol
from edgekit.pipeline.measure import bench_inputs
from edgekit.project import Project
from edgekit.report import bench as bench_report
from edgekit.report.bench import to_json
from edgekit.store import Store
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import RUNNERS
from edgekit.targets.runners.probe import probe_model
from edgekit.types import (
    BenchReport,
    ExpectedOutput,
    Preprocess,
    SavedModel,
    SelfTest,
    Status,
    TensorSpec,
)

QUICK = ("--no-calibrate", "--min-seconds", "0.05", "--max-seconds", "0.2", "--launches", "2")
BRIEF = api.BenchOptions(
    calibrate=False,
    protocol=Protocol(min_runs=10, min_seconds=0.02, max_seconds=0.1, launches=2, max_launches=2),
)


@pytest.fixture(scope="module")
def done(shared: Path) -> Path:
    """The folder of one `edgekit bench` of two models, with all it can tell. Read only."""

    def make(folder: Path) -> None:
        (folder / "conv.tflite").write_bytes(flatfiles.convolutional())
        (folder / "dense.tflite").write_bytes(build(int8_dense()))
        done = edgekit(
            "bench",
            "conv.tflite",
            "dense.tflite",
            *QUICK,
            "--profile",
            "--sustain",
            "1.2 s",
            "--max-latency",
            "10 s",
            "--csv",
            "rows.csv",
            "--json",
            "-v",
            cwd=folder,
        )
        (folder / "stdout.json").write_text(done.stdout)
        (folder / "stderr.txt").write_text(done.stderr)
        assert done.returncode == 0, done.stderr

    return once(shared / "bench", make)


@pytest.fixture(scope="module")
def report(done: Path) -> dict[str, Any]:
    return dict(json.loads((done / "stdout.json").read_text()))


def test_the_report_is_kept_in_the_runs_folder(done: Path, report: dict[str, Any]) -> None:
    (kept,) = (done / ".edgekit" / "runs").glob("*/bench.json")
    assert json.loads(kept.read_text()) == report
    assert report["run"] == kept.parent.name


def test_a_row_has_every_phase_and_its_runs_in_a_file(done: Path, report: dict[str, Any]) -> None:
    for row in report["rows"]:
        phases, latency = row["phases"], row["latency"]
        for name in ("load", "first", "warmup"):
            assert phases[name]["value"] > 0
            assert phases[name]["unit"] == "ns"
        runs = np.load(done / ".edgekit" / "runs" / report["run"] / latency["path"])
        assert len(runs) == sum(latency["launches"]) >= 50
        assert len(latency["launches"]) >= 2
        assert latency["min"]["value"] == runs.min()
        assert latency["p50"]["low"] <= latency["p50"]["value"] <= latency["p50"]["high"]
        # Of a model of nanoseconds the clock's own step can hide all noise.
        assert latency["power"]["value"] >= 0
        assert latency["mad"]["value"] == np.median(np.abs(runs - np.median(runs)))


def test_drawn_inputs_are_marked(done: Path, report: dict[str, Any]) -> None:
    assert {row["inputs"] for row in report["rows"]} == {"synthetic"}
    told = (done / "stderr.txt").read_text()
    assert told.count("synthetic") == 3
    assert "give real ones with --data" in told


def test_the_platforms_field_names_hold_the_same_figures(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        tool = row["platform"]["benchmark_litert_model"]["latency"]
        assert tool["init_ms"] == round(row["phases"]["load"]["value"] / 1e6, 6)
        assert tool["median_ms"] == round(row["latency"]["p50"]["value"] / 1e6, 6)
        assert tool["num_runs"] == sum(row["latency"]["launches"])
        old = row["platform"]["benchmark_model"]
        assert old["Inference (avg)"] == round(row["latency"]["mean"]["value"] / 1e3, 6)


def test_the_field_names_are_the_tools_own(report: dict[str, Any]) -> None:
    from importlib.util import find_spec

    package = find_spec("ai_edge_litert")
    assert package is not None
    assert package.submodule_search_locations
    (folder,) = package.submodule_search_locations
    source = Path(folder, "tools", "benchmark_litert_model.py").read_text()
    tool = report["rows"][0]["platform"]["benchmark_litert_model"]
    for name in (*tool, *tool["latency"]):
        assert f"'{name}':" in source, name


def test_the_csv_has_a_line_per_row(done: Path, report: dict[str, Any]) -> None:
    lines = list(csv.DictReader((done / "rows.csv").open()))
    assert [Path(line["model"]).name for line in lines] == ["conv.tflite", "dense.tflite"]
    for line, row in zip(lines, report["rows"], strict=True):
        tool = row["platform"]["benchmark_litert_model"]["latency"]
        assert float(line["median_ms"]) == tool["median_ms"]
        assert int(line["peak_rss_bytes"]) == row["memory"]["peak_rss"]["value"]


def test_memory_is_planned_seen_and_held(report: dict[str, Any]) -> None:
    memory = report["rows"][0]["memory"]
    assert memory["planned"]["value"] == 448
    assert memory["planned"]["how"] == "estimated"
    assert memory["activations"]["value"] >= memory["planned"]["value"]
    assert memory["peak_rss"]["value"] > 0
    assert memory["arena"]["how"] == "unavailable"


def test_operators_are_timed_in_the_order_they_run(report: dict[str, Any]) -> None:
    found = report["rows"][0]["profile"]
    if found["total"]["how"] == "unavailable":
        # A fast machine runs each operator of this model within the clock's step.
        assert "a microsecond" in found["total"]["reason"]
        return
    operators = found["operators"]
    assert [one["node"] for one in operators] == sorted(one["node"] for one in operators)
    assert any("Convolution" in one["name"] for one in operators)
    assert all(one["delegate"] for one in operators)
    assert sum(one["share"] for one in operators) == pytest.approx(1.0)


def test_operators_within_the_clocks_step_are_not_said_to_take_no_time() -> None:
    event = {"name": "CONV_2D", "node": 0, "delegate": False}
    fast = profile.read({"events": [{**event, "us": [0] * 50}], "invoke_us": [1] * 50})
    assert fast.total.how == "unavailable"
    assert fast.operators == ()
    slow = profile.read({"events": [{**event, "us": [3] * 50}], "invoke_us": [4] * 50})
    assert [one.share for one in slow.operators] == [1.0]


def test_a_row_has_the_facts_of_its_own_device(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        assert row["facts"]["kernel"] == report["device"]["kernel"]
        assert row["facts"]["cpus"] > 0
        told = row["conditions"]["temperature"]["value"] is not None
        for end in ("temperature_before_c", "temperature_after_c"):
            assert (end in row["facts"]) is told


def test_a_sustained_run_keeps_its_seconds(report: dict[str, Any]) -> None:
    sustained = report["rows"][0]["sustained"]
    assert len(sustained["seconds"]) == 2
    assert sustained["slowdown"]["value"] > 0


def bench(folder: Path, source: object, **changes: Any) -> BenchReport:
    project = Project.parse({"model": {"source": str(source)}}, folder, None, "")
    return api.bench(project, [str(source)], replace(BRIEF, **changes))


# Two launches of a model of a microsecond bound nothing where the second is half as fast.
SURE = Protocol(min_runs=10, min_seconds=0.02, max_seconds=0.5, launches=8, max_launches=8)


@pytest.mark.slow
def test_a_limit_that_is_broken_is_exit_code_1(done: Path, tmp_path: Path) -> None:
    found = bench(tmp_path, done / "conv.tflite", max_latency=1.0, protocol=SURE)
    assert found.verdict.exit_code == 1


@pytest.mark.slow
def test_an_earlier_run_is_the_baseline(done: Path, tmp_path: Path) -> None:
    first = bench(tmp_path, done / "conv.tflite", protocol=SURE)
    kept = tmp_path / ".edgekit" / "runs" / first.run / "bench.json"
    # A hundred times as slow is never noise, nor is it ever so.
    found = bench(tmp_path, done / "conv.tflite", baseline=kept, max_slowdown=99.0, protocol=SURE)
    (check,) = found.verdict.checks
    assert (check.name, check.status) == ("slowdown", Status.PASSED)


def test_a_slowdown_without_a_baseline_is_a_mistake(done: Path, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="EK-PROJECT-060"):
        bench(tmp_path, done / "conv.tflite", max_slowdown=0.1)


def test_a_device_that_is_no_name_is_a_mistake(done: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="EK-DEVICE-012"):
        bench(tmp_path, done / "conv.tflite", devices=("local", "nowhere"))


def test_a_runtime_that_cannot_run_the_model_is_a_row(done: Path, tmp_path: Path) -> None:
    found = bench(tmp_path, done / "conv.tflite", devices=("local", "local:tensorflow"))
    good, bad = found.rows
    assert good.latency is not None
    assert bad.status is Status.INCOMPATIBLE
    assert "EK-DEVICE-014" in bad.problem
    assert found.verdict.exit_code == 5
    # It is the same verdict where that device is the only one.
    with pytest.raises(DeviceError, match="EK-DEVICE-014") as caught:
        bench(tmp_path, done / "conv.tflite", devices=("local:tensorflow",))
    assert caught.value.exit_code == 5


def test_a_batch_is_timed_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    (row,) = bench(tmp_path, tmp_path / "probe.tflite", batch=8, threads=(1,)).rows
    assert row.latency is not None
    assert row.batch == 8
    assert row.memory is not None
    assert row.memory.peak_rss.how == "unavailable"


@pytest.mark.slow
def test_the_host_is_calibrated_before_it_compares(done: Path, tmp_path: Path) -> None:
    found = bench(tmp_path, done / "dense.tflite", calibrate=True)
    assert found.calibration.how == "measured"
    assert found.calibration.value is not None
    # Nanoseconds of whole microseconds may agree to the last one in all launches: 0 is a figure.
    assert found.calibration.value >= 0
    assert found.calibration.n is not None
    assert found.calibration.n >= statistics.least_independent()


def test_tflm_has_the_smallest_arena_in_its_row(done: Path, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro")
    found = bench(tmp_path, done / "conv.tflite", devices=("tflm",))
    (row,) = found.rows
    assert row.status is Status.PASSED
    assert row.memory is not None
    arena, recorded = row.memory.arena, row.memory.recorded
    assert arena.value is not None
    assert recorded is not None
    assert recorded.value is not None
    assert arena.value >= recorded.value > 0
    assert row.memory.estimated_32bit is not None
    assert row.memory.estimated_32bit.how == "estimated"
    # It is the result: to be quiet leaves it, to the byte, and drops the notes.
    ((quiet, _),) = bench_report.lines(found, quiet=True)
    assert f"smallest arena {arena.value:,.0f} B; recorded {recorded.value:,.0f} B" in quiet
    assert f"on 32 bits {row.memory.estimated_32bit.value:,.0f} B (estimated)" in quiet
    assert len(list(bench_report.lines(found))) > 1


@pytest.mark.slow
def test_each_number_of_threads_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    rows = bench(tmp_path, tmp_path / "probe.tflite", threads=(1, 2)).rows
    assert [row.threads for row in rows] == [1, 2]
    assert [row.id for row in rows] == ["probe.tflite, 1 thread", "probe.tflite, 2 threads"]


@pytest.mark.slow
def test_the_accuracy_of_mlperf_tiny_is_of_the_given_items(tmp_path: Path) -> None:
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    x = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0, 1]]
    np.savez(tmp_path / "items.npz", x=x, y=np.array([0, 1, 2, 3, 3, 3]))
    source = str(tmp_path / "probe.tflite")
    table = {"model": {"source": source}, "data": {"evaluate": str(tmp_path / "items.npz")}}
    project = Project.parse(table, tmp_path, None, "")
    asked = replace(BRIEF, mlperf_tiny=True, window=0.02)
    (row,) = api.bench(project, [source], asked).rows
    assert row.inputs == "data"
    assert row.mlperf_tiny is not None
    assert row.mlperf_tiny.accuracy.value == pytest.approx(4 / 6)
    assert len(row.mlperf_tiny.windows) == 5


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle around the probe with three golden items."""
    model = tmp_path / "probe.tflite"
    model.write_bytes(probe_model())
    return probe_bundle(model, "linux-x86_64")


def test_as_many_threads_as_processors_are_those_of_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = LocalDevice.facts
    monkeypatch.setattr(LocalDevice, "facts", lambda self: {**told(self), "cpus": 3})
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    (row,) = bench(tmp_path, tmp_path / "probe.tflite", threads=(0,)).rows
    assert row.threads == 3


def test_a_bundle_brings_its_model_inputs_and_scaling(bundle: Path, tmp_path: Path) -> None:
    (row,) = bench(tmp_path, bundle).rows
    assert row.inputs == "bundle"
    assert row.latency is not None
    assert row.id == "probe.tar.gz"
    assert row.selftest == SelfTest(True, 3, {"y": 0.0}, {"y": pytest.approx(1e-6)})
    unpacked = bench_inputs.unpack(bundle, Store(tmp_path / "store"))
    assert np.load(unpacked.inputs["x"])[2].tolist() == [8, 9, 10, 11]
    assert unpacked.preprocess == Preprocess(0.5, 1.0)
    assert np.load(unpacked.index).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("wrong", "said"), [(0.25, "off by 0.25"), (np.nan, "NaN")])
def test_a_bundle_whose_self_test_fails_on_the_device_is_not_timed(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: float, said: str
) -> None:
    unpack = bench_inputs.unpack

    def planted(path: Path, store: Store) -> bench_inputs.Unpacked:
        found = unpack(path, store)
        np.save(tmp_path / "wrong.npy", np.load(found.golden["y"].path) + np.float32(wrong))
        golden = {"y": ExpectedOutput(tmp_path / "wrong.npy", 1e-6)}
        return replace(found, golden=golden)

    monkeypatch.setattr(bench_inputs, "unpack", planted)
    done = bench(tmp_path, bundle)
    (row,) = done.rows
    assert (row.status, row.latency, done.verdict.exit_code) == (Status.FAILED, None, 1)
    assert "output 'y'" in row.problem
    assert said in row.problem
    json.dumps(to_json(done), allow_nan=False)


def test_a_damaged_bundle_is_not_timed(bundle: Path, tmp_path: Path) -> None:
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    with pytest.raises(BundleError):
        bench(tmp_path, bundle)


SPECS = {
    "int8": (T("x", [1, 4], "INT8", scale=[0.5], zero=[-1]), "float32", (-63.5, 64.0)),
    "image": (T("x", [1, 2, 2, 3]), "float32", (0.0, 1.0)),
    "float": (T("x", [1, 4]), "float32", (-6.0, 6.0)),
    "bytes": (T("x", [1, 4], "UINT8"), "uint8", (0, 255)),
    "tokens": (T("x", [1, 4], "INT32"), "int32", (0, 1)),
}


@pytest.mark.parametrize("kind", SPECS)
def test_items_are_drawn_in_the_range_of_the_input(kind: str, tmp_path: Path) -> None:
    tensor, dtype, (low, high) = SPECS[kind]
    graph = G([tensor, replace(tensor, name="y")], [N("RESHAPE", ["x"], ["y"])], ["x"], ["y"])
    path = tmp_path / "model.tflite"
    path.write_bytes(build(graph))
    spec = TensorSpec("x", tuple(tensor.shape), dtype)
    model = SavedModel(path, "", 0, (spec,), (), False, 0, "litert")
    drawn = bench_inputs.drawn(model)["x"]
    assert drawn.dtype == dtype
    assert drawn.shape == (bench_inputs.DRAWN, *tensor.shape[1:])
    assert low <= drawn.min() < drawn.max() <= high
    if kind != "float":
        assert drawn.max() - drawn.min() > 0.9 * (high - low)


def test_an_input_of_any_size_asks_for_items(tmp_path: Path) -> None:
    spec = TensorSpec("x", (None, None, 3), "float32")
    model = SavedModel(tmp_path, "", 0, (spec,), (), True, 0)
    with pytest.raises(DataError, match="EK-DATA-060"):
        bench_inputs.drawn(model)


@pytest.mark.parametrize("delegate", ["xnnpack", "none"])
def test_the_profiler_names_the_operators_of_whoever_runs_them(
    done: Path, tmp_path: Path, delegate: str
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8, 3), np.float32))
    answer = ran(
        tmp_path,
        {
            "mode": "profile",
            "runtime": "litert",
            "runs": 3,
            "delegate": delegate,
            "models": [{"id": "m", "path": str(done / "conv.tflite")}],
            "inputs": {"image": str(tmp_path / "x.npy")},
        },
    )
    names = [event["name"] for event in answer["models"]["m"]["events"]]
    if delegate == "none":
        assert names == ["CONV_2D", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED"]
    else:
        assert names[0].startswith("Convolution")
    assert all(len(event["us"]) == 3 for event in answer["models"]["m"]["events"])


@pytest.mark.parametrize("mode", ["profile", "memory"])
def test_other_runtimes_say_why_there_is_none(done: Path, tmp_path: Path, mode: str) -> None:
    answer = ran(
        tmp_path,
        {
            "mode": mode,
            "runtime": "tflite-runtime",
            "inputs": {},
            "models": [{"id": "m", "path": str(done / "conv.tflite")}],
        },
    )
    assert "tflite-runtime" in answer["error"]["message"]


def ran(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The result of one request to the Python runner."""
    asked, answered = folder / "request.json", folder / "result.json"
    asked.write_text(json.dumps({"schema": 1, **request}))
    command = [sys.executable, str(RUNNERS["litert"].file), str(asked), str(answered)]
    subprocess.run(command, capture_output=True, check=False)
    return dict(json.loads(answered.read_text()))
