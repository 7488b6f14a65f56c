"""Planted crashes of workers and runners: the run says what happened, and the rest goes on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import psutil
import pytest

from conftest import brief, edgekit, once
from edgekit.api import convert
from edgekit.contracts.runner import typed
from edgekit.converters import tflite
from edgekit.errors import DataError, DeviceError, RunnerError, StoreError, WorkerError
from edgekit.pipeline import Options
from edgekit.process import Limits
from edgekit.project import Project
from edgekit.targets import runners
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import FOLDER
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Candidate, Report, Status
from edgekit.worker import Worker

# What workers and runners are made to do. Each also starts a child that must not outlive them.
FAULTS = """
import ctypes, os, signal, subprocess, sys, time

def fault(name):
    subprocess.Popen(["sleep", "600"])
    if name == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "segv":
        print("about to crash", file=sys.stderr, flush=True)
        ctypes.string_at(0)
    if name == "abort":
        os.abort()
    if name == "exit":
        os._exit(3)
    if name == "hang":
        time.sleep(600)
    if name == "memory":
        held = bytearray(os.urandom(1 << 20) * 1500)
        time.sleep(600)
    raise ValueError(name)
"""
WORKER = """
from faults import fault

def add(left, right=0):
    return left + right

def where_is(name):
    import importlib.util
    found = importlib.util.find_spec(name)
    return found.origin if found else ""

def process():
    import os
    return os.getpid()

def refuse():
    from edgekit.errors import DataError
    raise DataError("EK-DATA-001", "planted", "a hint")

def fail():
    raise ValueError("planted\\n  in two lines")

def full():
    import errno
    raise OSError(errno.ENOSPC, "No space left on device")

def unpicklable():
    return lambda: None

def work(progress):
    for done in range(3):
        progress(done, 3, f"step {done}")
    return "worked"

def convert(saved_model, precision, representative, folder, *others):
    import os
    from edgekit.converters import tflite
    if precision == "int8":
        (folder / "half.bin").write_bytes(b"half")
        fault(os.environ["PLANTED_FAULT"])
    return tflite.convert(saved_model, precision, representative, folder, *others)
"""
RUNNER = f"""
import os, sys
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), {str(FOLDER)!r}]
import python_runner
from faults import fault

class Job(python_runner.Job):
    def feeds(self, model, start, stop):
        if self.id in ("int8", "planted") and stop > int(os.environ.get("PLANTED_ITEM", 0)):
            fault(os.environ["PLANTED_FAULT"])
        return super().feeds(model, start, stop)

