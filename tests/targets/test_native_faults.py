"""Faults of the native runner, its connection, its compiler and its library, each with a reason."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from native_devices import COMPILER, HOST, Cut, answered, asked, made
from shells import Shell as Connection

from edgekit.contracts.runner import typed
from edgekit.errors import DeviceError, RunnerError, StoreError
from edgekit.targets.devices.inventory import inventory
from edgekit.targets.devices.remote import native, native_build, native_library
from edgekit.targets.devices.remote.machine import Kind
from edgekit.targets.devices.retry import ATTEMPTS
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Silent, Status

pytestmark = COMPILER


@pytest.fixture
def device(tmp_path: Path) -> Iterator[native.NativeDevice]:
    home = tmp_path / "home"
    home.mkdir()
    with contextlib.closing(made(Connection(home), tmp_path / "work")) as device:
        yield device


@pytest.fixture
def doubler(tmp_path: Path) -> Path:
    path = tmp_path / "doubler.tflite"
    path.write_bytes(probe_model())
    return path


@pytest.mark.parametrize(
    "bytes_",
    [2000, pytest.param(300, marks=pytest.mark.slow), pytest.param(9000, marks=pytest.mark.slow)],
)
def test_evaluation_goes_on_where_the_connection_broke(
    doubler: Path, tmp_path: Path, bytes_: int
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    items = np.arange(4000, dtype=np.float32).reshape(1000, 4)
    connection = Cut(home, bytes=bytes_, left=[1, 1])
    with contextlib.closing(made(connection, tmp_path / "work")) as device:
        found = answered(device, asked(doubler, tmp_path / "asked", {"x": items}, block=10))
    assert connection.left == []
    assert np.array_equal(found["y.npy"], 2 * items)


@pytest.mark.slow
def test_connection_that_never_holds_is_an_error(doubler: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    connection = Cut(home, bytes=60, left=[1] * 9)
    request = asked(doubler, tmp_path / "asked", {"x": np.ones((3, 4), np.float32)})
    with (
        contextlib.closing(made(connection, tmp_path / "work")) as device,
        pytest.raises(DeviceError) as caught,
    ):
        device.run(typed(request))
    assert caught.value.code == "EK-DEVICE-075"
    assert len(connection.left) == 9 - ATTEMPTS


def test_killed_runner_is_an_error_and_the_device_goes_on(
    device: native.NativeDevice, doubler: Path, tmp_path: Path
) -> None:
    request = asked(doubler, tmp_path / "asked", {"x": np.ones((3, 4), np.float32)}, mode="bench")
    with contextlib.closing(device.open(typed(request))) as session:
        session.ready()
        (runner,) = native_children(device)
        os.kill(runner, signal.SIGKILL)
        with pytest.raises(RunnerError) as caught:
            session.block("model", 0.0, 1)
    assert caught.value.code == "EK-RUNNER-001"
    assert "SIGKILL" in caught.value.message
    stop = {"blocks": 1, "seconds": 0.0, "runs": 1}
    assert device.run(typed({**request, "stop": stop}))["models"]


def native_children(device: native.NativeDevice) -> list[int]:
    """The runners that live, by their shells."""
    shells = [process.pid for process in device._live]
    return [child.pid for pid in shells for child in psutil.Process(pid).children()]


def test_runner_ends_when_its_connection_is_cut(
    device: native.NativeDevice, doubler: Path, tmp_path: Path
) -> None:
    request = asked(doubler, tmp_path / "asked", {"x": np.ones((3, 4), np.float32)}, mode="bench")
    session = device.open(typed(request))
    session.ready()
    (runner,) = native_children(device)
    (process,) = device._live
    # As a dropped login does: the host's end goes, with no word to what runs there.
    assert process._process.stdin is not None
    process._process.stdin.close()
    end = time.monotonic() + 5
    while psutil.pid_exists(runner) and time.monotonic() < end:
        time.sleep(0.02)
    assert not psutil.pid_exists(runner)


def test_full_disk_of_this_host_is_an_error(
    device: native.NativeDevice, doubler: Path, tmp_path: Path
) -> None:
    request = asked(doubler, tmp_path / "asked", {"x": np.ones((3, 4), np.float32)})
    outputs = tmp_path / "asked" / "outputs"
    outputs.mkdir()
    (outputs / "y.npy").symlink_to("/dev/full")
    with pytest.raises(StoreError) as caught:
        device.run(typed(request))
    assert caught.value.code == "EK-STORE-001"


@pytest.mark.skipif(shutil.which("flock") is None, reason="there is no flock: util-linux has it")
def test_two_edgekits_take_turns_and_the_second_is_told_whose_it_is(
    device: native.NativeDevice, doubler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(device._files.folder())
    told: list[str] = []
    monkeypatch.setattr(
        device._turn, "_progress", SimpleNamespace(update=lambda _, __, text: told.append(text))
    )
    with (folder / "lock").open("w+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(json.dumps({"owner": "ada@desk (process 7)", "key": "hers", "since": 0.0}))
        other.flush()
        items = np.arange(40, dtype=np.float32).reshape(10, 4)
        request = asked(doubler, tmp_path / "asked", {"x": items})
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(answered, device, request)
            end = time.monotonic() + 20
            while not told and time.monotonic() < end:
                time.sleep(0.05)
            assert not found.done()
            fcntl.flock(other, fcntl.LOCK_UN)
            assert np.array_equal(found.result(30)["y.npy"], 2 * items)
    assert told[0].startswith("waiting for ada@desk (process 7), who has used ")
    # It is held by this process now, and said so.
    assert "key" in json.loads((folder / "lock").read_text())
    with (folder / "lock").open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_runner_that_hears_nothing_of_the_host_ends(tmp_path: Path) -> None:
    runner, library = native_build.obtain(HOST), native_library.obtain(HOST, Silent()).path
    command = [str(runner), str(library), "1"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.wait(10) == 66


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "cannot be loaded"),
        ("int other(void) { return 0; }", "has no LiteRtCreateEnvironment"),
        ("int LiteRtCreateCpuOptions(void) { return 0; }", "of a release before 2.2"),
    ],
)
def test_library_that_is_none_is_a_device_error(
    doubler: Path, tmp_path: Path, code: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "libLiteRt.so"
    path.write_bytes(b"no library")
    if code:
        command = ["cc", "-shared", "-o", str(path), "-xc", "-"]
        subprocess.run(command, input=code.encode(), check=True)
    monkeypatch.setenv(native_library.VARIABLE, str(path))
    (tmp_path / "home").mkdir()
    request = asked(doubler, tmp_path / "asked", {"x": np.ones((3, 4), np.float32)})
    with (
        contextlib.closing(made(Connection(tmp_path / "home"), tmp_path / "work")) as device,
        pytest.raises(DeviceError) as caught,
    ):
        device.run(typed(request))
    assert caught.value.code == "EK-DEVICE-079"
    assert reason in caught.value.hint


def test_inventory_has_the_native_runner_of_this_host() -> None:
    (entry,) = inventory(["local:native"])
    assert (entry.status, entry.message) == (Status.PASSED, "runs a model")
    assert entry.version


def test_native_runner_is_unavailable_without_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", str(tmp_path / "none"))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "cat", "chmod", "mkdir", "mv", "rm", "wc", "sha256sum", "dd", "ls", "uname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(programs))
    (entry,) = inventory(["local:native"])
    assert entry.status == Status.UNAVAILABLE
    assert "no C compiler for" in entry.message
    assert "apt-get install gcc" in entry.message


@pytest.mark.parametrize(
    ("kind", "code", "hint"),
    [
        (Kind("Linux", "aarch64", "bionic"), "EK-DEVICE-077", "ANDROID_NDK_HOME"),
        (Kind("Linux", "riscv64", "glibc"), "EK-DEVICE-077", "gcc-riscv64-linux-gnu"),
        (Kind("Linux", "mips", "glibc"), "EK-DEVICE-077", "EDGEKIT_NATIVE_RUNNER"),
    ],
)
def test_machine_without_a_compiler_is_unavailable_with_what_helps(
    kind: Kind, code: str, hint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in native_build.NDK:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DeviceError) as caught:
        native_build.obtain(kind)
    assert caught.value.code == code
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "kind", [Kind("Linux", "aarch64", "bionic"), Kind("Linux", "armv7l", "glibc")]
)
def test_machine_without_a_library_is_unavailable_with_what_helps(kind: Kind) -> None:
    with pytest.raises(DeviceError) as caught:
        native_library.obtain(kind, Silent())
    assert caught.value.code == "EK-DEVICE-078"
    assert native_library.VARIABLE in caught.value.hint


def test_runner_is_built_once_and_again_for_another_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = native_build.obtain(HOST)
    built = first.stat().st_mtime_ns
    assert native_build.obtain(HOST) == first
    assert first.stat().st_mtime_ns == built
    other = tmp_path / "other-cc"
    other.write_text('#!/bin/sh\nexec cc "$@"\n')
    other.chmod(0o700)
    monkeypatch.setenv("CC", str(other))
    assert native_build.obtain(HOST) != first


def test_compiler_that_fails_is_an_error_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    broken = tmp_path / "broken-cc"
    broken.write_text("#!/bin/sh\necho 'planted.c:1: error: no such thing' >&2\nexit 1\n")
    broken.chmod(0o700)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(DeviceError) as caught:
        native_build.obtain(HOST)
    assert caught.value.code == "EK-DEVICE-077"
    assert "planted.c:1: error" in caught.value.hint
