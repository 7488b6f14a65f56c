"""The item that a runner died on is named: the real runner, with a model that dies on a value."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.contracts.runner import typed
from edgekit.errors import RunnerError
from edgekit.process import Limits
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import FOLDER
from edgekit.targets.runners.probe import probe_model

FATAL = 13.0
# python_runner.py with an interpreter that does ``action`` when an input holds the fatal value.
RUNNER = """
import ctypes, glob, sys, time
sys.path[:0] = [{folder!r}]
import python_runner

class Model(python_runner.TFLiteModel):
    def stage(self, feeds):
        super().stage(feeds)
        self.fatal = any((value == {fatal}).any() for value in feeds.values())

    def invoke(self):
        if {condition}:
            {action}
        super().invoke()

python_runner.TFLiteModel = Model
sys.exit(python_runner.main(sys.argv[1:]))
"""
CRASH = "ctypes.string_at(0)"
HANG = "time.sleep(60)"
REFUSE = "raise RuntimeError('planted refusal')"


def device(
    folder: Path, action: str, limits: Limits | None = None, condition: str = "self.fatal"
) -> LocalDevice:
    """This host, whose only runner fails on the fatal value."""
    runner = folder / "runner.py"
    runner.write_text(
        RUNNER.format(folder=str(FOLDER), fatal=FATAL, action=action, condition=condition)
    )
    return LocalDevice(folder / "requests", folder / "log.txt", limits, {"litert": runner})


def request(folder: Path, *fatal: int, count: int = 1200, **changes: Any) -> dict[str, Any]:
    """The probe on items of which some are fatal."""
    (folder / "probe.tflite").write_bytes(probe_model())
    x = np.ones((count, 4), np.float32)
    x[list(fatal), 2] = FATAL
    np.save(folder / "x.npy", x)
    entry = {"id": "tiny", "path": str(folder / "probe.tflite"), "outputs": str(folder / "outputs")}
    return {
        "schema": 1,
        "mode": "evaluate",
        "runtime": "litert",
        "models": [entry],
        "inputs": {"x": str(folder / "x.npy")},
        "processes": 1,
        **changes,
    }


def failure(device: LocalDevice, asked: dict[str, Any]) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        device.run(typed(asked))
    return caught.value


@pytest.mark.parametrize(
    ("count", "fatal", "action", "code", "said"),
    [
        (1200, (617, 700), CRASH, "EK-RUNNER-001", "SIGSEGV on tiny at item 617"),
        (40, (0,), CRASH, "EK-RUNNER-001", "SIGSEGV on tiny at the first item"),
        (514, (513,), REFUSE, "EK-RUNNER-002", "cannot run tiny at item 513"),
    ],
)
def test_error_names_the_first_item_that_fails(
    tmp_path: Path, count: int, fatal: tuple[int, ...], action: str, code: str, said: str
) -> None:
    error = failure(device(tmp_path, action), request(tmp_path, *fatal, count=count))
    assert (error.code, error.item) == (code, fatal[0])
    assert said in error.message
    assert list((tmp_path / "requests").iterdir()) == []


@pytest.mark.slow
def test_error_names_the_item_that_a_second_process_died_on(tmp_path: Path) -> None:
    error = failure(device(tmp_path, CRASH), request(tmp_path, 1100, processes=2))
    assert (error.code, error.item) == ("EK-RUNNER-001", 1100)


@pytest.mark.slow
def test_error_names_the_item_that_hangs(tmp_path: Path) -> None:
    begin = time.monotonic()
    error = failure(device(tmp_path, HANG, Limits(seconds=3)), request(tmp_path, 1, count=4))
    assert time.monotonic() - begin < 40
    assert (error.code, error.item) == ("EK-RUNNER-003", 1)
    assert "took longer than its limit of 3 s at item 1" in error.message


def test_error_names_the_item_of_the_data_when_the_items_are_a_subset(tmp_path: Path) -> None:
    chosen = np.arange(39, -1, -2)
    np.save(tmp_path / "index.npy", chosen)
    asked = request(tmp_path, 23, count=40, index=str(tmp_path / "index.npy"))
    error = failure(device(tmp_path, CRASH), asked)
    assert error.item == 8
    assert "at item 8 (item 23 of the data)" in error.message


def test_error_names_no_item_when_none_fails_alone(tmp_path: Path) -> None:
    together = f"self.batch > 1 and glob.glob({str(tmp_path / 'outputs' / 'progress-*')!r})"
    asked = request(tmp_path, batch=32)
    error = failure(device(tmp_path, CRASH, condition=together), asked)
    assert (error.code, error.item) == ("EK-RUNNER-001", None)
    assert "SIGSEGV on tiny at items 0 to " in error.message


def test_error_names_the_range_when_the_search_runs_out_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.targets.devices.culprit.PATIENCE", 0.01)
    error = failure(device(tmp_path, CRASH), request(tmp_path, 617))
    assert error.item is None
    said = re.search(r"on tiny at items (\d+) to (\d+)$", error.message)
    assert said is not None
    assert int(said[1]) <= 617 <= int(said[2])


def test_model_that_is_refused_is_not_searched(tmp_path: Path) -> None:
    asked = request(tmp_path)
    (tmp_path / "probe.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(60))
    error = failure(LocalDevice(tmp_path / "requests", tmp_path / "log.txt"), asked)
    assert (error.code, error.item) == ("EK-RUNNER-002", None)
    assert error.message == "litert cannot run tiny"


def test_items_that_pass_name_nothing(tmp_path: Path) -> None:
    result = device(tmp_path, CRASH).run(typed(request(tmp_path, count=40)))
    assert result["models"]["tiny"]["items"] == 40
