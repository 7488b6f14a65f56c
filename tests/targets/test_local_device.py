"""This host as a device: whatever a runner does, there is a result or an error that says it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from edgekit.contracts.runner import typed
from edgekit.errors import DeviceError, ExitCode, RunnerError
from edgekit.process import Limits
from edgekit.targets.devices import Device
from edgekit.targets.devices.answers import check_result
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import RUNNER_FILES
from edgekit.targets.runners.probe import probe_model

# What a planted runner does before it would answer; it speaks both protocols.
PLANTED = """
import json, os, signal, subprocess, sys, time
from pathlib import Path

def planted(request):
    {action}

def progress(request, start, stop):
    folder = Path(request["models"][0]["outputs"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "progress-0.json").write_text(json.dumps({{"items": [start, stop]}}))

if sys.argv[1:] == ["--serve"]:
    for number, line in enumerate(sys.stdin):
        if number == int(os.environ.get("PLANTED_AT", "0")):
            planted(json.loads(line))
        loaded = {{"tiny": {{"load_ns": 1, "first_ns": 1}}}}
        first = {{"models": loaded, "runtime": "planted", "version": "1"}}
        answer = first if number == 0 else {{"ns": [1, 2]}}
        print(json.dumps(answer), flush=True)
else:
    request = json.loads(Path(sys.argv[1]).read_text())
    result = {{"models": {{}}}}
    planted(request)
    Path(sys.argv[2]).write_text(json.dumps(result))
"""


def planted(folder: Path, action: str, limits: Limits | None = None) -> LocalDevice:
    """A device whose only runner does ``action``."""
    runner = folder / "planted_runner.py"
    runner.write_text(PLANTED.format(action=action))
    return LocalDevice(folder / "requests", folder / "log.txt", limits, {"planted": runner})


def request(folder: Path, runtime: str = "planted") -> dict[str, Any]:
    """The probe on seven items."""
    model = folder / "probe.tflite"
    model.write_bytes(probe_model())
    np.save(folder / "x.npy", np.ones((7, 4), np.float32))
    entry = {"id": "tiny", "path": str(model), "outputs": str(folder / "outputs")}
    return {
        "mode": "evaluate",
        "runtime": runtime,
        "models": [entry],
        "inputs": {"x": str(folder / "x.npy")},
        "processes": 1,
    }


def local(folder: Path) -> LocalDevice:
    return LocalDevice(folder / "requests", folder / "log.txt")


def open_and_close(device: LocalDevice) -> Callable[[dict[str, Any]], object]:
    """Open a session, wait for it, time one block; it is closed whatever happens."""

    def start(asked: dict[str, Any]) -> object:
        with contextlib.closing(device.open(typed(asked))) as session:
            session.ready()
            return session.block("tiny", 0.0, 1)

    return start


def left_over(folder: Path) -> list[int]:
    """Processes that still run something of this test's folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if str(folder) in " ".join(process.info["cmdline"] or []):
            found.append(process.pid)
    return found


def test_run_gives_the_runners_result_and_leaves_no_request(tmp_path: Path) -> None:
    result = local(tmp_path).run(typed(request(tmp_path, "litert")))
    assert result["models"]["tiny"]["items"] == 7
    assert (np.load(tmp_path / "outputs" / "y.npy") == 2).all()
    assert list((tmp_path / "requests").iterdir()) == []


def test_facts_say_what_this_machine_is(tmp_path: Path) -> None:
    facts = local(tmp_path).facts()
    assert facts["cpus"] == os.cpu_count()
    assert facts["system"] == os.uname().sysname


def without_runtime(folder: Path) -> LocalDevice:
    """The real runner where LiteRT cannot be imported."""
    runner = folder / "bare.py"
    source = RUNNER_FILES["litert"].read_text()
    hidden = "import sys\nsys.modules['ai_edge_litert'] = None\n"
    marker = "from __future__ import annotations\n"
    runner.write_text(source.replace(marker, marker + hidden, 1))
    return LocalDevice(folder / "requests", folder / "log.txt", None, {"litert": runner})


def test_run_raises_and_says_how_to_install_when_the_runtime_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        without_runtime(tmp_path).run(typed(request(tmp_path, "litert")))
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-002", ExitCode.UNAVAILABLE)
    assert f"pip install ai-edge-litert (Python: {sys.executable})" in caught.value.hint


@pytest.mark.parametrize("sent", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_crash_names_the_signal_the_model_and_the_items(
    tmp_path: Path, sent: signal.Signals
) -> None:
    np.save(tmp_path / "many.npy", np.ones((1024, 4), np.float32))
    action = f"""progress(request, 512, 1024)
    print("native trouble", file=sys.stderr, flush=True)
    os.kill(os.getpid(), {int(sent)})"""
    asked = {**request(tmp_path), "inputs": {"x": str(tmp_path / "many.npy")}}
    with pytest.raises(RunnerError) as caught:
        planted(tmp_path, action).run(typed(asked))
    error = caught.value
    assert error.code == "EK-RUNNER-001"
    assert sent.name in error.message
    assert "on tiny at item 512" in error.message
    assert "native trouble" in error.hint
    assert str(tmp_path / "log.txt") in error.hint


def test_exit_without_a_result_names_the_status(tmp_path: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        planted(tmp_path, "os._exit(7)").run(typed(request(tmp_path)))
    assert caught.value.code == "EK-RUNNER-001"
    assert "status 7" in caught.value.message


def test_real_runner_killed_in_mid_run_is_a_crash(tmp_path: Path) -> None:
    runner = tmp_path / "dying.py"
    source = RUNNER_FILES["litert"].read_text()
    planted_at = (
        "            answers = run_items(job, model, job.feeds(model, at, end), end - at, at)\n"
    )
    assert source.count(planted_at) == 1
    runner.write_text(source.replace(planted_at, "            os.kill(os.getpid(), 11)\n"))
    device = LocalDevice(tmp_path / "r", tmp_path / "log.txt", None, {"litert": runner})
    with pytest.raises(RunnerError, match=r"SIGSEGV on tiny at the first item"):
        device.run(typed(request(tmp_path, "litert")))


def test_hang_ends_at_its_limit_with_all_that_it_started(tmp_path: Path) -> None:
    action = """subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", __file__])
    time.sleep(60)"""
    begin = time.monotonic()
    with pytest.raises(RunnerError) as caught:
        planted(tmp_path, action, Limits(seconds=1)).run(typed(request(tmp_path)))
    assert time.monotonic() - begin < 40
    assert caught.value.code == "EK-RUNNER-003"
    assert "1 s" in caught.value.message
    assert "[limits]" in caught.value.hint
    assert left_over(tmp_path) == []


def test_session_times_a_model_in_blocks(tmp_path: Path) -> None:
    session = local(tmp_path).open(typed({**request(tmp_path, "litert"), "mode": "bench"}))
    try:
        assert session.ready()["models"]["tiny"]["first_ns"] > 0
        assert len(session.block("tiny", 0.0, 5)) == 5
        with pytest.raises(RunnerError) as caught:
            session.block("unknown", 0.0, 1)
        assert caught.value.code == "EK-RUNNER-002"
        assert len(session.block("tiny", 0.0, 2)) == 2
    finally:
        session.close()
    assert left_over(tmp_path) == []


def test_session_raises_when_it_is_killed_in_mid_run(tmp_path: Path) -> None:
    session = local(tmp_path).open(typed({**request(tmp_path, "litert"), "mode": "bench"}))
    try:
        session.ready()
        (process,) = {psutil.Process(pid) for pid in left_over(RUNNER_FILES["litert"])} & set(
            psutil.Process().children()
        )
        process.kill()
        with pytest.raises(RunnerError) as caught:
            session.block("tiny", 0.0, 1)
    finally:
        session.close()
    assert caught.value.code == "EK-RUNNER-001"
    assert "SIGKILL" in caught.value.message


def test_session_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_AT", "1")
    session = planted(tmp_path, "time.sleep(60)", Limits(seconds=1)).open(typed(request(tmp_path)))
    try:
        session.ready()
        begin = time.monotonic()
        with pytest.raises(RunnerError) as caught:
            session.block("tiny", 0.0, 1)
    finally:
        session.close()
    assert time.monotonic() - begin < 40
    assert caught.value.code == "EK-RUNNER-003"
    assert left_over(tmp_path) == []


def test_runner_ends_when_the_process_that_started_it_is_gone(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from edgekit.targets.devices.local import LocalDevice
from edgekit.types import Request, RunnerModel
folder = Path(sys.argv[1])
runner = {"planted": folder / "planted_runner.py", "litert": Path(sys.argv[2])}
device = LocalDevice(folder / "requests", folder / "log.txt", None, runner)
model = RunnerModel("tiny", Path(sys.argv[3]))
session = device.open(Request("bench", (model,), {"x": folder / "x.npy"}, runtime="litert"))
session.ready()
os._exit(0)
"""
    runner = Path(shutil.copy(RUNNER_FILES["litert"], tmp_path / "copied_runner.py"))
    (model,) = request(tmp_path, "litert")["models"]
    command = [sys.executable, "-c", code, str(tmp_path), str(runner), model["path"]]
    subprocess.run(command, check=True, timeout=60)
    for _ in range(50):
        if not left_over(tmp_path):
            return
        time.sleep(0.1)
    pytest.fail(f"still running: {left_over(tmp_path)}")


def answer(**changes: Any) -> str:
    """A runner's result."""
    return json.dumps({"runtime": "planted", "version": "1", **changes})


WHOLE = {"items": 7, "batch": 1, "processes": 1, "seconds": 0.1}
MEMORY = {"peak_bytes": None, "baseline_bytes": None}


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ("{", "result is not a table"),
        ("[]", "result is not a table"),
        ('{"runtime": "planted"}', "result.version is not text"),
        ('{"error": "it failed"}', "its error has no kind"),
        (answer(models={}), "answers for other models"),
        (answer(models={"tiny": {**WHOLE, "items": "7"}}), "items is not a number"),
        (answer(models={"tiny": WHOLE}), "memory is not whole"),
        (answer(models={"tiny": {**WHOLE, "memory": {**MEMORY, "x": "1"}}}), "memory.x is no"),
    ],
)
def test_result_that_is_none_is_refused_and_says_what_is_wrong(
    tmp_path: Path, result: str, why: str
) -> None:
    action = f"open(sys.argv[2], 'w').write({result!r}); sys.exit(0)"
    with pytest.raises(RunnerError) as caught:
        planted(tmp_path, action).run(typed(request(tmp_path)))
    assert caught.value.code == "EK-RUNNER-009"
    assert why in caught.value.hint


def test_answer_about_memory_without_its_bytes_is_refused() -> None:
    result = {"runtime": "planted", "version": "1", "models": {"tiny": {}}}
    with pytest.raises(ValueError, match=r"tiny\.activation_bytes is not"):
        check_result(result, "memory", ["tiny"])
    check_result({**result, "models": {"tiny": {"activation_bytes": 7}}}, "memory", ["tiny"])


@pytest.mark.parametrize(
    ("ready", "block", "why"),
    [
        ("nonsense", "", "result is not a table"),
        (answer(models={"tiny": {"load_ns": 1}}), "", "first_ns is not a number"),
        (answer(models={"tiny": {"load_ns": 1, "first_ns": 1}}), "{}", "ns is not a list"),
        (
            answer(models={"tiny": {"load_ns": 1, "first_ns": 1}}),
            '{"ns": [0.5]}',
            "ns is not a list",
        ),
    ],
)
def test_session_that_answers_otherwise_than_runners_do_is_refused(
    tmp_path: Path, ready: str, block: str, why: str
) -> None:
    runner = tmp_path / "runner.py"
    lines = [f"input(); print({one!r}, flush=True)\n" for one in (ready, block)]
    runner.write_text("".join(lines) + "input()\n")
    device = LocalDevice(tmp_path / "r", tmp_path / "log.txt", None, {"planted": runner})
    with contextlib.closing(device.open(typed(request(tmp_path)))) as session:
        with pytest.raises(RunnerError) as caught:
            str([session.ready(), session.block("tiny", 0.0, 1)])
        assert caught.value.code == "EK-RUNNER-009"
        assert why in caught.value.hint


def test_answers_that_come_at_once_are_both_read(tmp_path: Path) -> None:
    """Of a runner started ahead: what is in Python's own buffer, no select sees."""
    runner = tmp_path / "runner.py"
    both = answer(models={}) + "\n" + answer(models={"tiny": {"load_ns": 1, "first_ns": 1}})
    runner.write_text(f"input(); input(); print({both!r}, flush=True)\ninput()\n")
    device = LocalDevice(tmp_path / "r", tmp_path / "log.txt", Limits(20), {"planted": runner})
    ahead = {**request(tmp_path), "mode": "load", "models": []}
    with contextlib.closing(device.open(typed(ahead))) as session:
        session.follow(typed(request(tmp_path)))
        assert session.ready()["models"]["tiny"]["load_ns"] == 1


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"cpus": "four"}, {}),
        ({}, {"busy": 1.0, "unavailable": {}}),
        ({}, {"busy": 1.0, "at": [1.0], "own": 0.0, "unavailable": {}}),
    ],
)
def test_facts_that_cannot_be_are_refused_whatever_transport_gives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: Any, state: Any
) -> None:
    monkeypatch.setattr(LocalDevice, "facts", lambda _: facts)
    monkeypatch.setattr(LocalDevice, "state", lambda *_: state or {"unavailable": {}})
    device = Device("board", "planted", "1", local(tmp_path))
    with pytest.raises(DeviceError) as caught:
        str([device.facts(), device.state()])
    assert caught.value.code == "EK-DEVICE-095"
