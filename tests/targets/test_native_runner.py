"""The native C runner: the device contract, LiteRT's own answers to the bit, and its faults."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from flatfiles import convolutional
from shells import Shell as Connection
from tflite_files import G, N, T, build

from edgekit.contracts.device import HANG, DeviceContract
from edgekit.contracts.device import STARTS as STARTS
from edgekit.contracts.runner import Bench
from edgekit.errors import DeviceError, RunnerError
from edgekit.process import Limits
from edgekit.targets.devices import RunnerSession, Transport, Workplace
from edgekit.targets.devices.inventory import inventory
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.devices.remote import native, native_build, native_library
from edgekit.targets.devices.remote.console import Console
from edgekit.targets.devices.remote.native_machine import Kind
from edgekit.targets.devices.remote.native_process import Program
from edgekit.targets.devices.remote.shell_files import ShellFiles
from edgekit.targets.runners import RUNNER_FILES
from edgekit.types import Silent, Status

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="there is no C compiler: apt-get install gcc libc6-dev"
)
Json = Mapping[str, Any]
HOST = Kind("Linux", os.uname().machine, "glibc")
# The runner's protocol without a model; ``action`` is done at the command number ``at`` of those
# that load (0) or run (1).
PLANTED = """#!{python}
import ctypes, subprocess, sys, time

def planted():
    {action}

print("ready", flush=True)
for line in sys.stdin:
    word, *rest = line.split()
    if {at} == {{"open": 0, "time": 1, "evaluate": 1}}.get(word):
        planted()
    if word == "open":
        print("load 1\\ninput 1 0x0p+0 0 2 1 4 x\\noutput 1 0x0p+0 0 2 1 4 y")
    if word == "first":
        print("first 1 0 0")
    if word == "time":
        print("ns 1")
    if word == "evaluate":
        start, stop = int(rest[1]), int(rest[2])
        print("block", start, stop, 16 * (stop - start), flush=True)
        sys.stdout.buffer.write(bytes(16 * (stop - start)))
        sys.stdout.buffer.flush()
    if word != "alive":
        print("ok", flush=True)
"""


@dataclass(frozen=True)
class Cut(Connection):
    """A connection that breaks after so many bytes of answers, the first times."""

    bytes: int = 0
    left: list[int] = field(default_factory=list)

    def command(self, script: str) -> list[str]:
        whole = super().command(script)
        if "edgekit-runner" not in script or not self.left:
            return whole
        self.left.pop()
        return ["sh", "-c", f'"$@" | dd bs=1 count={self.bytes} 2>/dev/null', "sh", *whole]


def made(
    connection: Connection, folder: Path, limits: Limits | None = None, runner: Path | None = None
) -> native.NativeDevice:
    """The native device at the end of a connection, with another runner where one is given."""
    files = ShellFiles(connection, connection.folder)
    there = files.push([runner or native_build.obtain(HOST)], executable=True)
    library = native_library.obtain(HOST, Silent()).path
    program = Program(*there.values(), files.push([library])[library])
    folder.mkdir(parents=True, exist_ok=True)
    place = Workplace(folder, folder.parent / "log.txt", limits or Limits(), Silent())
    return native.NativeDevice(files, Console(files.shell), program, HOST, "2.3", place)


@dataclass(frozen=True)
class Renamed:
    """A device whose runtime has another name, as the contract plants one."""

    device: native.NativeDevice

    def __getattr__(self, name: str) -> Any:
        return getattr(self.device, name)

    def run(self, request: Json) -> Json:
        return {**self.device.run({**request, "runtime": "native"}), "runtime": "planted"}

    def open(self, request: Json) -> RunnerSession:
        return self.device.open({**request, "runtime": "native"})


class TestNativeDevice(DeviceContract):
    """All of it but what only a Python runner can be: missing, or the parent of a child."""

    runtime = "native"
    test_runtime_that_is_missing_is_a_device_error_with_its_reason = None

    @pytest.fixture
    def bench(self, doubler: Path, tmp_path: Path) -> Bench:
        return Bench(Path(), self.runtime, doubler, tmp_path)

    def transport(
        self, folder: Path, limits: Limits | None, runners: Mapping[str, Path]
    ) -> Transport:
        home = folder.parent / "höme of it"
        home.mkdir(exist_ok=True)
        return made(Connection(home, before="echo hello\n"), folder, limits)

    def planted(
        self, folder: Path, action: str, limits: Limits | None = None, at: int = 0
    ) -> Transport:
        home = folder / "home"
        home.mkdir(exist_ok=True)
        runner = folder / "planted"
        runner.write_text(PLANTED.format(python=sys.executable, action=action, at=at))
        return Renamed(made(Connection(home), folder / "work", limits, runner))

    @pytest.mark.parametrize("how", ["run", "open"])
    def test_runtime_without_a_runner_is_a_device_error(
        self, tmp_path: Path, bench: Bench, how: str
    ) -> None:
        device = self.transport(tmp_path / "work", None, {})
        with pytest.raises(DeviceError) as caught:
            STARTS[how](device, {**bench.request("evaluate"), "runtime": "planted"})
        assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-001", 3)

    @pytest.mark.parametrize("how", ["run", "open"])
    @pytest.mark.parametrize(
        ("limits", "code"),
        [(Limits(seconds=1.0), "EK-RUNNER-003"), (Limits(bytes=4_000_000), "EK-RUNNER-004")],
        ids=["hang", "memory"],
    )
    def test_limits_end_a_runner_and_what_it_started(
        self, tmp_path: Path, bench: Bench, how: str, limits: Limits, code: str
    ) -> None:
        slow = limits.seconds is not None
        device = self.planted(tmp_path, HANG, limits) if slow else None
        device = device or self.transport(tmp_path / "work", limits, {})
        stop = {"blocks": 1, "seconds": 5.0, "runs": 1}
        with pytest.raises(RunnerError) as caught:
            STARTS[how](device, bench.request("bench", stop=stop))
        assert caught.value.code == code
        assert "[limits]" in caught.value.hint


@pytest.fixture
def device(tmp_path: Path) -> Iterator[native.NativeDevice]:
    home = tmp_path / "home"
    home.mkdir()
    with contextlib.closing(made(Connection(home), tmp_path / "work")) as device:
        yield device


def asked(model: Path, folder: Path, inputs: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A request to evaluate arrays of items."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, items in inputs.items():
        np.save(folder / f"{name}.npy", items)
    entry = {"id": "model", "path": str(model), "outputs": str(folder / "outputs")}
    return {
        "schema": 1, "mode": "evaluate", "runtime": "native", "models": [entry],
        "inputs": {name: str(folder / f"{name}.npy") for name in inputs}, "batch": 1,
        "processes": 1, **changes,
    }  # fmt: skip


def answered(device: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Every output by its file's name."""
    device.run(request)
    folder = Path(request["models"][0]["outputs"])
    return {path.name: np.load(path) for path in folder.glob("*.npy")}


