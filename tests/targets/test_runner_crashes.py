"""Planted crashes of a runner: the error says what happened, and nothing is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.contracts.runner import typed
from edgekit.errors import DeviceError, RunnerError
from edgekit.process import Limits
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners.probe import probe_model

pytest_plugins = ["crashing"]


@pytest.fixture
def request_of(tmp_path: Path) -> dict[str, Any]:
    """A request to evaluate the smallest model on 1,200 items, in one process."""
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    np.save(tmp_path / "x.npy", np.ones((1200, 4), np.float32))
    return {
        "schema": 1,
        "mode": "evaluate",
        "runtime": "litert",
        "processes": 1,
        "block": 512,
        "models": [
            {
                "id": "planted",
                "path": str(tmp_path / "probe.tflite"),
                "outputs": str(tmp_path / "outputs"),
            }
        ],
        "inputs": {"x": str(tmp_path / "x.npy")},
    }


def device(tmp_path: Path, limits: Limits | None = None) -> LocalDevice:
    """This host, with the planted runner."""
    runners = {"litert": tmp_path / "planted" / "runner.py"}
    return LocalDevice(tmp_path / "requests", tmp_path / "log.txt", limits, runners)


def test_runner_gives_its_result_when_nothing_is_planted(
    planted: Any, tmp_path: Path, request_of: dict[str, Any]
) -> None:
    honest = LocalDevice(tmp_path / "requests", tmp_path / "log.txt")
    assert honest.run(typed(request_of))["models"]["planted"]["items"] == 1200
    assert list((tmp_path / "requests").iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("kill", "was ended by SIGKILL"),
        ("segv", "was ended by SIGSEGV"),
        ("abort", "was ended by SIGABRT"),
        ("exit", "ended with status 3"),
    ],
)
def test_run_raises_runner_error_when_the_runner_crashes(
    planted: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request_of: dict[str, Any],
    fault: str,
    how: str,
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", fault)
    monkeypatch.setenv("PLANTED_ITEM", "512")
    with pytest.raises(RunnerError) as caught:
        device(tmp_path).run(typed(request_of))
    assert caught.value.code == "EK-RUNNER-001"
    assert f"the litert runner {how} on planted at item 512" in caught.value.message
    assert caught.value.item == 512
    assert str(tmp_path / "log.txt") in caught.value.hint
    assert list((tmp_path / "requests").iterdir()) == []


def test_run_raises_runner_error_when_the_runner_refuses(
    planted: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request_of: dict[str, Any]
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", "planted refusal")
    with pytest.raises(RunnerError) as caught:
        device(tmp_path).run(typed(request_of))
    assert caught.value.code == "EK-RUNNER-002"
    assert caught.value.hint == "planted refusal"


@pytest.mark.parametrize(
    ("fault", "limits", "code", "said"),
    [
        ("hang", Limits(seconds=1), "EK-RUNNER-003", "took longer than its limit of 1 s"),
        (
            "memory",
            Limits(bytes=700_000_000),
            "EK-RUNNER-004",
            "held more memory than its limit of 700 MB",
        ),
    ],
)
def test_run_raises_runner_error_when_the_runner_breaks_its_limits(
    planted: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request_of: dict[str, Any],
    fault: str,
    limits: Limits,
    code: str,
    said: str,
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", fault)
    with pytest.raises(RunnerError) as caught:
        device(tmp_path, limits).run(typed(request_of))
    assert caught.value.code == code
    assert said in caught.value.message
    assert "[limits]" in caught.value.hint
    assert list((tmp_path / "requests").iterdir()) == []


def test_run_raises_device_error_when_there_is_no_such_runner(
    tmp_path: Path, request_of: dict[str, Any]
) -> None:
    with pytest.raises(DeviceError) as caught:
        device(tmp_path).run(typed({**request_of, "runtime": "armnn"}))
    assert caught.value.code == "EK-DEVICE-001"


def test_session_gives_blocks_and_leaves_nothing(
    planted: Any, tmp_path: Path, request_of: dict[str, Any]
) -> None:
    honest = LocalDevice(tmp_path / "requests", tmp_path / "log.txt")
    session = honest.open(typed({**request_of, "mode": "bench"}))
    assert session.ready()["runtime"] == "litert"
    assert len(session.block("planted", 0.0, 5)) == 5
    session.close()


@pytest.mark.parametrize(
    ("fault", "limits", "code"),
    [
        ("segv", None, "EK-RUNNER-001"),
        ("hang", Limits(seconds=1), "EK-RUNNER-003"),
        ("planted refusal", None, "EK-RUNNER-002"),
        ("memory", Limits(bytes=700_000_000), "EK-RUNNER-004"),
    ],
)
def test_session_raises_runner_error_when_the_runner_fails(
    planted: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request_of: dict[str, Any],
    fault: str,
    limits: Limits | None,
    code: str,
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", fault)
    session = device(tmp_path, limits).open(typed({**request_of, "mode": "bench"}))
    try:
        with pytest.raises(RunnerError) as caught:
            session.ready()
    finally:
        session.close()
    assert caught.value.code == code


def test_session_raises_runner_error_when_the_runner_crashes_between_blocks(
    planted: Any, tmp_path: Path, request_of: dict[str, Any]
) -> None:
    session = LocalDevice(tmp_path / "requests", tmp_path / "log.txt").open(
        typed({**request_of, "mode": "bench"})
    )
    session.ready()
    session._process.kill()
    session._process.wait()
    try:
        with pytest.raises(RunnerError) as caught:
            session.block("planted", 0.0, 1)
    finally:
        session.close()
    assert caught.value.code == "EK-RUNNER-001"
    assert "SIGKILL" in caught.value.message
