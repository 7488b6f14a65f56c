"""A bench's budgets are three-valued, and never compare machines."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import ProjectError
from edgekit.evaluation.latency import power, summarized
from edgekit.evaluation.protocol import Launch
from edgekit.pipeline.estimates import marked
from edgekit.pipeline.measure import bench_budgets
from edgekit.report.measurements import plain
from edgekit.types import Benched, Measurement, SelfTest, Status

HOST = {"system": "Linux", "machine": "x86_64", "cpu": "one", "cpus": 4}
QUIET = Measurement(0.001, "1")
NOISY = Measurement(0.2, "1")
EMULATED = "emulated (qemu-user)"
UNCALIBRATED = Measurement.unavailable("1", "it was not asked for")


def launches(level: float) -> list[Launch]:
    """Launches about a median, in nanoseconds, known to about 1 %."""
    rng = np.random.default_rng(0)
    return [
        Launch(
            10,
            10,
            0,
            0,
            np.ones(10),
            True,
            tuple(level * (1 + 0.002 * rng.standard_normal(20)) for _ in range(8)),
            "1",
        )
        for _ in range(5)
    ]


NO_TIME = (
    '{"rows": [{"source": "m", "device": "local", "threads": 1, "batch": 1, "delegate": "",'
    ' "latency": {"p50": {"value": "fast", "unit": "ns"}}}]}'
)


@pytest.fixture
def row(tmp_path: Path) -> Benched:
    latency = summarized(launches(1e6), "precision", path=tmp_path / "0.npy")
    return Benched("m", "/models/m.tflite", "local", latency=latency)


@pytest.fixture
def baseline(tmp_path: Path, row: Benched) -> Path:
    return written(tmp_path / "bench.json", row)


def written(path: Path, row: Benched, **changes: Any) -> Path:
    document = {
        "device": HOST,
        "calibration": dataclasses.asdict(QUIET),
        "rows": [plain(dataclasses.asdict(row))],
        **changes,
    }
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("limit", "noise", "status"),
    [
        (1.1e6, QUIET, Status.PASSED),
        (0.9e6, QUIET, Status.FAILED),
        (1.1e6, NOISY, Status.INCONCLUSIVE),
        (0.9e6, NOISY, Status.INCONCLUSIVE),
        (1.3e6, NOISY, Status.PASSED),
        (0.7e6, NOISY, Status.FAILED),
        (1.1e6, UNCALIBRATED, Status.PASSED),
        (1.0e6, QUIET, Status.INCONCLUSIVE),
    ],
)
def test_a_latency_limit_is_judged_by_the_interval_and_the_noise(
    row: Benched, limit: float, noise: Measurement, status: Status
) -> None:
    verdict = bench_budgets.judge([row], HOST, noise, limit, None, None)
    assert verdict.status is status
    assert verdict.exit_code == {"passed": 0, "failed": 1, "inconclusive": 4}[status.value]


def test_what_no_limit_judged_is_not_evaluated_but_for_a_self_test(row: Benched) -> None:
    verdict = bench_budgets.judge([row], HOST, QUIET, None, None, None)
    assert (verdict.status, verdict.exit_code, verdict.checks) == (Status.NOT_EVALUATED, 0, ())
    tested = dataclasses.replace(row, selftest=SelfTest(True, 3, {"y": 0.25}, {"y": 0.5}))
    verdict = bench_budgets.judge([tested], HOST, QUIET, None, None, None)
    (check,) = verdict.checks
    assert (verdict.status, check.name) == (Status.PASSED, "self-test")
    assert check.message == "3 golden items, largest difference 0.25"


@pytest.mark.parametrize(
    ("level", "noise", "status"),
    [
        (1.0e6, QUIET, Status.PASSED),
        (1.2e6, QUIET, Status.FAILED),
        (1.05e6, QUIET, Status.INCONCLUSIVE),
        (1.2e6, NOISY, Status.INCONCLUSIVE),
        (0.5e6, NOISY, Status.PASSED),
    ],
)
def test_a_slowdown_is_judged_against_the_baseline(
    tmp_path: Path, baseline: Path, level: float, noise: Measurement, status: Status
) -> None:
    latency = summarized(launches(level), "precision", path=tmp_path / "1.npy")
    now = Benched("m", "/elsewhere/m.tflite", "local", latency=latency)
    assert bench_budgets.judge([now], HOST, noise, None, 0.05, baseline).status is status


@pytest.mark.parametrize("limit", [0.5e6, 2e6])
def test_a_latency_limit_is_unavailable_where_times_are_estimates(
    row: Benched, limit: float
) -> None:
    estimated = marked(dataclasses.replace(row, estimates=EMULATED))
    verdict = bench_budgets.judge([estimated], HOST, QUIET, limit, None, None)
    assert (verdict.status, verdict.exit_code) == (Status.UNAVAILABLE, 3)
    assert (
        f"the times of local are estimates, which satisfy no budget: {EMULATED}"
        in verdict.checks[0].message
    )


@pytest.mark.parametrize(("before", "now"), [(EMULATED, ""), ("", EMULATED)])
def test_a_slowdown_is_unavailable_where_either_time_is_an_estimate(
    tmp_path: Path, row: Benched, before: str, now: str
) -> None:
    kept = written(tmp_path / "b.json", marked(dataclasses.replace(row, estimates=before)))
    estimated = marked(dataclasses.replace(row, estimates=now))
    verdict = bench_budgets.judge([estimated], HOST, QUIET, None, 99.0, kept)
    assert (verdict.status, verdict.exit_code) == (Status.UNAVAILABLE, 3)
    assert "emulated (qemu-user)" in verdict.checks[0].message


def test_noise_of_the_baseline_counts_too(tmp_path: Path, row: Benched) -> None:
    noisy = written(tmp_path / "b.json", row, calibration=dataclasses.asdict(NOISY))
    found = bench_budgets.judge([row], HOST, QUIET, None, 0.05, noisy)
    assert found.status is Status.INCONCLUSIVE


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"device": {**HOST, "cpu": "another"}}, "another machine: cpu another, here one"),
        ({"rows": []}, "no such row"),
    ],
)
def test_what_cannot_be_compared_is_inconclusive(
    tmp_path: Path, row: Benched, changes: dict[str, Any], why: str
) -> None:
    found = bench_budgets.judge(
        [row], HOST, QUIET, None, 0.05, written(tmp_path / "b.json", row, **changes)
    )
    assert found.status is Status.INCONCLUSIVE
    assert why in found.checks[0].message


@pytest.mark.parametrize("other", [True, False])
def test_a_row_of_a_device_is_compared_by_the_devices_own_facts(
    tmp_path: Path, row: Benched, other: bool
) -> None:
    board = {"system": "Linux", "cpu": "a board's"}
    before = dataclasses.replace(row, facts={**board, "cpu": "another"} if other else board)
    path = written(tmp_path / "b.json", before, device={**HOST, "cpu": "another host"})
    now = dataclasses.replace(row, facts=board)
    found = bench_budgets.judge([now], HOST, QUIET, None, 0.05, path)
    assert found.status is (Status.INCONCLUSIVE if other else Status.PASSED)


@pytest.mark.parametrize("threads", [1, 2])
def test_only_a_row_of_the_same_settings_is_the_baseline(
    row: Benched, baseline: Path, threads: int
) -> None:
    now = dataclasses.replace(row, threads=threads)
    found = bench_budgets.judge([now], HOST, QUIET, None, 0.05, baseline)
    assert found.status is (Status.PASSED if threads == 1 else Status.INCONCLUSIVE)


def test_the_same_model_is_told_by_its_file_then_by_its_folders(
    tmp_path: Path, row: Benched
) -> None:
    """The planted fault: every candidate's file is called model.tflite."""

    def at(source: str, factor: float = 1.0, sha256: str = "") -> Benched:
        latency = summarized(launches(1e6 * factor), "precision", path=tmp_path / "0.npy")
        return dataclasses.replace(row, source=source, sha256=sha256, latency=latency)

    def judged(now: Benched, *earlier: Benched) -> Status:
        rows = [plain(dataclasses.asdict(one)) for one in earlier]
        path = written(tmp_path / "b.json", row, rows=rows)
        return bench_budgets.judge([now], HOST, QUIET, None, 0.05, path).status

    fast, slow = "old/int8/model.tflite", "old/float32/model.tflite"
    assert judged(at("new/int8/model.tflite", 2), at(fast), at(slow, 2)) is Status.FAILED
    assert judged(at("new/float32/model.tflite", 2), at(fast), at(slow, 2)) is Status.PASSED
    # The same bytes are the same model, whatever they are called.
    assert judged(at("x.tflite", 2, "aa"), at(fast, 1, "bb"), at(slow, 2, "aa")) is Status.PASSED
    assert judged(at("another.tflite"), at(fast), at(slow)) is Status.INCONCLUSIVE
    with pytest.raises(ProjectError, match=r"EK-REPORT-005.*old/int8.*old/float32"):
        judged(at("model.tflite"), at(fast), at(slow))


