"""Ctrl-C, SIGTERM and kill -9 in the middle of a run: no orphans, no halves, and a way on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import psutil
import pytest

from conftest import EDGEKIT, brief, edgekit

EPOCHS = 12
# 1,079 items in batches of 32.
STEPS_PER_EPOCH = 34
# The example's model, which notes when each epoch begins, and takes its time.
MODEL = """
import time
from pathlib import Path

import keras

import example_model

LOG = Path(__file__).with_name("epochs.txt")


class Noting(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        with LOG.open("a") as log:
            log.write(f"{epoch}\\n")

    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.15)


def build():
    model = example_model.build()
    fit = model.fit
    model.fit = lambda *args, callbacks, **kw: fit(*args, callbacks=[*callbacks, Noting()], **kw)
    return model
"""
CONVERT = ("convert", "--no-evaluate", "--precision", "float32", "--precision", "int8")


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """A mark in the environment of every process that a test starts."""
    value = uuid.uuid4().hex
    monkeypatch.setenv("EDGEKIT_TEST_MARK", value)
    return value


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example project with slow epochs that leave a trace in ``epochs.txt``."""
    folder = tmp_path / "project"
    assert edgekit("init", folder, cwd=tmp_path).returncode == 0
    (folder / "model.py").rename(folder / "example_model.py")
    (folder / "model.py").write_text(MODEL)
    table = (folder / "edgekit.toml").read_text()
    assert "epochs = 15" in table
    table = table.replace("epochs = 15", f"epochs = {EPOCHS}")
    # A budget that is not measured would be exit code 3.
    (folder / "edgekit.toml").write_text(table.partition("[targets")[0])
    return folder


