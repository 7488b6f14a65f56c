"""Environments of other releases: made once, proven, and never taken for good when half-made.

The installer is the real one. What it installs by default are wheels written here, whose runtime
and numpy are this Python's own under another version: nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from conftest import EDGEKIT, edgekit, once
from edgekit.contracts.runner import typed
from edgekit.errors import DeviceError, ExitCode
from edgekit.targets.devices import Workplace, environment, installer, open_device, parse
from edgekit.targets.devices.environment import STAMP
from edgekit.targets.devices.installer import numpy_for
from edgekit.targets.runners import RUNNERS
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Silent

NAME = "local:ai-edge-litert==9.9.1"
BROKEN = "local:ai-edge-litert==9.9.2"
# Read by Python at its start: what lies in the environment itself still comes first.
BORROWED = f"{sysconfig.get_paths()['purelib']}\n"


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    """Write a wheel. Source: PyPA specification "Binary distribution format"."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in files)
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)


@pytest.fixture(scope="session")
def wheels(shared: Path) -> Path:
    """A folder of wheels: a runtime that works, one that does not, and a numpy."""

    def make(folder: Path) -> None:
        wheel(folder, "ai-edge-litert", "9.9.1", {"borrowed.pth": BORROWED})
        planted = {
            "ai_edge_litert/__init__.py": "",
            "ai_edge_litert/interpreter.py": "raise ImportError('planted')\n",
        }
        wheel(folder, "ai-edge-litert", "9.9.2", {"borrowed.pth": BORROWED, **planted})
        wheel(folder, "numpy", "9.9.9", {})

    return once(shared / "wheels", make)


def settings(cache: Path, wheels: Path) -> dict[str, str]:
    """The variables under which pip takes those wheels and nothing else, and finds no uv."""
    return {
        "XDG_CACHE_HOME": str(cache),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_CONFIG_FILE": os.devnull,
        "PATH": str(wheels),
    }