NO_BASELINES = ["", "[]", '{"rows": [{}]}', '{"rows": 3}', NO_TIME, '{"rows": NaN}']


@pytest.mark.parametrize("content", NO_BASELINES)
def test_a_baseline_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(ProjectError, match="EK-REPORT-002"):
        bench_budgets.read(path)


def test_an_absent_row_counts_by_its_status() -> None:
    rows = [
        Benched("a", "a", "x", status=Status.UNAVAILABLE, problem="not there"),
        Benched("b", "b", "x", status=Status.INCOMPATIBLE, problem="refused"),
    ]
    assert bench_budgets.judge(rows[:1], HOST, QUIET, None, None, None).exit_code == 3
    assert bench_budgets.judge(rows, HOST, QUIET, None, None, None).exit_code == 5


def test_power_is_the_textbook_formula() -> None:
    middle = Measurement(100.0, "ns", low=98.04, high=101.96, level=0.95)
    # SE = 1.96 / 1.96 = 1 %: (1.960 + 0.842) * sqrt(2) of it.
    assert power(middle).value == pytest.approx(0.0396, abs=2e-4)


def test_every_run_is_kept_in_order(tmp_path: Path) -> None:
    found = launches(2e6)
    latency = summarized(found, "precision", path=tmp_path / "runs" / "0.npy")
    kept = np.load(tmp_path / "runs" / "0.npy")
    assert kept.dtype == np.uint32
    assert latency.launches == (160,) * 5
    assert np.array_equal(kept, np.concatenate([one.runs for one in found]).astype(np.uint32))
    assert latency.p50.low <= latency.p50.value <= latency.p50.high  # type: ignore[operator]
    order = [latency.min, latency.p5, latency.p50, latency.p90, latency.p95, latency.p99]
    values = [one.value for one in [*order, latency.max]]
    assert values == sorted(values)  # type: ignore[type-var]


def test_runs_longer_than_four_seconds_take_wider_integers(tmp_path: Path) -> None:
    summarized(launches(5e9), "", path=tmp_path / "0.npy")
    assert np.load(tmp_path / "0.npy").dtype == np.uint64
