"""The native C runner: the device contract, and LiteRT's own answers to the bit."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flatfiles import convolutional
from native_devices import COMPILER, answered, asked, made
from shells import Shell as Connection
from tflite_files import G, N, T, build, counting

from edgekit.contracts.device import HANG, DeviceContract
from edgekit.contracts.device import STARTS as STARTS
from edgekit.contracts.runner import Bench, typed
from edgekit.errors import DeviceError, RunnerError
from edgekit.process import Limits
from edgekit.targets.devices import RunnerSession, Transport
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.devices.remote import native, native_build, native_library
from edgekit.targets.devices.remote.machine import Kind
from edgekit.targets.runners import RUNNER_FILES
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Request, RunnerResult, Silent

pytestmark = COMPILER
Json = Mapping[str, Any]
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
class Renamed:
    """A device whose runtime has another name, as the contract plants one."""

    device: native.NativeDevice

    def __getattr__(self, name: str) -> Any:
        return getattr(self.device, name)

    def run(self, request: Request) -> RunnerResult:
        return {**self.device.run(replace(request, runtime="native")), "runtime": "planted"}

    def open(self, request: Request) -> RunnerSession:
        return self.device.open(replace(request, runtime="native"))


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
            STARTS[how](device, bench.asked("evaluate", runtime="planted"))
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
            STARTS[how](device, bench.asked("bench", stop=stop))
        assert caught.value.code == code
        assert "[limits]" in caught.value.hint


@pytest.fixture
def device(tmp_path: Path) -> Iterator[native.NativeDevice]:
    home = tmp_path / "home"
    home.mkdir()
    with contextlib.closing(made(Connection(home), tmp_path / "work")) as device:
        yield device


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
    path.write_bytes(probe_model())
    return path


NUMBERS = T("x", (1, 4))
REFUSED = {
    "an output that is an input": (
        G([NUMBERS, T("y", (1, 4))], [N("ADD", ["x", "x"], ["y"])], ["x"], ["y", "x"]),
        "is an input too",
    ),
    "a shape that follows the values": (
        G(
            [T("x", (1, 4), "BOOL"), T("w", (1, 2), "INT64"), T("y", (1, 2))],
            [
                N("WHERE", ["x"], ["w"]),
                N("CAST", ["w"], ["y"], options={"kind": "CastOptions", "inDataType": 4}),
            ],
            ["x"],
            ["y"],
        ),
        "the shape of output y follows the values",
    ),
    "a batch of two": (
        G([T("x", (2, 4)), T("y", (2, 4))], [N("ADD", ["x", "x"], ["y"])], ["x"], ["y"]),
        "not a batch of 1",
    ),
}


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
        device.run(typed(asked(model, tmp_path / "asked", {"x": items})))
    assert caught.value.code == "EK-RUNNER-002"
    assert reason in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mode": "trace"}, "no mode 'trace'"),
        ({"delegate": "gpu"}, "no delegate 'gpu'"),
        ({"batch": 8}, "one by one"),
        ({"threads": -1}, "not a number of threads"),
        ({"signature": "learn"}, "no signature 'learn'"),
        ({"streams": [0]}, "carries no state"),
    ],
)
def test_what_the_runner_has_not_is_refused_by_name(
    device: native.NativeDevice, doubler: Path, tmp_path: Path, changes: Any, reason: str
) -> None:
    request = asked(doubler, tmp_path / "asked", {"x": np.ones((3, 4), np.float32)}, **changes)
    with pytest.raises(RunnerError) as caught:
        device.run(typed(request))
    assert caught.value.code == "EK-RUNNER-002"
    assert reason in caught.value.hint


def test_a_state_that_it_cannot_reset_is_refused(
    device: native.NativeDevice, tmp_path: Path
) -> None:
    model = tmp_path / "counting.tflite"
    model.write_bytes(counting())
    request = asked(model, tmp_path / "asked", {"x": np.ones((3, 1), np.float32)})
    with pytest.raises(RunnerError) as caught:
        device.run(typed({**request, "reset_state": True}))
    assert "resets no resource variables" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "hello_world_int8",
        "mnist_quantized",
        "conv_fc_mnist",
        "conv_fc_mnist_srq_a8w8",
        "partly_quantized_mnist",
    ],
)
def test_real_models_are_answered_as_by_litert(
    test_data: Path, device: native.NativeDevice, tmp_path: Path, name: str
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    from edgekit.targets.runners.python_runner import TFLiteModel

    model = test_data / "misc_tflite" / f"{name}.tflite"
    inputs, _, _ = TFLiteModel.tensors(Interpreter(str(model)))
    random = np.random.default_rng(2)
    items = {
        name: random.normal(size=(20, *info.shape[1:])).astype(np.float32)
        for name, info in inputs.items()
    }
    same_as_litert(device, model, items, tmp_path)


@pytest.mark.slow
def test_of_several_signatures_none_is_guessed(
    test_data: Path, device: native.NativeDevice, tmp_path: Path
) -> None:
    model = test_data / "misc_tflite" / "two_signatures.tflite"
    items = {"x": np.ones((2, 1), np.float32)}
    with pytest.raises(RunnerError, match="none is guessed"):
        device.run(typed(asked(model, tmp_path / "native", items)))


ARM = Kind("Linux", "aarch64", "glibc")
EMULATED = '#!/bin/sh\nexec qemu-aarch64-static -cpu cortex-a72 -L "{root}" "{runner}" "$@"\n'
# With QEMU's own default, every extension there is, XNNPACK's answers are wrong (QEMU 7.2). The
# library looks for Arm cores in /proc/cpuinfo, and crashes where there are none, as where QEMU
# shows it those of the host; below its root QEMU shows what is there.
CORE = """processor\t: {number}
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[native.NativeDevice]:
    """The runner for 64-bit Arm, under QEMU's user emulation of a Cortex-A72."""
    for program, package in (
        ("qemu-aarch64-static", "qemu-user-static"),
        (native_build.CROSS["aarch64"], native_build.PACKAGES["aarch64"]),
    ):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}: apt-get install {package}")
    try:
        library = native_library.obtain(ARM, Silent()).path
    except DeviceError as error:
        pytest.skip(f"{error.message}: {error.hint}")
    runner, home, root = tmp_path / "emulated", tmp_path / "arm", tmp_path / "root"
    home.mkdir()
    (root / "proc").mkdir(parents=True)
    cores = "".join(CORE.format(number=number) for number in range(os.cpu_count() or 1))
    (root / "proc" / "cpuinfo").write_text(cores)
    (root / "lib").symlink_to("/usr/aarch64-linux-gnu/lib")
    runner.write_text(EMULATED.format(root=root, runner=native_build.obtain(ARM)))
    made_of = made(Connection(home), tmp_path / "emulated-work", None, runner, library)
    with contextlib.closing(made_of) as device:
        yield device


