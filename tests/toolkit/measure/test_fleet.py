"""`edgekit bench` on many devices: one table, and none is lost by another's fault."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import shelf
from forking import heed_interrupts

from conftest import SURE_LAUNCHES, answer
from edgekit import api
from edgekit.errors import DeviceError, ModelError
from edgekit.evaluation.protocol import Protocol
from edgekit.pipeline.measure.bench_job import BenchJob, perform
from edgekit.project import Project
from edgekit.report import bench as bench_report
from edgekit.targets.devices import Device, DeviceBudgets, DevicePool, Listed
from edgekit.targets.runners.probe import probe_model
from edgekit.types import BenchReport, Status

BRIEF = api.BenchOptions(
    calibrate=False,
    protocol=Protocol(min_runs=40, min_seconds=0.1, max_seconds=0.4, launches=2, max_launches=2),
)
QUICK = ("--no-calibrate", "--min-seconds", "0.02", "--max-seconds", "0.1", *SURE_LAUNCHES)
BOOK = """
[devices.lab]
members = ["a", "flaky", "dead", "hangs", "local"]
[devices.a]
address = "shelf://a"
budgets = { latency_p50 = "1 ns", memory = "1 GB" }
[devices.flaky]
address = "shelf://flaky"
attempts = 2
budgets = { latency_p95 = "10 s" }
[devices.dead]
address = "shelf://dead"
attempts = 2
[devices.hangs]
address = "shelf://hangs"
time_limit = "1 s"
"""


@pytest.fixture(autouse=True)
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards on a shelf, and the user's own book of them."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shelf.install(tmp_path / "shelf", monkeypatch)
    (tmp_path / "config" / "edgekit").mkdir(parents=True)
    (tmp_path / "config" / "edgekit" / "devices.toml").write_text(BOOK)
    (tmp_path / "probe.tflite").write_bytes(probe_model())


def bench(folder: Path, *devices: str, executor: Executor | None = None) -> BenchReport:
    source = str(folder / "probe.tflite")
    project = Project.parse({"model": {"source": source}}, folder, None, "")
    return api.bench(project, [source], replace(BRIEF, devices=devices), executor=executor)


@pytest.mark.slow
def test_a_group_is_one_table_in_which_every_fault_is_a_row(tmp_path: Path) -> None:
    done = answer("bench", "probe.tflite", "--device", "lab", *QUICK, "--json", cwd=tmp_path)
    report = json.loads(done.stdout)
    rows = {row["device"]: row for row in report["rows"]}
    assert list(rows) == ["a", "flaky", "dead", "hangs", "local"]
    assert [row["status"] for row in rows.values()] == [
        "passed",
        "passed",
        "unavailable",
        "unavailable",
        "passed",
    ]
    assert rows["a"]["id"] == "probe.tflite on a"
    assert rows["a"]["address"] == "shelf://a"
    # The reason of an attempt that failed is kept, of one that was mended and of one that was not.
    assert rows["flaky"]["attempts"] == ["EK-DEVICE-040 flaky does not answer: plug it in"]
    assert rows["dead"]["attempts"] == [rows["dead"]["problem"]]
    assert "EK-DEVICE-088 hangs took longer than its time limit of 1 s" in rows["hangs"]["problem"]
    # Budgets are those of each device.
    checks = {(c["candidate"], c["name"]): c["status"] for c in report["verdict"]["checks"]}
    assert checks["probe.tflite on a", "latency_p50"] == "failed"
    assert checks["probe.tflite on a", "memory"] == "passed"
    assert checks["probe.tflite on flaky", "latency_p95"] == "passed"
    assert checks["probe.tflite on hangs", "runs"] == "unavailable"
    assert (done.returncode, report["verdict"]["exit_code"]) == (1, 1)
    # Every run's time lies in the folder of the one report.
    for row in rows.values():
        if row["latency"]:
            runs = np.load(tmp_path / ".edgekit/runs" / report["run"] / row["latency"]["path"])
            assert len(runs) == sum(row["latency"]["launches"])
    assert set(report["places"]) == {
        "local",
        "shelf://a",
        "shelf://flaky",
        "shelf://dead",
        "shelf://hangs",
    }
    assert "  a: latency: " in done.stderr
    assert "  dead: models: " in done.stderr
    assert "attempt 1 failed: EK-DEVICE-040 flaky does not answer" in done.stderr


def test_machines_are_measured_at_once(tmp_path: Path) -> None:
    done = bench(tmp_path, "shelf://pair-1", "shelf://pair-2")
    assert [row.status for row in done.rows] == [Status.PASSED] * 2
    assert [row.latency.path.name for row in done.rows if row.latency] == ["0.npy", "1.npy"]


@pytest.mark.slow
def test_devices_of_one_machine_share_its_place(tmp_path: Path) -> None:
    done = bench(tmp_path, "local", "local:reference")
    assert {row.place for row in done.rows} == {"local"}
    assert done.places["local"].devices == ("local", "local:reference")
    assert done.verdict.status is Status.NOT_EVALUATED


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("ssh://pi@board/a", "ssh://root@board#litert", True),
        ("ssh://pi@board", "ssh://pi@board:2222", False),
        ("ssh://me@localhost:2222", "local:tflite-runtime", True),
        ("emulator://arm64", "tflm", True),
        ("serial:///dev/ttyACM0", "serial:///dev/ttyACM1", False),
        ("adb://emulator-5554", "local", True),
        ("adb://4f2a", "adb://77b0", False),
    ],
)
def test_a_place_is_the_machine(one: str, other: str, alike: bool) -> None:
    assert (Listed("x", one).place == Listed("y", other).place) is alike


@pytest.mark.parametrize("after", ["core", "state"])
def test_a_device_that_dies_before_its_first_launch_is_a_row(
    tmp_path: Path, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise DeviceError("EK-DEVICE-040", "the cable was pulled")

    reach = DevicePool.open

    def dying(pool: DevicePool, name: str) -> Device:
        device = reach(pool, name)
        if name == "shelf://a":
            monkeypatch.setattr(device.reached, after, gone)
        return device

    monkeypatch.setattr(DevicePool, "open", dying)
    done = bench(tmp_path, "shelf://a", "local")
    assert [row.status for row in done.rows] == [Status.UNAVAILABLE, Status.PASSED]
    assert "the cable was pulled" in done.rows[0].problem


def test_a_dead_device_alone_is_an_error(tmp_path: Path) -> None:
    done = answer("bench", "probe.tflite", "--device", "shelf://dead", *QUICK, cwd=tmp_path)
    assert done.returncode == 3
    assert "EK-DEVICE-040" in done.stderr


def test_a_model_that_cannot_be_read_stops_all(tmp_path: Path) -> None:
    (tmp_path / "probe.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(60))
    with pytest.raises(ModelError):
        bench(tmp_path, "shelf://a", "shelf://hangs")


def test_one_dead_device_leaves_the_others_their_accuracy(tmp_path: Path) -> None:
    x = np.eye(4, dtype=np.float32)
    np.savez(tmp_path / "items.npz", x=x, y=np.arange(4))
    words = ("probe.tflite", "--data", "items.npz", "--metric", "accuracy", "--json")
    done = answer("evaluate", *words, "--device", "dead", "--device", "a", cwd=tmp_path)
    dead, there = json.loads(done.stdout)["models"]
    assert done.returncode == 3
    assert dead["status"] == "unavailable"
    assert (there["metric"]["value"], there["address"]) == (1.0, "shelf://a")


def job(folder: Path, *boards: str) -> BenchJob:
    devices = tuple(
        Listed(board, f"shelf://{board}", attempts=2, budgets=DeviceBudgets(memory=5))
        for board in boards
    )
    return BenchJob(
        "shelf",
        (str(folder / "probe.tflite"),),
        devices,
        replace(BRIEF, threads=(1, 2)),
        {"model": {"source": "probe.tflite"}},
        str(folder),
        str(folder / "out"),
        "one/0",
    )


@pytest.mark.slow
def test_a_job_is_data(tmp_path: Path) -> None:
    asked = job(tmp_path, "flaky", "dead")
    assert BenchJob.from_json(json.loads(json.dumps(asked.to_json()))) == asked
    found = perform(BenchJob.from_json(json.loads(json.dumps(asked.to_json()))))
    assert [(row.device, row.threads, row.status) for row in found.rows] == [
        ("flaky", 1, Status.PASSED),
        ("flaky", 2, Status.PASSED),
        ("dead", 1, Status.UNAVAILABLE),
    ]
    for row, runs in zip(found.rows, found.samples, strict=True):
        assert (runs is None) == (row.latency is None)
    assert found.facts["system"] == "Linux"


@pytest.mark.slow
def test_processes_carry_the_jobs(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2) as executor:
        done = bench(tmp_path, "shelf://pair-1", "shelf://pair-2", executor=executor)
    assert [row.status for row in done.rows] == [Status.PASSED] * 2
    for row in done.rows:
        assert row.latency is not None
        assert row.latency.path.parent.parent.name == done.run
        assert len(np.load(row.latency.path)) == sum(row.latency.launches)
    assert bench_report.to_json(done)


class Losing(Executor):
    """Carries no job, as an engine whose workers die."""

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Any:
        from concurrent.futures import Future

        future: Future[Any] = Future()
        (one,) = arguments
        if one.label == "shelf://a":
            future.set_result(function(one))
        else:
            future.set_exception(RuntimeError("the worker died"))
        return future


@pytest.mark.slow
def test_a_job_that_does_not_come_back_is_a_row(tmp_path: Path) -> None:
    done = bench(tmp_path, "shelf://a", "shelf://b", executor=Losing())
    good, lost = done.rows
    assert good.status is Status.PASSED
    assert lost.status is Status.UNAVAILABLE
    assert "EK-DEVICE-090" in lost.problem
    assert "the worker died" in lost.problem
    assert done.verdict.exit_code == 3


STARTED = """
import sys
from edgekit.targets.devices import transports
transports.__path__.append(sys.argv.pop(1))
from edgekit.cli import main
main()
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A bench of two boards that hang, in a process of its own."""
    (tmp_path / "config" / "edgekit" / "devices.toml").unlink()
    devices = ("--device", "shelf://hangs", "--device", "shelf://a", "--device", "local")
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            STARTED,
            str(tmp_path / "shelf"),
            "bench",
            "probe.tflite",
            *devices,
            *map(str, QUICK),
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
        env={**os.environ, "EDGEKIT_TEST_MARK": str(tmp_path)},
    )
    yield process
    process.kill()
    process.wait()


def test_ctrl_c_ends_all_of_them(started: subprocess.Popen[str], tmp_path: Path) -> None:
    end = time.monotonic() + 60
    while not (found := hanging(tmp_path)) and time.monotonic() < end and started.poll() is None:
        time.sleep(0.1)
    assert found, started.communicate() if started.poll() is not None else "it has not begun"
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=15)
    assert started.returncode == 130, said
    assert not hanging(tmp_path)


def hanging(folder: Path) -> list[int]:
    """The runners of the board that hangs."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if str(folder / "shelf" / "hanging.txt") in (process.info["cmdline"] or []):
            found.append(process.pid)
    return found
