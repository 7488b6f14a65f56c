"""What is told of a device that was tried, and a file that a user names for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.errors import ConnectionLost, DeviceError, RunnerCrashed
from edgekit.targets.devices import installer
from edgekit.targets.devices.entry import tried
from edgekit.types import Status


def failing(error: Exception) -> Callable[[], object]:
    def probe() -> object:
        raise error

    return probe


def test_device_that_runs_the_probe_passes_and_one_that_crashes_on_it_fails() -> None:
    crash = RunnerCrashed("EK-RUNNER-001", "the litert runner was ended by SIGSEGV", "a cause")
    good = tried("board", "litert", "2.3.0", lambda: "2.3.0")
    bad = tried("board", "litert", "2.3.0", failing(crash), "/there")
    assert (good.status, good.message) == (Status.PASSED, "runs a model")
    assert (bad.status, bad.environment) == (Status.FAILED, "/there")
    assert bad.message == "the litert runner was ended by SIGSEGV: a cause"


def test_device_that_goes_away_in_its_trial_has_not_failed() -> None:
    with pytest.raises(ConnectionLost):
        tried("board", "litert", "2.3.0", failing(ConnectionLost("EK-DEVICE-030", "gone")))


def test_file_that_a_user_names_is_taken_or_missed_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert installer.given("EDGEKIT_TEST_FILE", "tool", "EK-DEVICE-077") is None
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EDGEKIT_TEST_FILE", "~/tool")
    with pytest.raises(DeviceError, match="there is no tool") as caught:
        installer.given("EDGEKIT_TEST_FILE", "tool", "EK-DEVICE-077")
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-077", 3)
    assert "EDGEKIT_TEST_FILE" in caught.value.hint
    (tmp_path / "tool").touch()
    assert installer.given("EDGEKIT_TEST_FILE", "tool", "EK-DEVICE-077") == tmp_path / "tool"