@pytest.mark.slow
def test_int8_answers_on_emulated_arm_are_those_of_this_host(
    arm: native.NativeDevice, device: native.NativeDevice, tmp_path: Path
) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(convolutional())
    images = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    changes = {"preprocess": {"scale": 1 / 64, "offset": -2.0}}
    here = answered(device, asked(model, tmp_path / "here", {"image": images}, **changes))
    there = answered(arm, asked(model, tmp_path / "there", {"image": images}, **changes))
    assert here.keys() == there.keys()
    assert all(here[name].tobytes() == there[name].tobytes() for name in here)


@pytest.mark.slow
def test_crash_of_the_runtime_is_an_error_and_the_device_goes_on(
    arm: native.NativeDevice, doubler: Path, tmp_path: Path
) -> None:
    told = tmp_path / "root" / "proc" / "cpuinfo"
    cores = told.read_text()
    told.write_text("vendor_id\t: GenuineIntel\n")
    request = asked(doubler, tmp_path / "asked", {"x": np.ones((3, 4), np.float32)})
    with pytest.raises(RunnerError) as caught:
        arm.run(typed(request))
    assert caught.value.code == "EK-RUNNER-001"
    assert "SIGSEGV on model" in caught.value.message
    told.write_text(cores)
    assert arm.run(typed(request))["models"]