def same_as_litert(
    device: Transport, model: Path, inputs: Mapping[str, Any], folder: Path, **changes: Any
) -> None:
    """The native runner's answers are those of LiteRT's interpreter and CompiledModel."""
    local = LocalDevice(folder, folder / "log.txt", runners=RUNNER_FILES)
    found = answered(device, asked(model, folder / "native", inputs, **changes))
    assert found
    for runtime in ("litert", "compiled-model"):
        request = asked(model, folder / runtime, inputs, runtime=runtime, **changes)
        expected = answered(local, request)
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            assert value.dtype == found[name].dtype == np.float32
            assert value.tobytes() == found[name].tobytes(), (runtime, name)


@pytest.mark.parametrize("delegate", ["xnnpack", "none"])
def test_int8_answers_are_those_of_litert_to_the_bit(
    device: native.NativeDevice, tmp_path: Path, delegate: str
) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(convolutional())
    images = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    changes = {"delegate": delegate, "preprocess": {"scale": 1 / 64, "offset": -2.0}}
    same_as_litert(device, model, {"image": images}, tmp_path, **changes)


def test_items_of_an_index_are_answered_at_their_positions(
    device: native.NativeDevice, doubler: Path, tmp_path: Path
) -> None:
    items = np.arange(40, dtype=np.float32).reshape(10, 4)
    np.save(tmp_path / "index.npy", np.array([7, 2, 5, 9]))
    request = asked(
        doubler, tmp_path / "asked", {"x": items}, index=str(tmp_path / "index.npy"), items=[1, 4]
    )
    found = answered(device, request)["y.npy"]
    assert np.array_equal(found[1:], 2 * items[[2, 5, 9]])


@pytest.fixture
def doubler(tmp_path: Path) -> Path:
    path = tmp_path / "doubler.tflite"
    path.write_bytes(
        build(G([T("x", (1, 4)), T("y", (1, 4))], [N("ADD", ["x", "x"], ["y"])], ["x"], ["y"]))
    )
    return path