python_runner.Job = Job
sys.exit(python_runner.main(sys.argv[1:]))
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module ``planted_calls``, which workers can import; afterwards no process may be left."""
    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "faults.py").write_text(FAULTS)
    (folder / "planted_calls.py").write_text(WORKER)
    (folder / "runner.py").write_text(RUNNER)
    mark = uuid.uuid4().hex
    monkeypatch.setenv("EDGEKIT_TEST_MARK", mark)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(str(folder))
    for name in ("planted_calls", "faults"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import planted_calls

    yield planted_calls
    assert marked(mark) == []


def marked(mark: str) -> list[str]:
    """Command lines of the processes that were started with a mark, once ending ones have ended."""
    end = time.monotonic() + 3
    while True:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("EDGEKIT_TEST_MARK") == mark:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.1)


# --- the worker ----------------------------------------------------------------------------------


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with Worker(tmp_path / "log.txt") as one:
        yield one


def test_call_gives_the_result(planted: Any, worker: Worker) -> None:
    assert worker.call(planted.add, 1, right=2) == 3


def test_the_folder_it_was_called_in_is_not_imported_from(
    planted: Any, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Names of modules that the worker and TensorFlow's packages look for.
    for name in ("json", "compression", "tensorflow"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stranger was imported')")
    monkeypatch.chdir(tmp_path)
    assert worker.call(planted.add, 1, right=2) == 3
    assert worker.call(planted.where_is, "compression") == ""


def test_calls_share_one_process(planted: Any, worker: Worker) -> None:
    first = worker.call(planted.process)
    assert worker.call(planted.process) == first != os.getpid()


def test_call_raises_an_edgekit_error_as_it_is(planted: Any, worker: Worker) -> None:
    before = worker.call(planted.process)
    with pytest.raises(DataError) as caught:
        worker.call(planted.refuse)
    assert (caught.value.code, caught.value.message) == ("EK-DATA-001", "planted")
    assert caught.value.hint == "a hint"
    assert worker.call(planted.process) == before


def test_call_raises_worker_error_when_the_function_fails(planted: Any, worker: Worker) -> None:
    before = worker.call(planted.process)
    with pytest.raises(WorkerError) as caught:
        worker.call(planted.fail)
    assert caught.value.code == "EK-WORKER-004"
    assert caught.value.message == "fail failed in TensorFlow"
    assert caught.value.hint == "ValueError: planted\nin two lines"
    assert worker.call(planted.process) == before


def test_call_raises_worker_error_when_the_result_cannot_travel(
    planted: Any, worker: Worker
) -> None:
    with pytest.raises(WorkerError) as caught:
        worker.call(planted.unpicklable)
    assert caught.value.code == "EK-WORKER-004"


def test_call_raises_worker_error_when_the_function_is_not_there(
    planted: Any, worker: Worker
) -> None:
    planted.add.__qualname__ = "subtract"
    with pytest.raises(WorkerError) as caught:
        worker.call(planted.add, 1)
    assert caught.value.code == "EK-WORKER-004"


def test_call_raises_store_error_when_the_disk_is_full(planted: Any, worker: Worker) -> None:
    with pytest.raises(StoreError) as caught:
        worker.call(planted.full)
    assert caught.value.code == "EK-STORE-001"


def test_call_reports_progress(planted: Any, tmp_path: Path) -> None:
    class Heard:
        events: list[tuple[float, float, str]] = []  # noqa: RUF012

        def stage(self, name: str) -> None:
            """Not called by a worker."""

        def update(self, done: float, total: float, text: str) -> None:
            self.events.append((done, total, text))

        def notice(self, text: str) -> None:
            """Not called by a worker."""

    with Worker(tmp_path / "log.txt", Heard()) as worker:
        assert worker.call(planted.work) == "worked"
    assert Heard.events == [(k, 3, f"step {k}") for k in range(3)]


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("kill", "was ended by SIGKILL"),
        ("segv", "was ended by SIGSEGV"),
        ("abort", "was ended by SIGABRT"),
        ("exit", "ended with status 3"),
    ],
)
def test_call_raises_worker_error_and_the_next_works_when_the_worker_crashes(
    planted: Any, worker: Worker, tmp_path: Path, fault: str, how: str
) -> None:
    before = worker.call(planted.process)
    with pytest.raises(WorkerError) as caught:
        worker.call(planted.fault, fault)
    assert caught.value.code == "EK-WORKER-001"
    assert caught.value.message == f"the TensorFlow worker {how} during fault"
    assert "last lines of its log:" in caught.value.hint
    assert str(tmp_path / "log.txt") in caught.value.hint
    if fault == "segv":
        assert "  about to crash\n" in caught.value.hint
    assert worker.call(planted.process) not in (before, os.getpid())


def test_next_call_works_when_the_worker_died_between_calls(planted: Any, worker: Worker) -> None:
    before = worker.call(planted.process)
    os.kill(before, 9)
    deadline = time.monotonic() + 5
    while psutil.Process(before).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert worker.call(planted.add, 1) == 1


def test_call_raises_worker_error_when_it_hangs(planted: Any, tmp_path: Path) -> None:
    with Worker(tmp_path / "log.txt", limits=Limits(seconds=1)) as worker:
        with pytest.raises(WorkerError) as caught:
            worker.call(planted.fault, "hang")
        assert caught.value.code == "EK-WORKER-002"
        assert "fault took longer than its limit of 1 s" in caught.value.message
        assert "[limits]" in caught.value.hint
        assert worker.call(planted.add, 1) == 1


def test_call_raises_worker_error_when_it_holds_too_much(planted: Any, tmp_path: Path) -> None:
    with Worker(tmp_path / "log.txt", limits=Limits(bytes=800_000_000)) as worker:
        with pytest.raises(WorkerError) as caught:
            worker.call(planted.fault, "memory")
        assert caught.value.code == "EK-WORKER-003"
        said = re.search(r"held (\S+) GB of memory, over its limit of 0.8 GB", caught.value.message)
        assert said is not None
        assert float(said[1]) >= 0.8
        assert "[limits]" in caught.value.hint
        assert worker.call(planted.add, 1) == 1


def test_nothing_of_the_worker_is_left_when_the_caller_leaves(planted: Any, tmp_path: Path) -> None:
    with Worker(tmp_path / "log.txt") as worker:
        pid = worker.call(planted.process)
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


def test_worker_ends_when_it_starts_after_its_parent_was_killed(
    planted: Any, tmp_path: Path
) -> None:
    # The call already waits in the pipe while the worker still imports.
    body = f"""
    import os, signal
    from pathlib import Path
    import planted_calls
    from edgekit.worker import Worker
    worker = Worker(Path({str(tmp_path / "log.txt")!r}))
    _, pipe = worker._started()
    pipe.send(("planted_calls", "fault", ("hang",), {{}}))
    os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(body)], check=False)
    assert done.returncode == -9


