"""The platform's own benchmark_model: its output read, and its runs on a phone through adb.

The program on the phone is a script that prints what the tool prints: no binary was at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from adb_daemon import AdbDaemon, adb_server, attached, needs_adb
from benching import probe_bundle
from benchmark_outputs import ALIKE, ANCIENT, NEW, OLD, REFUSED, USUAL

from edgekit import api
from edgekit.contracts.runner import typed
from edgekit.errors import DeviceError, RunnerError
from edgekit.evaluation.protocol import Protocol
from edgekit.process import Limits
from edgekit.project import Project
from edgekit.report import bench as bench_report
from edgekit.targets.devices import Device, Workplace, open_device, parse
from edgekit.targets.devices.remote import benchmark_output
from edgekit.targets.devices.remote.benchmark_model import VARIABLE, _arguments
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Benched, BenchReport, Measurement, Request, Status, Verdict

REQUEST: Mapping[str, Any] = {
    "schema": 1,
    "mode": "bench",
    "models": [],
    "threads": 2,
    "stop": {"runs": 10, "seconds": 0.4},
    "warmup": {"runs": 3, "seconds": 0.1},
}


@pytest.mark.parametrize(
    ("text", "phases", "steady", "peak"),
    [
        (ANCIENT, (4452, 146161, 146161), (50, 137722, 137079, 143416, 896, None), None),
        (OLD, (1892, 91810, 86184.3), (50, 115062, 88216, 129193, 7678, None), 4.25),
        (USUAL, (17187, 3512391, 3512391), (50, 2950340, 2727568, 3189954, 109798, None), 46.0859),
        (NEW, (119515, 87112, 58147.4), (1000, 63743.2, 49088, 686105, 60716, 51891), 55.4961),
        (
            NEW.replace("\n", "\r\n"),
            (119515, 87112, 58147.4),
            (1000, 63743.2, 49088, 686105, 60716, 51891),
            55.4961,
        ),
        (ALIKE, (310, 9, 9), (50, 7, 7, 7, 0, 7), None),
    ],
    ids=["TensorFlow 1.13", "TensorFlow 2.1", "TensorFlow 2.15", "LiteRT", "CRLF", "all alike"],
)
def test_output_of_every_form_is_read(
    text: str, phases: tuple[float, ...], steady: tuple[float, ...], peak: float | None
) -> None:
    found = benchmark_output.read(text)
    told = (found.load, found.first, found.warmup.mean)
    assert told == pytest.approx([1000 * value for value in phases])
    one = found.steady
    assert one.count == steady[0]
    sums = (one.mean, one.min, one.max, one.std)
    assert sums == pytest.approx([1000 * value for value in steady[1:5]])
    assert one.median == (None if steady[5] is None else 1000 * steady[5])
    assert found.peak == (None if peak is None else pytest.approx(peak * 2**20))


@pytest.mark.parametrize(
    "text", ["", REFUSED, USUAL.partition("Inference timings")[0], "count=0\n"]
)
def test_output_without_figures_is_refused(text: str) -> None:
    with pytest.raises(benchmark_output.NotPrinted):
        benchmark_output.read(text)


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AdbDaemon]:
    monkeypatch.delenv(VARIABLE, raising=False)
    with adb_server(tmp_path / "adb"), attached(tmp_path) as phone:
        yield phone


def program(folder: Path, does: str) -> Path:
    """A program in the place of the tool; what it is asked lies beside it."""
    path = folder / "benchmark_model"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked.txt\n{does}\n')
    path.chmod(0o755)
    return path


def printing(folder: Path, text: str, status: int = 0) -> Path:
    (folder / "printed.txt").write_text(text)
    return program(folder, f"cat {folder}/printed.txt; exit {status}")


def opened(phone: AdbDaemon, tmp_path: Path, limits: Limits = Limits()) -> Device:  # noqa: B008
    name = f"adb://{phone.serial}{tmp_path}/on the phone#benchmark_model"
    return open_device(
        parse(name), Workplace(tmp_path / "work", tmp_path / "log", limits or Limits())
    )


def asking(tmp_path: Path, **more: Any) -> Request:
    model = tmp_path / "model.tflite"
    model.write_bytes(probe_model())
    return typed({**REQUEST, "models": [{"id": "probe", "path": str(model)}], **more})


def test_tool_is_told_which_of_several_signatures_runs() -> None:
    for more in ({}, {"signature": "infer"}):
        flags = _arguments("tool", "model.tflite", typed({**REQUEST, **more}))
        assert ("--signature_to_run_for=infer" in flags) == bool(more)


@needs_adb
def test_tool_of_the_host_is_brought_to_the_phone_and_asked(
    phone: AdbDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(printing(tmp_path, NEW)))
    device = opened(phone, tmp_path)
    answer = device.run(asking(tmp_path, delegate="none"))
    found = answer["models"]["probe"]
    assert (found["load_ns"], found["steady"]["median"]) == (119515e3, 51891e3)
    assert len(device.version) == 8
    flags = (tmp_path / "asked.txt").read_text().split(" --")
    assert {"num_threads=2", "num_runs=10", "min_secs=0.4", "warmup_runs=3"} <= set(flags)
    assert "use_xnnpack=false\n" in flags
    graph = (tmp_path / "asked.txt").read_text().split("--num_threads")[0]
    assert Path(graph.removeprefix("--graph=").strip()).read_bytes() == probe_model()
    assert "/on the phone/files/" in graph


@needs_adb
def test_tool_that_lies_in_the_folder_is_found(phone: AdbDaemon, tmp_path: Path) -> None:
    folder = tmp_path / "on the phone"
    folder.mkdir()
    (folder / "benchmark_model").symlink_to(printing(tmp_path, USUAL))
    device = opened(phone, tmp_path)
    assert device.facts()["benchmark_model"] == f"{folder}/benchmark_model"
    assert device.run(asking(tmp_path))["models"]["probe"]["steady"]["count"] == 50


@needs_adb
def test_tool_that_is_nowhere_is_told_with_where_to_put_it(
    phone: AdbDaemon, tmp_path: Path
) -> None:
    with pytest.raises(DeviceError) as caught:
        opened(phone, tmp_path)
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-002", 3)
    assert VARIABLE in caught.value.hint


@needs_adb
@pytest.mark.parametrize(
    ("does", "code", "word"),
    [
        (f"cat <<'E'\n{REFUSED}E\nexit 1", "EK-RUNNER-002", "Benchmarking failed"),
        ("echo nothing of use", "EK-RUNNER-002", "nothing of use"),
        ("kill -SEGV $$", "EK-RUNNER-001", "SIGSEGV"),
        ("sleep 30", "EK-RUNNER-003", "[limits]"),
    ],
    ids=["refused", "other words", "crash", "hang"],
)
def test_tool_that_fails_is_an_error_of_the_runner(
    phone: AdbDaemon, tmp_path: Path, does: str, code: str, word: str
) -> None:
    (tmp_path / "on the phone").mkdir()
    (tmp_path / "on the phone/benchmark_model").symlink_to(program(tmp_path, does))
    with pytest.raises(RunnerError) as caught:
        opened(phone, tmp_path, Limits(seconds=1)).run(asking(tmp_path))
    assert caught.value.code == code
    assert word in str(caught.value)
    assert "probe" in caught.value.message


@needs_adb
def test_tool_of_another_machine_is_told(phone: AdbDaemon, tmp_path: Path) -> None:
    tool = tmp_path / "on the phone" / "benchmark_model"
    tool.parent.mkdir()
    tool.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(60))
    tool.chmod(0o755)
    with pytest.raises(DeviceError) as caught:
        opened(phone, tmp_path).run(asking(tmp_path))
    assert caught.value.code == "EK-DEVICE-002"
    assert "built for this machine" in caught.value.hint


@needs_adb
@pytest.mark.parametrize("more", [{"mode": "evaluate"}, {"mode": "selftest"}, {"batch": 4}])
def test_what_the_tool_cannot_do_is_told(
    phone: AdbDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: Mapping[str, Any]
) -> None:
    monkeypatch.setenv(VARIABLE, str(printing(tmp_path, NEW)))
    device = opened(phone, tmp_path)
    with pytest.raises(DeviceError) as caught:
        device.run(asking(tmp_path, **more))
    assert caught.value.code == "EK-DEVICE-074"
    with pytest.raises(DeviceError):
        device.open(asking(tmp_path))


def row_of(
    phone: AdbDaemon, tmp_path: Path, text: str, source: str = "model.tflite", **more: Any
) -> tuple[Benched, int]:
    (tmp_path / "on the phone").mkdir()
    (tmp_path / "on the phone/benchmark_model").symlink_to(printing(tmp_path, text))
    (tmp_path / "model.tflite").write_bytes(probe_model())
    asked = api.BenchOptions(
        devices=(f"adb://{phone.serial}{tmp_path}/on the phone#benchmark_model",),
        protocol=Protocol(launches=2),
        calibrate=False,
        **more,
    )
    project = Project.parse({"model": {"source": source}}, tmp_path, None, "")
    done = api.bench(project, [source], asked)
    (row,) = done.rows
    return row, done.verdict.exit_code


@needs_adb
def test_bundle_is_timed_though_the_tool_cannot_self_test_it(
    phone: AdbDaemon, tmp_path: Path
) -> None:
    (tmp_path / "model.tflite").write_bytes(probe_model())
    bundle = probe_bundle(tmp_path / "model.tflite", "linux-aarch64").name
    row, status = row_of(phone, tmp_path, USUAL, bundle)
    assert (row.status, status, row.selftest) == (Status.PASSED, 0, None)
    assert row.latency is not None
    assert row.conditions is not None
    assert any("self-test is unavailable" in note for note in row.conditions.notes)


@needs_adb
def test_bench_shows_what_the_tool_tells_and_nothing_else(phone: AdbDaemon, tmp_path: Path) -> None:
    row, status = row_of(phone, tmp_path, USUAL)
    assert (row.status, status, row.inputs) == (Status.PASSED, 0, "synthetic")
    found = row.latency
    assert found is not None
    assert row.phases is not None
    assert row.memory is not None
    assert (found.mean.value, found.min.value, found.max.value) == (2950340e3, 2727568e3, 3189954e3)
    assert found.std.value == pytest.approx(109798e3)
    assert found.launches == (50, 50)
    assert row.phases.load.value == 17187e3
    assert row.memory.peak_rss.value == pytest.approx(46.0859 * 2**20)
    for absent in (found.p50, found.p90, found.p99, found.mad, found.p5, found.p95):
        assert absent.value is None
        assert "prints" in absent.reason
    assert found.path.read_text().count("STARTING!") == 2


@needs_adb
def test_table_of_a_tool_without_a_median_has_its_sums_below(
    phone: AdbDaemon, tmp_path: Path
) -> None:
    row, _ = row_of(phone, tmp_path, USUAL)
    unasked = Measurement.unavailable("1", "it was not asked for")
    done = BenchReport("", {}, {}, unasked, (row,), Verdict(row.status, 0))
    (line,) = [text for text, _ in bench_report.lines(done) if "no median" in text]
    assert "min 2.73 s, max 3.19 s, std 110 ms" in line
    assert ",2950.34,2727.568,3189.954,," in bench_report.to_csv(done)


@needs_adb
def test_bench_has_the_median_where_the_tool_prints_it(phone: AdbDaemon, tmp_path: Path) -> None:
    row, status = row_of(phone, tmp_path, NEW, max_latency=100e6)
    assert row.latency is not None
    middle = row.latency.p50
    assert (middle.value, middle.low, middle.high) == (51891e3, 51891e3, 51891e3)
    assert "benchmark_model" in middle.tool
    assert status == 0


@needs_adb
def test_budget_of_a_median_that_the_tool_does_not_print_is_unavailable(
    phone: AdbDaemon, tmp_path: Path
) -> None:
    assert row_of(phone, tmp_path, USUAL, max_latency=100e9)[1] == 3


@needs_adb
def test_phone_that_would_spoil_a_figure_is_a_note_of_its_row(
    phone: AdbDaemon, tmp_path: Path
) -> None:
    phone.install("getprop", "#!/bin/sh\necho '[ro.product.model]: [Planted]'\n")
    phone.install("dumpsys", "#!/bin/sh\necho '  mWakefulness=Asleep'\n")
    row, _ = row_of(phone, tmp_path, USUAL)
    assert row.facts["model"] == "Planted"
    assert row.conditions is not None
    assert any("screen is off" in note for note in row.conditions.notes)
