"""Times that are estimates, as on an emulated device: marked, and no budget passes on them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatfiles
import numpy as np
import pytest
from tflite_files import build, int8_dense

from edgekit import api, plugins
from edgekit.evaluation.protocol import Protocol
from edgekit.pipeline.estimates import marked
from edgekit.pipeline.measure import MeasureOptions
from edgekit.project import Project
from edgekit.report import bench as bench_report
from edgekit.report import measurements
from edgekit.targets.devices.local import LocalDevice
from edgekit.types import Benched, BenchReport, Compared, Request, RunnerResult, Status

BRIEF = api.BenchOptions(
    protocol=Protocol(min_runs=10, min_seconds=0.02, max_seconds=0.1, launches=2, max_launches=2),
)


EMULATED = "emulated (qemu-user)"


def become(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """This host's facts say that it is emulated."""
    true = LocalDevice.facts

    def facts(self: LocalDevice) -> Mapping[str, Any]:
        return {**true(self), "estimates": EMULATED, **changes}

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
        become(patch)
        return bench(folder / "conv.tflite", max_latency=3600e9)


def test_times_of_an_emulated_device_are_estimates_that_name_the_emulator(
    done: BenchReport,
) -> None:
    (row,) = done.rows
    assert (row.status, row.estimates) == (Status.PASSED, EMULATED)
    assert row.latency is not None
    assert row.phases is not None
    for found in (row.latency.p50, row.latency.max, row.phases.load, row.phases.first):
        assert found.how == "estimated"
        assert found.tool.startswith(EMULATED)
        assert found.value
    assert row.memory is not None
    assert row.memory.peak_rss.how == "measured"
    assert done.calibration.reason == "the times of every device are estimates"


def test_emulated_latency_is_marked_wherever_it_is_shown(done: BenchReport) -> None:
    said = [line for line, _ in bench_report.lines(done)]
    assert any(
        f"its times are estimates, and satisfy no budget: {EMULATED}" in line for line in said
    )
    assert not any("detectable" in line for line in said)
    cells = bench_report._cells(done.rows[0])
    assert [cells[3][0][0], cells[-1][1]] == ["~", "estimates"]
    (line,) = csv.DictReader(io.StringIO(bench_report.to_csv(done)))
    assert line["estimates"] == EMULATED
    row = json.loads(json.dumps(bench_report.to_json(done)))["rows"][0]
    assert (row["estimates"], row["latency"]["p50"]["how"]) == (EMULATED, "estimated")


def test_emulated_latency_satisfies_no_budget(done: BenchReport) -> None:
    (check,) = done.verdict.checks
    assert (check.status, done.verdict.exit_code) == (Status.UNAVAILABLE, 3)
    assert f"the times of local are estimates, which satisfy no budget: {EMULATED}" in check.message


KIT = """from edgekit.targets.devices import AddressScheme, Device
from edgekit.targets.devices.local import LocalDevice


class Simulator(LocalDevice):
    def facts(self):
        return {**super().facts(), "estimates": "a simulator that counts cycles"}


def open_simulator(name, place):
    reached = Simulator(place.folder, place.log, place.limits)
    return Device(name.text, "litert", "1.0", reached, "cycles", name.address)


CYCLES = AddressScheme("cycles://CHIP", lambda _: None, ("litert",), open_simulator)
"""


@pytest.fixture
def cycles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A transport of another package, which says that its times are estimates; its address."""
    site = tmp_path / "site"
    (site / "cycles_kit-1.0.dist-info").mkdir(parents=True)
    (site / "cycles_kit.py").write_text(KIT)
    about = {
        "METADATA": "Metadata-Version: 2.1\nName: cycles-kit\nVersion: 1.0\n",
        "entry_points.txt": "[edgekit.transports]\ncycles = cycles_kit:CYCLES\n",
    }
    for name, text in about.items():
        (site / "cycles_kit-1.0.dist-info" / name).write_text(text)
    monkeypatch.syspath_prepend(site)
    plugins.installed.cache_clear()
    yield "cycles://chip"
    plugins.installed.cache_clear()


def test_times_of_another_packages_transport_are_the_estimates_that_it_says(
    tmp_path: Path, cycles: str
) -> None:
    (tmp_path / "conv.tflite").write_bytes(flatfiles.convolutional())
    benched = bench(tmp_path / "conv.tflite", devices=(cycles,), max_latency=3600e9)
    (row,) = benched.rows
    assert row.latency is not None
    assert row.latency.p50.how == "estimated"
    assert row.latency.p50.tool.startswith("a simulator that counts cycles")
    assert benched.verdict.exit_code == 3


def test_target_does_not_pass_its_latency_budget_on_estimates(tmp_path: Path, cycles: str) -> None:
    path = written(tmp_path)
    budgets = {"accuracy": {"threshold": 0.0}, "latency_p50": "60 s"}
    project = Project.model_validate(
        {
            "model": {"source": str(path)},
            "convert": {"as_is": True},
            "data": {"evaluate": str(tmp_path / "data.npz")},
            "targets": {
                "raspberry-pi-4": {"device": cycles, "any_device": True, "budgets": budgets}
            },
        }
    )
    report = api.convert(project, api.Options(output=tmp_path))
    (target,) = report.targets
    (on_device,) = target.on_device
    assert on_device.latency is not None
    assert on_device.latency.p50.how == "estimated"
    (check,) = [one for one in target.checks if one.name == "latency_p50"]
    assert check.status is Status.UNAVAILABLE
    assert "estimates: a simulator that counts cycles" in check.message


@pytest.mark.slow
def test_compared_latency_of_an_emulated_device_is_marked_and_satisfies_no_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch)
    done = compare(tmp_path)
    check = next(one for one in done.verdict.checks if one.name == "latency")
    assert (check.status, done.verdict.exit_code) == (Status.UNAVAILABLE, 3)
    assert EMULATED in check.message
    assert {one.p50.how for one in done.latency.values()} == {"estimated"}
    (contrast,) = done.contrasts
    assert contrast.latency_ratio is not None
    assert contrast.latency_ratio.how == "estimated"
    said = "\n".join(one for one in measurements.compared(done) if isinstance(one, str))
    assert f"its latency is an estimate, and satisfies no budget: {EMULATED}" in said
    assert {one.estimates for one in done.models} == {EMULATED}


def test_answers_of_one_machine_are_never_taken_for_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    true = LocalDevice.run

    def run(self: LocalDevice, request: Request) -> RunnerResult:
        ran.append(request.mode)
        return true(self, request)

    monkeypatch.setattr(LocalDevice, "run", run)
    for machine, times in (("", 1), ("", 1), ("aarch64", 2), ("aarch64", 2), ("armv7l", 3)):
        with monkeypatch.context() as patch:
            if machine:
                become(patch, address="ssh://board", machine=machine)
            compare(tmp_path, latency=False)
        assert ran.count("evaluate") == times


def written(folder: Path) -> Path:
    """A model, beside the items that it is judged by."""
    path = folder / "dense.tflite"
    path.write_bytes(build(int8_dense()))
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=np.zeros(len(x), np.int64))
    return path


def compare(folder: Path, latency: bool = True) -> Compared:
    path = written(folder)
    data = {"evaluate": str(folder / "data.npz")}
    project = Project.model_validate({"model": {"source": path.name}, "data": data})
    asked = MeasureOptions(latency=latency, launches=6, max_slowdown=99.0)
    run = api.Options(output=folder)
    return api.compare(project, [str(path), str(path)], asked, run)


def test_row_of_a_device_that_is_none_is_as_it_was() -> None:
    row = Benched("m", "m.tflite", "local")
    assert marked(row) is row