@pytest.fixture
def local_wheels(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; the installer takes the wheels written here."""
    for name, value in settings(tmp_path / "cache", wheels).items():
        monkeypatch.setenv(name, value)
    return tmp_path / "cache" / "edgekit" / "environments"


@pytest.fixture(scope="session")
def made(shared: Path, wheels: Path) -> Path:
    """A cache in which two processes have made the same environment at once. Read only.

    ``out-0.txt`` and ``out-1.txt`` hold what they printed. A half-made one was in the way.
    """

    def make(folder: Path) -> None:
        half = folder / "cache/edgekit/environments" / f"ai-edge-litert-9.9.1-{environment.PYTHON}"
        (half / "bin").mkdir(parents=True)
        (half / "bin" / "python").write_text("half-made")
        # What lies in the folder that edgekit is called in is imported by none of its processes.
        called = folder / "called"
        called.mkdir()
        for module in ("json", "pip", "venv", "subprocess"):
            (called / f"{module}.py").write_text("raise SystemExit('planted')\n")
        variables = {**os.environ, **settings(folder / "cache", wheels)}
        processes = []
        for number in range(2):
            with (folder / f"out-{number}.txt").open("w") as out:
                command = [EDGEKIT, "devices", "setup", NAME]
                processes.append(
                    subprocess.Popen(command, stdout=out, stderr=out, env=variables, cwd=called)
                )
        assert [process.wait(120) for process in processes] == [0, 0]

    return once(shared / "environments", make)


@pytest.fixture
def cached(made: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The made cache, in use."""
    for name, value in settings(made / "cache", wheels).items():
        monkeypatch.setenv(name, value)
    return made / "cache" / "edgekit" / "environments"


def test_two_processes_make_an_environment_once(made: Path, cached: Path) -> None:
    (log,) = cached.glob("*.log")
    assert log.read_text().count("Successfully installed ai-edge-litert-9.9.1 numpy-9.9.9") == 1
    for number in range(2):
        assert re.search(r"9\.9\.1 +runs a model", (made / f"out-{number}.txt").read_text())


def test_device_of_a_release_runs_in_its_environment_and_names_it(
    cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a user's own PYTHONPATH holds is not part of an isolated environment.
    (tmp_path / "numpy.py").write_text("raise ImportError('planted')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    device = open_device(parse(NAME), Workplace(tmp_path / "requests", tmp_path / "log.txt"))
    folder = cached / f"ai-edge-litert-9.9.1-{environment.PYTHON}"
    assert (device.version, device.facts()["environment"]) == ("9.9.1", str(folder))
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    np.save(tmp_path / "x.npy", np.ones((3, 4), np.float32))
    entry = {"id": "probe", "path": str(tmp_path / "probe.tflite"), "outputs": str(tmp_path / "o")}
    result = device.run(
        typed({"mode": "evaluate", "models": [entry], "inputs": {"x": str(tmp_path / "x.npy")}})
    )
    assert (result["runtime"], result["version"]) == ("litert", "9.9.1")
    assert (np.load(tmp_path / "o" / "y.npy") == 2).all()


def test_second_time_nothing_is_run(
    cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", fail)
    assert environment.obtain(parse(NAME), tmp_path, Silent()).version == "9.9.1"


def test_made_environments_are_listed(cached: Path) -> None:
    assert [one.name.text for one in environment.made()] == [NAME]


def test_release_that_does_not_run_the_probe_is_not_kept(
    local_wheels: Path, tmp_path: Path
) -> None:
    with pytest.raises(DeviceError) as caught:
        open_device(parse(BROKEN), Workplace(tmp_path / "requests", tmp_path / "log.txt"))
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-020", ExitCode.UNAVAILABLE)
    assert "ai-edge-litert is not installed" in caught.value.hint
    assert environment.made() == ()
    assert [path.suffix for path in local_wheels.glob("ai-edge-litert*")] == [".log"]
    assert list((tmp_path / "requests").iterdir()) == []


def test_release_that_does_not_exist_is_told_with_those_that_do(
    local_wheels: Path, tmp_path: Path
) -> None:
    done = edgekit("devices", "setup", "local:ai-edge-litert==9.9.3", cwd=tmp_path)
    assert done.returncode == 3
    assert "EK-DEVICE-013: local:ai-edge-litert==9.9.3 cannot be made here" in done.stderr
    assert "no version" in done.stderr.lower() or "could not find a version" in done.stderr.lower()
    assert "9.9.1, 9.9.2" in done.stderr
    assert not [path for path in local_wheels.iterdir() if path.is_dir()]


# An installer that makes part of an environment, and then takes for ever.
SLOW = """#!/bin/sh
for folder; do :; done
case "$folder" in
  /*) mkdir -p "$folder/bin" && echo half > "$folder/bin/half" ;;
esac
sleep 60
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_making_leaves_nothing_that_is_taken_for_good(
    local_wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "uv").write_text(SLOW)
    (tools / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    process = subprocess.Popen(
        [EDGEKIT, "devices", "setup", NAME],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        # Tests that a shell started in its background would hand on an ignored Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 30
    while not list(local_wheels.glob("*/bin/half")) and time.monotonic() < deadline:
        time.sleep(0.05)
    (installing,) = psutil.Process(process.pid).children()
    process.send_signal(sent)
    assert process.wait(20) == (130 if sent is signal.SIGINT else -signal.SIGKILL)
    if sent is signal.SIGINT:
        assert not [path for path in local_wheels.iterdir() if path.is_dir()]
        assert not installing.is_running()
    else:
        # What is left to itself still holds the turn: nobody builds beside it.
        waiting = subprocess.Popen([EDGEKIT, "devices", "remove", NAME], stderr=subprocess.PIPE)
        assert waiting.stderr is not None
        assert b"waiting for another edgekit" in waiting.stderr.readline()
        assert installing.is_running()
        os.killpg(installing.pid, signal.SIGKILL)
        assert waiting.wait(20) == 0
        waiting.stderr.close()
    assert environment.made() == ()


def plant(cache: Path, python: Path) -> Path:
    """A made environment, as far as its stamp and its Python say."""
    folder = cache / f"ai-edge-litert-9.9.1-{environment.PYTHON}"
    (folder / "bin").mkdir(parents=True)
    (folder / STAMP).write_text(json.dumps({"name": NAME, "version": "9.9.1"}))
    (folder / "bin" / "python").symlink_to(python)
    return folder


def test_remove_deletes_an_environment(local_wheels: Path, tmp_path: Path) -> None:
    folder = plant(local_wheels, Path(sys.executable))
    assert environment.made()
    assert environment.remove(parse(NAME), Silent()) == folder
    assert not folder.exists()
    with pytest.raises(DeviceError) as caught:
        environment.remove(parse(NAME), Silent())
    assert caught.value.code == "EK-DEVICE-021"


def test_environment_whose_python_is_gone_counts_as_not_made(
    local_wheels: Path, tmp_path: Path
) -> None:
    plant(local_wheels, tmp_path / "removed")
    assert environment.made() == ()
    assert environment.environment(parse(NAME)).version == ""


def test_cache_that_cannot_be_written_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DeviceError) as caught:
        environment.obtain(parse(NAME), tmp_path, Silent())
    assert caught.value.code == "EK-DEVICE-013"
    assert "XDG_CACHE_HOME" in caught.value.hint


@pytest.mark.parametrize(
    ("variable", "expected"), [("/elsewhere", "/elsewhere"), ("relative", "~"), ("", "~")]
)
def test_cache_home_follows_the_specification(
    monkeypatch: pytest.MonkeyPatch, variable: str, expected: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", variable)
    home = Path.home() / ".cache"
    assert installer.cache_home() == (home if expected == "~" else Path(expected))


NOT_FOUND = "ERROR: Could not find a version that satisfies the requirement p==9"
# What pip 23.2 and uv 0.13 print.
FAILURES: dict[str, tuple[list[str], str, str]] = {
    "pip, no such release": (
        [f"{NOT_FOUND} (from versions: 1.0, 2.0)", "ERROR: No matching distribution found"],
        "Could not find a version that satisfies the requirement p==9",
        "releases of p for Python",
    ),
    "pip, no wheel": (
        [f"{NOT_FOUND} (from versions: none)"],
        "Could not find a version that satisfies the requirement p==9",
        "use another Python",
    ),
    "pip, offline": (
        [
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(",
            f"{NOT_FOUND} (from versions: none)",
        ],
        "Could not find a version that satisfies the requirement p==9",
        "cannot be reached",
    ),
    "pip, disk full": (
        [
            "Installing collected packages: p",
            "ERROR: Could not install packages due to an OSError: "
            "[Errno 28] No space left on device",
        ],
        "No space left on device",
        "the whole log is",
    ),
    "uv, no such release": (
        [
            "error: No solution found when resolving dependencies",
            "  cause: Because there is no version of p==9 and you require p==9, we can conclude",
        ],
        "Because there is no version of p==9",
        "the whole log is",
    ),
    "uv, no wheel": (
        [
            "  × No solution found when resolving dependencies:",
            "  ╰─▶ Because p==9 has no wheels with a matching Python ABI tag and you require p==9",
        ],
        "Because p==9 has no wheels",
        "use another Python",
    ),
    "uv, offline": (
        [
            "error: Request failed after 3 retries in 6.2s",
            "  cause: error sending request for url (http://127.0.0.1:9/simple/p/)",
        ],
        "Request failed after 3 retries",
        "cannot be reached",
    ),
    "nothing said": ([], "it gave no reason", "the whole log is"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_reason_is_the_installers_own_and_what_to_do(case: str) -> None:
    lines, said, advice = FAILURES[case]
    first, second = installer.reason(lines, "p", Path("log")).split("\n")
    assert said in first
    assert advice in second


@pytest.mark.parametrize(
    ("runtime", "version", "expected"),
    [
        ("tflite-runtime", "2.14.0", "numpy<2"),
        ("tflite-runtime", "99.0", "numpy<2"),
        ("litert", "1.0.1", "numpy<2"),
        ("litert", "1.1.1", "numpy"),
        ("litert", "2.3.0", "numpy"),
        ("litert", "1.10.0", "numpy"),
        ("tensorflow", "2.17.1", "numpy<2"),
        ("tensorflow", "2.21.0", "numpy"),
    ],
)
def test_numpy_is_of_the_generation_that_a_release_was_built_for(
    runtime: str, version: str, expected: str
) -> None:
    assert numpy_for(RUNNERS[runtime], version) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "release",
    [
        pytest.param(
            "tflite-runtime==2.14.0",
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 12), reason="tflite-runtime has no wheel for this Python"
            ),
        ),
        "ai-edge-litert==1.4.0",
    ],
)
def test_published_release_is_installed_and_evaluates(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converted: Path
) -> None:
    """Downloads from PyPI. The model has a signature, which old releases read otherwise."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    device = open_device(
        parse(f"local:{release}"), Workplace(tmp_path / "requests", tmp_path / "log.txt")
    )
    assert device.version == release.split("==")[1]
    entry = {"id": "m", "path": str(converted / "int8.tflite"), "outputs": str(tmp_path / "o")}
    asked: dict[str, Any] = {
        "mode": "evaluate",
        "models": [entry],
        "inputs": {"image": str(converted / "test.npy")},
        "preprocess": {"scale": 1 / 16},
    }
    result = device.run(typed(asked))
    assert result["version"] == device.version
    expected = np.load(converted / "test-digit.npy")
    got = np.load(next((tmp_path / "o").glob("*.npy")))
    assert np.mean(got.argmax(1) == expected.argmax(1)) >= 0.97
    shutil.rmtree(tmp_path / "cache")
