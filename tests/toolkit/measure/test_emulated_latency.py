"""What an emulated device takes is marked, and satisfies no latency budget."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatfiles
import numpy as np
import pytest
from tflite_files import build, int8_dense

from edgekit import api
from edgekit.evaluation.protocol import Protocol
from edgekit.pipeline.measure import MeasureOptions
from edgekit.pipeline.measure.emulated import emulator_of, marked
from edgekit.project import Project
from edgekit.report import bench as bench_report
from edgekit.report import measurements
from edgekit.targets.devices import Workplace, open_device, parse
from edgekit.targets.devices.local import LocalDevice
from edgekit.types import Benched, BenchReport, Compared, Status

BRIEF = api.BenchOptions(
    protocol=Protocol(min_runs=10, min_seconds=0.02, max_seconds=0.1, launches=2, max_launches=2),
)


def become(monkeypatch: pytest.MonkeyPatch, emulated: object, **changes: object) -> None:
    """This host's facts say that it is emulated."""
    true = LocalDevice.facts

    def facts(self: LocalDevice) -> Mapping[str, Any]:
        return {**true(self), "emulated": emulated, **changes}

    monkeypatch.setattr(LocalDevice, "facts", facts)


def bench(model: Path, **options: Any) -> BenchReport:
    project = Project.model_validate({"model": {"source": model.name}})
    asked, run = replace(BRIEF, **options), api.Options(output=model.parent)
    return api.bench(project, [str(model)], asked, run)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> BenchReport:
    """A bench of this host as an emulated device, with a limit that any device would keep."""
    folder = tmp_path_factory.mktemp("emulated")
    (folder / "conv.tflite").write_bytes(flatfiles.convolutional())
    with pytest.MonkeyPatch.context() as patch:
        become(patch, "qemu-user")
        return bench(folder / "conv.tflite", max_latency=3600e9)


def test_times_of_an_emulated_device_are_estimates_that_name_the_emulator(
    done: BenchReport,
) -> None:
    (row,) = done.rows
    assert (row.status, row.emulated) == (Status.PASSED, "qemu-user")
    assert row.latency is not None
    assert row.phases is not None
    for found in (row.latency.p50, row.latency.max, row.phases.load, row.phases.first):
        assert found.how == "estimated"
        assert found.tool.startswith("emulated (qemu-user)")
        assert found.value
    assert row.memory is not None
    assert row.memory.peak_rss.how == "measured"
    assert done.calibration.reason == "every device is emulated"


def test_emulated_latency_is_marked_wherever_it_is_shown(done: BenchReport) -> None:
    said = [line for line, _ in bench_report.lines(done)]
    assert any(
        "emulated (qemu-user)" in line and "its times are estimates" in line for line in said
    )
    assert not any("detectable" in line for line in said)
    cells = bench_report._cells(done.rows[0])
    assert [cells[3][0][0], cells[-1][1]] == ["~", "emulated"]
    (line,) = csv.DictReader(io.StringIO(bench_report.to_csv(done)))
    assert line["emulated"] == "qemu-user"
    row = json.loads(json.dumps(bench_report.to_json(done)))["rows"][0]
    assert (row["emulated"], row["latency"]["p50"]["how"]) == ("qemu-user", "estimated")


def test_emulated_latency_satisfies_no_budget(done: BenchReport) -> None:
    (check,) = done.verdict.checks
    assert (check.status, done.verdict.exit_code) == (Status.UNAVAILABLE, 3)
    assert "local is emulated (qemu-user)" in check.message


@pytest.mark.parametrize(
    ("fact", "name"), [("qemu-user", "qemu-user"), (True, "as declared"), (False, ""), ("", "")]
)
def test_device_is_emulated_that_its_facts_say_or_its_user_declares(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fact: object, name: str
) -> None:
    become(monkeypatch, fact)
    assert (
        emulator_of(open_device(parse("local"), Workplace(tmp_path, tmp_path / "log.txt"))) == name
    )


def test_compared_latency_of_an_emulated_device_is_marked_and_satisfies_no_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, "qemu-user")
    done = compare(tmp_path)
    check = next(one for one in done.verdict.checks if one.name == "latency")
    assert (check.status, done.verdict.exit_code) == (Status.UNAVAILABLE, 3)
    assert "emulated (qemu-user)" in check.message
    assert {one.p50.how for one in done.latency.values()} == {"estimated"}
    (contrast,) = done.contrasts
    assert contrast.latency_ratio is not None
    assert contrast.latency_ratio.how == "estimated"
    said = "\n".join(one for one in measurements.compared(done) if isinstance(one, str))
    assert "emulated (qemu-user): its latency is an estimate" in said
    assert {one.emulated for one in done.models} == {"qemu-user"}


def test_answers_of_one_machine_are_never_taken_for_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    true = LocalDevice.run

    def run(self: LocalDevice, request: Mapping[str, Any]) -> Mapping[str, Any]:
        ran.append(request["mode"])
        return true(self, request)

    monkeypatch.setattr(LocalDevice, "run", run)
    for machine, times in (("", 1), ("", 1), ("aarch64", 2), ("aarch64", 2), ("armv7l", 3)):
        with monkeypatch.context() as patch:
            if machine:
                become(patch, "qemu-user", address="ssh://board", machine=machine)
            compare(tmp_path, latency=False)
        assert ran.count("evaluate") == times


def compare(folder: Path, latency: bool = True) -> Compared:
    path = folder / "dense.tflite"
    path.write_bytes(build(int8_dense()))
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=np.zeros(len(x), np.int64))
    data = {"evaluate": str(folder / "data.npz")}
    project = Project.model_validate({"model": {"source": path.name}, "data": data})
    asked = MeasureOptions(latency=latency, launches=6, max_slowdown=99.0)
    run = api.Options(output=folder)
    return api.compare(project, [str(path), str(path)], asked, run)


def test_row_of_a_device_that_is_none_is_as_it_was() -> None:
    row = Benched("m", "m.tflite", "local")
    assert marked(row) is row