NUMBERS = T("x", (1, 4))
REFUSED = {
    "an output that is an input": (
        G([NUMBERS, T("y", (1, 4))], [N("ADD", ["x", "x"], ["y"])], ["x"], ["y", "x"]),
        "is an input too",
    ),
    "a shape that follows the values": (
        G([T("x", (1, 4), "BOOL"), T("w", (1, 2), "INT64"), T("y", (1, 2))],
          [N("WHERE", ["x"], ["w"]),
           N("CAST", ["w"], ["y"], options={"kind": "CastOptions", "inDataType": 4})],
          ["x"], ["y"]),
        "the shape of output y follows the values",
    ),
    "a batch of two": (
        G([T("x", (2, 4)), T("y", (2, 4))], [N("ADD", ["x", "x"], ["y"])], ["x"], ["y"]),
        "no batch of 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", REFUSED)
def test_model_that_cannot_be_answered_for_is_refused(
    device: native.NativeDevice, tmp_path: Path, which: str
) -> None:
    graph, reason = REFUSED[which]
    model = tmp_path / "model.tflite"
    model.write_bytes(build(graph))
    # Of the first item one element is true, as the file has it; of the second none.
    items = np.array([[1, 0, 0, 0], [0, 0, 0, 0]], graph.tensors[0].dtype.lower())
    with pytest.raises(RunnerError) as caught:
        device.run(asked(model, tmp_path / "asked", {"x": items}))
    assert caught.value.code == "EK-RUNNER-002"
    assert reason in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mode": "trace"}, "no mode 'trace'"),
        ({"delegate": "gpu"}, "no delegate 'gpu'"),
        ({"batch": 8}, "one by one"),
        ({"threads": -1}, "no number of threads"),
    ],
)
def test_what_the_runner_has_not_is_refused_by_name(
    device: native.NativeDevice, doubler: Path, tmp_path: Path, changes: Any, reason: str
) -> None:
    request = asked(doubler, tmp_path / "asked", {"x": np.ones((3, 4), np.float32)}, **changes)
    with pytest.raises(RunnerError) as caught:
        device.run(request)
    assert caught.value.code == "EK-RUNNER-002"
    assert reason in caught.value.hint


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
        device.run(request)
    assert caught.value.code == "EK-DEVICE-075"
    assert len(connection.left) == 6


def test_killed_runner_is_an_error_and_the_device_goes_on(
    device: native.NativeDevice, doubler: Path, tmp_path: Path
) -> None:
    request = asked(doubler, tmp_path / "asked", {"x": np.ones((3, 4), np.float32)}, mode="bench")
    with contextlib.closing(device.open(request)) as session:
        session.ready()
        (runner,) = native_children(device)
        os.kill(runner, signal.SIGKILL)
        with pytest.raises(RunnerError) as caught:
            session.block("model", 0.0, 1)
    assert caught.value.code == "EK-RUNNER-001"
    assert "SIGKILL" in caught.value.message
    assert device.run({**request, "stop": {"blocks": 1, "seconds": 0.0, "runs": 1}})["models"]


def native_children(device: native.NativeDevice) -> list[int]:
    """The runners that live, by their shells."""
    shells = [process.pid for process in device._live]
    return [child.pid for pid in shells for child in psutil.Process(pid).children()]


def test_runner_ends_when_its_connection_is_cut(
    device: native.NativeDevice, doubler: Path, tmp_path: Path
) -> None:
    request = asked(doubler, tmp_path / "asked", {"x": np.ones((3, 4), np.float32)}, mode="bench")
    session = device.open(request)
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


def test_runner_that_hears_nothing_of_the_host_ends(tmp_path: Path) -> None:
    runner, library = native_build.obtain(HOST), native_library.obtain(HOST, Silent()).path
    command = [str(runner), str(library), "1"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.wait(10) == 66


@pytest.mark.parametrize(
    ("library", "reason"), [(b"no library", "cannot be loaded"), (None, "has no LiteRtCreate")]
)
def test_library_that_is_none_is_a_device_error(
    doubler: Path, tmp_path: Path, library: bytes | None, reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "libLiteRt.so"
    if library is None:
        command = ["cc", "-shared", "-o", str(path), "-xc", "-"]
        subprocess.run(command, input=b"int other(void) { return 0; }", check=True)
    else:
        path.write_bytes(library)
    monkeypatch.setenv(native_library.VARIABLE, str(path))
    (tmp_path / "home").mkdir()
    request = asked(doubler, tmp_path / "asked", {"x": np.ones((3, 4), np.float32)})
    with (
        contextlib.closing(made(Connection(tmp_path / "home"), tmp_path / "work")) as device,
        pytest.raises(DeviceError) as caught,
    ):
        device.run(request)
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


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["hello_world_int8", "mnist_quantized", "conv_fc_mnist", "conv_fc_mnist_srq_a8w8",
     "partly_quantized_mnist", "two_signatures", "weight_sharing_fcs"],
)  # fmt: skip
def test_real_models_are_answered_as_by_litert(
    test_data: Path, device: native.NativeDevice, tmp_path: Path, name: str
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    from edgekit.targets.runners.python_runner import TFLiteModel

    model = test_data / "misc_tflite" / f"{name}.tflite"
    inputs, _ = TFLiteModel.tensors(Interpreter(str(model)))
    random = np.random.default_rng(2)
    items = {
        name: random.normal(size=(20, *info.shape[1:])).astype(np.float32)
        for name, info in inputs.items()
    }
    same_as_litert(device, model, items, tmp_path)
