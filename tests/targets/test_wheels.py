"""Wheels for devices: which fit, what is fetched, and why none is."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from wheel_files import wheel

from edgekit.errors import DeviceError
from edgekit.targets.devices.agent.interpreter import program_machine
from edgekit.targets.devices.remote.wheels import Platform, Wheels, fetch
from edgekit.types import Silent

NOWHERE = "http://127.0.0.1:9/simple"


def platform(
    python: str = "3.11",
    machine: str = "aarch64",
    libc: str = "glibc",
    version: str = "2.36",
    numpy: str = "",
) -> Platform:
    return Platform(python, f"cp{python.replace('.', '')}", machine, libc, version, numpy)


@pytest.mark.parametrize(
    ("machine", "libc", "version", "tag", "fits"),
    [
        # tflite-runtime 2.14.0: Bullseye has glibc 2.31, Bookworm 2.36.
        ("aarch64", "glibc", "2.31", "manylinux_2_34_aarch64", False),
        ("aarch64", "glibc", "2.36", "manylinux_2_34_aarch64", True),
        ("armv7l", "glibc", "2.31", "manylinux_2_34_armv7l", False),
        ("armv7l", "glibc", "2.36", "manylinux_2_34_armv7l", True),
        ("armv7l", "glibc", "2.31", "manylinux2014_armv7l", True),
        ("aarch64", "glibc", "2.36", "manylinux_2_34_armv7l", False),
        ("aarch64", "glibc", "2.31", "manylinux_2_27_aarch64", True),
        ("aarch64", "glibc", "2.31", "manylinux1_aarch64", False),
        ("x86_64", "glibc", "2.31", "manylinux2014_x86_64", True),
        ("x86_64", "glibc", "2.31", "manylinux1_x86_64", True),
        ("x86_64", "glibc", "2.31", "manylinux_2_5_x86_64", True),
        ("riscv64", "glibc", "2.39", "manylinux_2_39_riscv64", True),
        ("riscv64", "glibc", "2.39", "linux_riscv64", True),
        ("x86_64", "musl", "1.2", "manylinux2014_x86_64", False),
        ("x86_64", "musl", "1.2", "musllinux_1_1_x86_64", True),
        ("x86_64", "musl", "1.1", "musllinux_1_2_x86_64", False),
        ("aarch64", "bionic", "", "manylinux_2_17_aarch64", False),
        ("aarch64", "", "", "linux_aarch64", False),
    ],
)
def test_wheel_fits_what_the_device_has(
    machine: str, libc: str, version: str, tag: str, fits: bool
) -> None:
    tags = platform(machine=machine, libc=libc, version=version).tags
    assert (tag in tags) is fits


def test_closest_wheel_comes_first() -> None:
    tags = platform(version="2.36").tags
    assert tags[0] == "manylinux_2_36_aarch64"
    assert tags[-3:] == ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64")


@pytest.mark.parametrize(
    ("machine", "pointer", "flags", "expected"),
    [
        ("aarch64", 8, 0, "aarch64"),
        ("x86_64", 8, 0, "x86_64"),
        # A 32-bit system on a 64-bit kernel.
        ("aarch64", 4, 0x05000400, "armv7l"),
        ("x86_64", 4, 0, "i686"),
        ("armv7l", 4, 0x05000400, "armv7l"),
        ("armv7l", 4, 0x05000200, "armel"),
        ("armv6l", 4, 0x05000400, "armv6l"),
    ],
)
def test_machine_is_that_of_the_program_not_of_the_kernel(
    machine: str, pointer: int, flags: int, expected: str
) -> None:
    header = bytes(36) + struct.pack("<I", flags)
    assert program_machine(machine, pointer, header) == expected


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for all there is; an empty cache."""
    folder = tmp_path / "index"
    arm, old = "cp311-cp311-manylinux_2_34_aarch64", "cp311-cp311-manylinux2014_aarch64"
    wheel(folder, "ai-edge-litert", "9.9.1", {}, old, ("numpy>=1.20", "tqdm"))
    wheel(folder, "ai-edge-litert", "9.9.2", {}, arm, ("numpy>=1.20", "tqdm"))
    wheel(folder, "tflite-runtime", "9.9.3", {}, arm, ("numpy>=1.20",))
    wheel(folder, "tqdm", "4.0", {})
    for version in ("1.26.4", "2.4.0"):
        wheel(folder, "numpy", version, {}, old)
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    return folder


