"""A whole arm64 device behind a real sshd, emulated: pushed to, benched, compared, left empty."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import emulators
import numpy as np
import pytest
from ssh_server import SshServer, needs_sshd

from conftest import Run, edgekit
from edgekit.process import Limits
from edgekit.targets.devices import Device, Workplace, parse
from edgekit.targets.devices.transports import emulator
from edgekit.targets.devices.transports.emulator import EmulatorConnection
from edgekit.types import Silent

# It is asked for before a model is trained: without it all is skipped at once.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("arm64")]
ADDRESS = "emulator://arm64"
RUNTIME = "#tflite-runtime"
# On the device: nothing of a test's stays in the folder that emulator:// uses itself.
FOLDER = "/srv/over-ssh"
QUICK = ("--min-seconds", "0.1", "--max-seconds", "0.5", "--launches", "2", "--min-runs", "10")


@pytest.fixture(scope="session")
def home(shared: Path) -> Path:
    return emulators.cache_home(shared)


@pytest.fixture(scope="session")
def arm64(home: Path) -> Iterator[EmulatorConnection]:
    with emulators.created(home, ADDRESS) as device:
        yield device


@pytest.fixture(scope="module")
def board(
    arm64: EmulatorConnection, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SshServer]:
    """The device behind a real sshd."""
    needs_sshd()
    with emulators.behind_ssh(arm64, tmp_path_factory.mktemp("board") / "sshd") as server:
        yield server


@pytest.fixture(scope="module")
def commands(board: SshServer, home: Path) -> Run:
    """edgekit's command as a user of that board has it."""

    def run(*arguments: object, cwd: Path) -> Any:
        return edgekit(*arguments, cwd=cwd, XDG_CACHE_HOME=str(home), **board.environment)

    return run


@pytest.fixture(scope="module")
def benched(
    board: SshServer, commands: Run, digits_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Any]:
    """What one `edgekit bench BUNDLE` finds on the board, which has Python and numpy only."""
    folder = tmp_path_factory.mktemp("benched")
    (bundle,) = (digits_run / "project" / "dist").glob("*.tar.gz")
    device = board.address(FOLDER)
    commands("devices", "remove", device, cwd=folder)
    done = commands(
        "bench",
        bundle,
        "--device",
        f"{device}{RUNTIME}",
        *QUICK,
        "--max-latency",
        "3600 s",
        "--json",
        cwd=folder,
    )
    assert done.returncode == 3, done.stderr
    return dict(json.loads(done.stdout))


def test_bundle_is_benched_there_with_wheels_that_were_pushed(
    benched: Mapping[str, Any], arm64: EmulatorConnection
) -> None:
    (row,) = benched["rows"]
    assert (row["status"], row["problem"]) == ("passed", "")
    assert (row["runtime"], row["version"], row["inputs"]) == ("tflite-runtime", "2.14.0", "bundle")
    there = arm64.root / FOLDER.removeprefix("/")
    assert list(there.glob("**/tflite_runtime/interpreter.py"))


def test_facts_of_the_device_are_recorded(benched: Mapping[str, Any]) -> None:
    (row,) = benched["rows"]
    assert row["facts"]["machine"] == "aarch64"
    assert row["facts"]["estimates"] == row["estimates"] == "emulated (qemu-user)"
    assert row["facts"]["os"].startswith(("Debian", "Ubuntu"))


def test_latency_there_is_marked_and_keeps_no_limit(benched: Mapping[str, Any]) -> None:
    (row,) = benched["rows"]
    assert row["latency"]["p50"]["value"] > 0
    assert row["latency"]["p50"]["how"] == "estimated"
    assert row["latency"]["p50"]["tool"].startswith("emulated (qemu-user)")
    (check,) = [one for one in benched["verdict"]["checks"] if one["name"] == "latency"]
    assert check["status"] == "unavailable"
    assert "emulated (qemu-user)" in check["message"]


@pytest.mark.usefixtures("benched")
@pytest.mark.parametrize(
    ("precision", "delegate", "error"),
    [("int8", "xnnpack", 0.0), ("float32", "none", 1e-6)],
)
def test_answers_there_are_those_of_the_host(
    board: SshServer,
    commands: Run,
    digits_run: Path,
    tmp_path: Path,
    precision: str,
    delegate: str,
    error: float,
) -> None:
    project = digits_run / "project"
    done = commands(
        "compare",
        project / "build" / "digits" / precision / "model.tflite",
        "--project",
        project / "edgekit.toml",
        "--output",
        tmp_path,
        "--device",
        "local:tflite-runtime",
        "--device",
        f"{board.address(FOLDER)}{RUNTIME}",
        "--delegate",
        delegate,
        "--no-latency",
        "--max-error",
        error,
        "--json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["estimates"] for one in found["models"]] == ["", "emulated (qemu-user)"]
    assert found["models"][0]["metric"]["value"] == found["models"][1]["metric"]["value"] > 0.9
    (contrast,) = found["contrasts"]
    assert (contrast["changed"]["value"] == 0) == (error == 0)


@pytest.mark.usefixtures("benched")
def test_device_is_left_as_it_was_found(
    board: SshServer, commands: Run, arm64: EmulatorConnection, tmp_path: Path
) -> None:
    done = commands("devices", "remove", board.address(FOLDER), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (arm64.root / FOLDER.removeprefix("/")).exists()


def test_device_answers_by_its_own_address(
    arm64: EmulatorConnection, commands: Run, tmp_path: Path
) -> None:
    done = commands("devices", "setup", f"{ADDRESS}{RUNTIME}", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with_runtime = opened(tmp_path)
    try:
        facts = with_runtime.facts()
        assert (facts["machine"], facts["estimates"]) == ("aarch64", "emulated (qemu-user)")
        assert facts["cpus"] > 0
        assert with_runtime.core() is not None
    finally:
        with_runtime.close()
    assert (arm64.root / "root" / ".edgekit").is_dir()


def opened(folder: Path) -> Device:
    place = Workplace(folder, folder / "log.txt", Limits(), Silent())
    return emulator.SCHEME.open(parse(f"{ADDRESS}{RUNTIME}"), place)


def test_script_gets_its_input_and_its_surroundings_and_keeps_its_status(
    arm64: EmulatorConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    script = """cat; printf '%s|' "$HOME" "$PWD" "${PYTHONHOME-unset}" 'a "b"'; uname -m; exit 7"""
    sent = bytes(np.random.default_rng(0).integers(0, 256, 70_000, dtype=np.uint8))
    done = subprocess.run(arm64.command(script), input=sent, capture_output=True, check=False)
    assert done.returncode == 7
    assert done.stdout == sent + b'/root|/root|unset|a "b"|aarch64\n'
    assert arm64.failure(7, done.stderr.decode()) is None