@pytest.fixture
def started(mark: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Commands that a test starts; whatever is left of them is ended."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for pid in living(mark):
        os.kill(pid, signal.SIGKILL)
    for process in processes:
        process.communicate()


def start(
    started: list[subprocess.Popen[str]], *arguments: object, cwd: Path
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [EDGEKIT, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "NO_COLOR": "1"},
        # What a shell runs in its background inherits an ignored Ctrl-C; a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    started.append(process)
    return process


def living(mark: str) -> list[int]:
    """Processes with a mark that are not ending."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get("EDGEKIT_TEST_MARK") == mark
            if marked and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def assert_no_orphans(mark: str, within: float) -> None:
    end = time.monotonic() + within
    while found := living(mark):
        assert time.monotonic() < end, [psutil.Process(pid).cmdline() for pid in found]
        time.sleep(0.05)


def assert_no_halves(root: Path) -> None:
    """Every artefact of the store is whole, and nothing else lies about."""
    assert not list(root.glob(".edgekit/store/tmp/*"))
    assert not list(root.rglob("*.part"))
    assert not list(root.glob(".edgekit/requests/*"))
    assert_store_is_whole(root)


def assert_store_is_whole(root: Path) -> None:
    folders = [
        folder
        for stage in root.glob(".edgekit/store/*")
        if stage.name not in ("tmp", "partial", "locks")
        for folder in stage.iterdir()
    ]
    for folder in folders:
        record = json.loads((folder / "facts.json").read_text())
        sizes = {name: (folder / name).stat().st_size for name in record["files"]}
        assert sizes == {name: entry["bytes"] for name, entry in record["files"].items()}


def epochs(project: Path) -> list[int]:
    """Epochs that began, in order."""
    path = project / "epochs.txt"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def wait_for_epoch(project: Path, process: subprocess.Popen[str], epoch: int) -> None:
    end = time.monotonic() + 60
    while epoch not in epochs(project):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)


def wait_for_stage(process: subprocess.Popen[str], stage: str) -> None:
    """Follow the run by its journal until a stage begins."""
    folder, end = Path(psutil.Process(process.pid).cwd()), time.monotonic() + 60
    while True:
        # Not by rglob: other folders of a run come and go.
        places = (folder.glob(f"{where}.edgekit/runs/*/progress.jsonl") for where in ("", "*/"))
        written = "".join(path.read_text() for path in chain.from_iterable(places))
        begun = [json.loads(line) for line in written.splitlines() if line.endswith("}")]
        if any(line["event"] == "begun" and line["stage"] == stage for line in begun):
            return
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)


def assert_goes_on_after(epoch: int, project: Path) -> subprocess.CompletedProcess[str]:
    """Run again; training goes on from the epoch that was interrupted, and all is well."""
    before = len(epochs(project))
    done = edgekit(*CONVERT, cwd=project)
    assert done.returncode == 0, done.stderr
    assert epochs(project)[before:] == list(range(epoch, EPOCHS))
    assert (project / "build" / "digits" / "int8" / "model.tflite").is_file()
    assert not list((project / ".edgekit" / "store" / "partial").iterdir())
    assert_no_halves(project)
    return done


@pytest.mark.slow
def test_training_goes_on_when_interrupted(
    mark: str, project: Path, started: list[subprocess.Popen[str]]
) -> None:
    process = start(started, *CONVERT, cwd=project)
    wait_for_epoch(project, process, 4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert out == ""
    assert "interrupted: finished stages are kept; run the same command again to resume" in err
    assert "Traceback" not in err
    assert_no_orphans(mark, 0)
    assert_no_halves(project)
    # TensorBoard may look at a training that goes on.
    assert [path.name for path in project.glob("build/*/*")] == ["logs"]
    assert_goes_on_after(epochs(project)[-1], project)


@pytest.mark.slow
def test_training_goes_on_when_killed(
    mark: str, project: Path, started: list[subprocess.Popen[str]]
) -> None:
    process = start(started, *CONVERT, cwd=project)
    wait_for_epoch(project, process, 4)
    process.kill()
    process.wait()
    assert_no_orphans(mark, 3)
    assert_store_is_whole(project)
    assert_goes_on_after(epochs(project)[-1], project)


@pytest.mark.slow
def test_training_goes_on_from_the_state_before_where_the_last_is_damaged(
    mark: str, project: Path, started: list[subprocess.Popen[str]]
) -> None:
    process = start(started, *CONVERT, cwd=project)
    wait_for_epoch(project, process, 3)
    process.kill()
    process.wait()
    assert_no_orphans(mark, 3)
    states = (project / ".edgekit" / "store" / "partial").rglob("step-*.state")
    *_, before, last = sorted(states)
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    done = assert_goes_on_after(int(before.stem[-9:]) // STEPS_PER_EPOCH, project)
    assert "is damaged" in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "stage", "seconds"),
    [(signal.SIGINT, "export", 1.5), (signal.SIGTERM, "convert", 0.0)],
)
def test_conversion_goes_on_when_interrupted(
    mark: str,
    tmp_path: Path,
    models: Path,
    digits: Path,
    started: list[subprocess.Popen[str]],
    number: signal.Signals,
    stage: str,
    seconds: float,
) -> None:
    command = (*CONVERT, models / "keras3.keras", "--data", digits / "test.npz")
    process = start(started, *command, cwd=tmp_path)
    wait_for_stage(process, stage)
    time.sleep(seconds)
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert_no_orphans(mark, 0)
    assert_no_halves(tmp_path)
    assert not list((tmp_path / "build").rglob("*.tflite"))
    done = edgekit(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_no_halves(tmp_path)


def test_nothing_is_left_when_interrupted_twice(
    mark: str, tmp_path: Path, models: Path, digits: Path, started: list[subprocess.Popen[str]]
) -> None:
    command = (*CONVERT, models / "keras3.keras", "--data", digits / "test.npz")
    process = start(started, *command, cwd=tmp_path)
    wait_for_stage(process, "export")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    # A shell shows 130 for both: edgekit's own, and Python's where it was leaving already.
    assert process.returncode in (130, -signal.SIGINT)
    assert_no_orphans(mark, 3)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_conversion_goes_on_when_killed(
    mark: str,
    tmp_path: Path,
    models: Path,
    digits: Path,
    started: list[subprocess.Popen[str]],
    seconds: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = tmp_path / "system"
    system.mkdir()
    monkeypatch.setenv("TMPDIR", str(system))
    command = (*CONVERT, models / "keras3.keras", "--data", digits / "test.npz")
    process = start(started, *command, cwd=tmp_path)
    wait_for_stage(process, "export")
    time.sleep(seconds)
    process.kill()
    process.wait()
    assert_no_orphans(mark, 3)
    assert_store_is_whole(tmp_path)
    done = edgekit(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_no_halves(tmp_path)
    runs = list((tmp_path / ".edgekit" / "runs").iterdir())
    assert [(run / "report.json").exists() for run in runs] == [True], "the killed run is gone"
    assert not list(runs[0].glob("worker-*"))
    assert list(system.iterdir()) == []


@pytest.mark.slow
def test_evaluation_goes_on_when_killed(
    mark: str, tmp_path: Path, models: Path, digits: Path, started: list[subprocess.Popen[str]]
) -> None:
    command = (
        "convert",
        models / "keras3.keras",
        "--data",
        digits / "test.npz",
        "--precision",
        "float32",
    )
    for stage in ("evaluate", "latency"):
        process = start(started, *command, cwd=tmp_path)
        wait_for_stage(process, stage)
        time.sleep(1)
        process.kill()
        process.wait()
        assert_no_orphans(mark, 10)
        assert_store_is_whole(tmp_path)
    done = brief(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_no_halves(tmp_path)


@pytest.mark.slow
def test_two_runs_succeed_when_they_share_an_output(
    mark: str, tmp_path: Path, models: Path, digits: Path, started: list[subprocess.Popen[str]]
) -> None:
    command = (*CONVERT, models / "keras3.keras", "--data", digits / "test.npz")
    both = [start(started, *command, cwd=tmp_path) for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert_no_halves(tmp_path)
    assert len(list((tmp_path / ".edgekit" / "runs").iterdir())) == 2
    assert_no_orphans(mark, 0)


@pytest.mark.slow
def test_two_trainings_succeed_when_they_share_an_output(
    mark: str, project: Path, started: list[subprocess.Popen[str]]
) -> None:
    both = [start(started, *CONVERT, cwd=project) for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert_no_halves(project)
    assert sorted(epochs(project)) == list(range(EPOCHS)), "the second waits for the first"