def fetched(runtime: str, on: Platform, folder: Path, version: str = "") -> tuple[Wheels, set[str]]:
    found = fetch(runtime, version, on, folder, Silent())
    return found, {"-".join(path.name.split("-")[:2]) for path in found.files}


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("runtime", "version", "libc", "numpy", "expected"),
    [
        ("litert", "", "2.36", "", {"ai_edge_litert-9.9.2", "tqdm-4.0", "numpy-2.4.0"}),
        ("litert", "", "2.31", "1.24.2", {"ai_edge_litert-9.9.1", "tqdm-4.0"}),
        ("tflite-runtime", "", "2.36", "2.1.0", {"tflite_runtime-9.9.3", "numpy-1.26.4"}),
        ("tflite-runtime", "", "2.36", "1.24.2+local", {"tflite_runtime-9.9.3"}),
        # What the device has is older than the wheel asks for.
        ("tflite-runtime", "", "2.36", "1.19.5", {"tflite_runtime-9.9.3", "numpy-1.26.4"}),
    ],
)
def test_newest_release_that_fits_is_fetched_with_a_numpy_that_does(
    tmp_path: Path, runtime: str, version: str, libc: str, numpy: str, expected: set[str]
) -> None:
    found, names = fetched(runtime, platform(version=libc, numpy=numpy), tmp_path, version)
    assert names == expected
    assert found.numpy == ("" if any(name.startswith("numpy") for name in expected) else numpy)
    assert f"{found.package.replace('-', '_')}-{found.version}" in expected


@pytest.mark.parametrize(
    ("runtime", "on", "said"),
    [
        ("tflite-runtime", platform(version="2.31"), "needs glibc 2.34, and the device has 2.31"),
        ("tflite-runtime", platform("3.12"), "it has wheels for Python 3.11"),
        pytest.param(
            "litert",
            platform(machine="riscv64"),
            "no release of it has a wheel for riscv64",
            marks=pytest.mark.slow,
        ),
        ("litert", platform(libc="musl", version="1.2"), "no wheels of it are made for musl"),
        ("litert", platform(libc="bionic", version=""), "no wheels of it are made for Android"),
        ("litert", platform(libc="", version=""), "does not tell its C library"),
        (
            "litert",
            Platform("3.9", "", "aarch64", "glibc", "2.36"),
            "wheels of runtimes are for CPython",
        ),
    ],
)
def test_device_that_no_wheel_fits_is_told_what_it_lacks(
    index: Path, tmp_path: Path, runtime: str, on: Platform, said: str
) -> None:
    with pytest.raises(DeviceError, match="has no wheel for Python") as caught:
        fetch(runtime, "", on, tmp_path, Silent())
    assert caught.value.code == "EK-DEVICE-051"
    assert said in caught.value.hint
    assert on.libc_version in caught.value.message


def test_release_that_does_not_fit_is_told_those_that_do(index: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        fetch("litert", "9.9.2", platform(version="2.31"), tmp_path, Silent())
    assert caught.value.code == "EK-DEVICE-051"
    assert "9.9.2 needs glibc 2.34" in caught.value.hint
    assert "releases of it that fit: 9.9.1" in caught.value.hint


def test_missing_numpy_is_not_put_on_the_runtime(index: Path, tmp_path: Path) -> None:
    for path in index.glob("numpy-*"):
        path.unlink()
    with pytest.raises(DeviceError) as caught:
        fetch("tflite-runtime", "", platform(), tmp_path, Silent())
    assert "tflite-runtime 9.9.3 fits, but not what it requires" in caught.value.hint
    assert "python3-numpy" in caught.value.hint


def test_folder_of_wheels_is_all_that_counts_when_named(index: Path, tmp_path: Path) -> None:
    found = fetch("litert", "", platform(numpy="1.24.2"), tmp_path / "work", Silent(), index)
    assert found.version == "9.9.2"
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DeviceError) as caught:
        fetch("litert", "", platform(), tmp_path / "work", Silent(), empty)
    assert caught.value.message.startswith(f"{empty} holds no ai-edge-litert")
    assert "manylinux_2_36_aarch64" in caught.value.hint


def test_without_a_network_what_was_fetched_before_serves(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = fetched("litert", platform(numpy="1.24.2"), tmp_path / "1")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE)
    after, names = fetched("litert", platform(numpy="1.24.2"), tmp_path / "2")
    assert (after.version, names) == (before.version, {"ai_edge_litert-9.9.2", "tqdm-4.0"})
    with pytest.raises(DeviceError) as caught:
        fetch("tflite-runtime", "", platform(), tmp_path / "3", Silent())
    assert caught.value.code == "EK-DEVICE-052"
    assert "Connection refused" in caught.value.hint
    assert "--wheels" in caught.value.hint