# --- a worker that dies in the middle of a run ---------------------------------------------------


@pytest.fixture(scope="session")
def judged(shared: Path, models: Path, digits: Path) -> Path:
    """The store of a whole run of ``keras3.keras`` at float32 and int8. Read only."""

    def make(folder: Path) -> None:
        done = brief(
            "convert",
            models / "keras3.keras",
            "--data",
            digits / "test.npz",
            "--precision",
            "float32",
            "--precision",
            "int8",
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr

    return once(shared / "judged", make) / ".edgekit" / "store"


@pytest.fixture(scope="session")
def converted(shared: Path, models: Path, digits: Path) -> Path:
    """The store of a run of ``keras3.keras`` at float32 that only converts. Read only."""

    def make(folder: Path) -> None:
        done = edgekit(
            "convert",
            models / "keras3.keras",
            "--data",
            digits / "test.npz",
            "--precision",
            "float32",
            "--no-evaluate",
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr

    return once(shared / "crash-converted", make) / ".edgekit" / "store"


@pytest.fixture
def output(tmp_path: Path, converted: Path) -> Path:
    """A folder to write to, whose store holds the run that only converts."""
    shutil.copytree(converted, tmp_path / "out" / ".edgekit" / "store")
    return tmp_path / "out"


@pytest.fixture
def judged_output(tmp_path: Path, judged: Path) -> Path:
    """A folder to write to, whose store holds the whole run."""
    shutil.copytree(judged, tmp_path / "out" / ".edgekit" / "store")
    return tmp_path / "out"


def forget(output: Path, stage: str, **parts: str) -> None:
    """Take artefacts of a stage, whose keys have these parts, out of the store."""
    found = list((output / ".edgekit" / "store" / stage).glob("*/facts.json"))
    for path in found:
        key = json.loads(path.read_text())["key"]
        if all(key[name] == value for name, value in parts.items()):
            shutil.rmtree(path.parent)


def project(models: Path, digits: Path, *precisions: str, **limits: Any) -> Project:
    table = {
        "model": {"source": str(models / "keras3.keras")},
        "data": {"evaluate": str(digits / "test.npz")},
        "convert": {"precisions": list(precisions)},
        "limits": limits,
    }
    return Project.parse(table, models)


def by_precision(report: Report) -> dict[str, Candidate]:
    return {candidate.precision: candidate for candidate in report.candidates}


@pytest.fixture
def planted_convert(planted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversion to int8 meets the fault; others are as ever."""
    monkeypatch.setattr(tflite, "convert", planted.convert)


def assert_no_rest(output: Path) -> None:
    assert not list(output.glob(".edgekit/store/tmp/*"))
    assert not list(output.glob("build/*/int8"))
    assert not list(output.rglob("*.part"))


@pytest.mark.parametrize(
    ("fault", "how"),
    [("kill", "SIGKILL"), ("segv", "SIGSEGV"), ("abort", "SIGABRT")],
)
def test_other_candidates_finish_when_one_kills_the_worker(
    planted_convert: None,
    monkeypatch: pytest.MonkeyPatch,
    output: Path,
    models: Path,
    digits: Path,
    fault: str,
    how: str,
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", fault)
    options = Options(output=output, evaluate=False)
    report = convert(project(models, digits, "int8", "float32"), options)
    made = by_precision(report)
    assert f"EK-WORKER-001 the TensorFlow worker was ended by {how}" in made["int8"].problem
    assert made["int8"].status is Status.INCOMPATIBLE
    assert made["float32"].problem == ""
    assert (output / "build/keras3/float32/model.tflite").is_file()
    assert report.verdict.exit_code == 0
    assert_no_rest(output)


@pytest.mark.slow
def test_other_candidates_are_made_in_a_fresh_worker_when_one_kills_it(
    planted_convert: None, monkeypatch: pytest.MonkeyPatch, output: Path, models: Path, digits: Path
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", "kill")
    forget(output, "convert")
    options = Options(output=output, evaluate=False)
    made = by_precision(convert(project(models, digits, "int8", "float32", "dynamic"), options))
    assert "SIGKILL" in made["int8"].problem
    assert [made[p].problem for p in ("float32", "dynamic")] == ["", ""]
    assert (output / "build/keras3/dynamic@tflite-2.14/model.tflite").is_file()


def test_exit_code_is_5_when_a_precision_asked_for_kills_the_worker(
    planted_convert: None, monkeypatch: pytest.MonkeyPatch, output: Path, models: Path, digits: Path
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", "abort")
    options = Options(output=output, evaluate=False, precisions_asked=True)
    report = convert(project(models, digits, "int8", "float32"), options)
    assert (report.verdict.status, report.verdict.exit_code) == (Status.INCOMPATIBLE, 5)
    assert (output / "build/keras3/float32/model.tflite").is_file()


@pytest.mark.parametrize(
    ("fault", "limits", "said"),
    [
        ("hang", {"seconds": 2}, "EK-WORKER-002 convert took longer than its limit of 2 s"),
        ("memory", {"memory": "800 MB"}, "over its limit of 0.8 GB"),
    ],
)
def test_other_candidates_finish_when_one_breaks_the_worker_s_limits(
    planted_convert: None,
    monkeypatch: pytest.MonkeyPatch,
    output: Path,
    models: Path,
    digits: Path,
    fault: str,
    limits: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", fault)
    options = Options(output=output, evaluate=False)
    report = convert(project(models, digits, "int8", "float32", **limits), options)
    made = by_precision(report)
    assert said in made["int8"].problem
    assert made["float32"].problem == ""
    assert report.verdict.exit_code == 0
    assert_no_rest(output)


@pytest.mark.slow
@pytest.mark.usefixtures("untimed")
def test_target_ships_another_candidate_when_one_kills_the_worker(
    planted_convert: None,
    monkeypatch: pytest.MonkeyPatch,
    judged_output: Path,
    models: Path,
    digits: Path,
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", "segv")
    forget(judged_output, "convert", precision="int8")
    report = convert(project(models, digits, "int8", "float32"), Options(output=judged_output))
    made = by_precision(report)
    assert "SIGSEGV" in made["int8"].problem
    assert made["float32"].status is Status.PASSED
    assert [target.candidate for target in report.targets] == ["float32"]
    assert report.verdict.exit_code == 0
    assert list((judged_output / "dist").iterdir())


# --- runners -------------------------------------------------------------------------------------


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


@pytest.mark.slow
@pytest.mark.usefixtures("untimed")
@pytest.mark.parametrize(
    ("fault", "limits", "said"),
    [
        ("segv", {}, "EK-RUNNER-001 the litert runner was ended by SIGSEGV on int8"),
        ("hang", {"seconds": 15}, "EK-RUNNER-003 the litert runner on int8 took longer than"),
        ("memory", {"memory": "1.2 GB"}, "EK-RUNNER-004 the litert runner on int8 held more"),
    ],
)
def test_other_candidates_are_judged_when_one_breaks_the_runner(
    planted: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    judged_output: Path,
    models: Path,
    digits: Path,
    fault: str,
    limits: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", fault)
    faulty = replace(runners.OWN["litert"], file=tmp_path / "planted" / "runner.py")
    monkeypatch.setitem(runners.OWN, "litert", faulty)  # type: ignore[arg-type]
    forget(judged_output, "answers", runtime="litert")
    report = convert(
        project(models, digits, "int8", "float32", **limits), Options(output=judged_output)
    )
    made = by_precision(report)
    assert said in made["int8"].problem
    assert made["int8"].status is Status.INCOMPATIBLE
    assert made["float32"].status is Status.PASSED
    assert [target.candidate for target in report.targets] == ["float32"]
    assert report.verdict.exit_code == 0
    assert not list(judged_output.glob(".edgekit/store/tmp/*"))
