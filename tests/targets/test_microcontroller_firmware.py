"""The bundle for microcontrollers compiled, linked and run: on the host, Cortex-M4 and M55."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from firmware_building import (
    PROCESSORS,
    STUBS,
    TFLM_HEADERS,
    build_object,
    compiled,
    dense,
    executed,
    leaky,
    recorded,
    run,
    tflm_build,
    write_bundle,
    write_recording,
)

from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles import Contents

pytestmark = pytest.mark.slow
TITLE = 'Dense "net" \\ 1b2c3d4e (int8)'
# A text of the bundle, and what is planted in its place.
FAULTS: dict[str, tuple[str, str, str, str]] = {
    "a factor": ("spec.h", "0.125f", "0.126f", "prepared differently than on the host: x"),
    "a rounding": (
        "edgekit_values.c",
        "rintf(real / input->scale)",
        "(real / input->scale)",
        "item",
    ),
    "an output's scale": ("spec.h", "0.00390625f", "0.0049f", "differs: y"),
    "a golden class": ("golden.cpp", "answers_0[] = {", "answers_0[] = {-1, ", "another class"),
    "a tensor's place": (
        "settings.h",
        "{&Dense_net_input_0, 0}",
        "{&Dense_net_input_0, 1}",
        "size",
    ),
    "an operator": ("resolver.h", "operators = 2", "operators = 1", "do not fit"),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the small network, with its recording. Read only."""
    folder = tmp_path_factory.mktemp("firmware")
    contents = dense(folder)
    write_recording(recorded(contents), write_bundle(contents, folder / "dense_net"))
    return folder / "dense_net"


@pytest.mark.parametrize("name", PROCESSORS)
def test_self_test_passes_on_every_processor(bundle: Path, tmp_path: Path, name: str) -> None:
    processor = PROCESSORS[name]
    status, text = executed(compiled(bundle, processor, tmp_path), processor)
    assert (status, text.splitlines()[-1]) == (0, f"PASSED: {TITLE} on TFLM, 6 golden items")
    assert "outputs differ by at most 0.000000 of what is allowed" in text


@pytest.mark.parametrize("fault", FAULTS)
def test_self_test_fails_where_a_fault_is_planted(bundle: Path, tmp_path: Path, fault: str) -> None:
    where, right, wrong, said = FAULTS[fault]
    copy = Path(shutil.copytree(bundle, tmp_path / "dense_net"))
    (file,) = (path for path in (copy / "src").iterdir() if path.name.endswith(where))
    assert right in file.read_text()
    file.write_text(file.read_text().replace(right, wrong, 1))
    status, text = executed(compiled(copy, PROCESSORS["host"], tmp_path), PROCESSORS["host"])
    assert status == 1
    assert said in text
    assert text.splitlines()[-1].startswith(f"FAILED: {TITLE}")


@pytest.mark.parametrize(("size", "said"), [(0, "set DENSE_NET_ARENA_BYTES"), (16, "too small")])
def test_self_test_says_what_is_wrong_with_the_arena(
    bundle: Path, tmp_path: Path, size: int, said: str
) -> None:
    flag = f"-DDENSE_NET_ARENA_BYTES={size}"
    program = compiled(bundle, PROCESSORS["host"], tmp_path, flag)
    status, text = executed(program, PROCESSORS["host"])
    assert status == 1
    assert said in text


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("name", ["host", "cortex-m4"])
def test_states_are_carried_on_between_items_of_a_stream(
    tmp_path: Path, name: str, quantized: bool
) -> None:
    contents = leaky(tmp_path, quantized)
    folder = write_bundle(contents, tmp_path / "leaky")
    write_recording(recorded(contents), folder)
    program = compiled(folder, PROCESSORS[name], tmp_path / "build")
    status, text = executed(program, PROCESSORS[name])
    assert (status, text.splitlines()[-1][:6]) == (0, "PASSED"), text


def test_readme_s_cmake_line_builds_the_self_test(bundle: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed: the Debian package cmake")
    PROCESSORS["host"].tool("g++")
    assert "cmake -B build -DTFLM_INCLUDE_DIRS=" in (bundle / "README.md").read_text()
    flags = (f"-I{STUBS}", f"-I{bundle}")
    replay = build_object(STUBS / "replay.cpp", PROCESSORS["host"], tmp_path, flags)
    bare = ["cmake", "-S", str(bundle), "-B", str(tmp_path / "bare"), "-DTFLM_INCLUDE_DIRS=/none"]
    refused = subprocess.run(bare, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert 'TFLM_INCLUDE_DIRS ("/none") has no' in refused.stderr
    options = [f"-DTFLM_INCLUDE_DIRS={STUBS}", f"-DTFLM_LIBRARIES={replay}"]
    run(["cmake", "-S", bundle, "-B", tmp_path / "build", *options])
    run(["cmake", "--build", tmp_path / "build"])
    status, text = executed(tmp_path / "build" / "Dense_net_selftest", PROCESSORS["host"])
    assert (status, text.splitlines()[-1][:6]) == (0, "PASSED"), text


def test_readme_s_example_compiles(bundle: Path, tmp_path: Path) -> None:
    (code,) = re.findall(r"```cpp\n(.*?)```", (bundle / "README.md").read_text(), re.DOTALL)
    include, _, rest = code.partition("\n")
    (tmp_path / "example.cpp").write_text(
        f"{include}\nvoid example();\nvoid example() {{{rest}}}\n"
    )
    flags = (f"-I{STUBS}", f"-I{bundle}/src")
    build_object(tmp_path / "example.cpp", PROCESSORS["host"], tmp_path, flags)


def test_arduino_sketch_and_serial_firmware_compile(bundle: Path, tmp_path: Path) -> None:
    host = PROCESSORS["host"]
    flags = (f"-I{STUBS}", f"-I{bundle}/src")
    (sketch,) = bundle.glob("examples/*/*.ino")
    (tmp_path / "sketch.cpp").write_text(ARDUINO + sketch.read_text())
    build_object(tmp_path / "sketch.cpp", host, tmp_path, flags)
    serial = FOLDER / "microcontroller_serial"
    config = (serial / "config.h").read_text()
    (tmp_path / "config.h").write_text(config.replace("digits", "Dense_net"))
    shutil.copy(serial / "model_tflm.cc", tmp_path)
    build_object(tmp_path / "model_tflm.cc", host, tmp_path, (*flags, f"-I{serial}"))


ARDUINO = """
struct Port {
  void begin(long) {}
  void print(const char*) {}
  operator bool() const { return true; }
};
static Port Serial;
unsigned long millis();
"""


def test_a_state_that_is_lost_is_seen(tmp_path: Path) -> None:
    contents = leaky(tmp_path)
    folder = write_bundle(contents, tmp_path / "leaky")
    write_recording(recorded(contents), folder)
    golden = folder / "src" / "leaky_golden.cpp"
    assert "begins[] = {1, 0, 0, 1}" in golden.read_text()
    golden.write_text(golden.read_text().replace("begins[] = {1, 0,", "begins[] = {1, 1,"))
    program = compiled(folder, PROCESSORS["host"], tmp_path / "build")
    status, text = executed(program, PROCESSORS["host"])
    assert status == 1
    assert "item 1: differs: y" in text


@pytest.mark.parametrize("make", [dense, leaky])
def test_self_test_passes_over_tflm_itself(
    tmp_path: Path, make: Callable[[Path], Contents], pytestconfig: pytest.Config
) -> None:
    checkout = pytestconfig.getoption("tflm")
    if checkout is None:
        pytest.skip("pytest --tflm PATH: a checkout of TFLM, built for Cortex-M4 (CONTRIBUTING.md)")
    folder = write_bundle(make(tmp_path), tmp_path / "bundle")
    processor = PROCESSORS["cortex-m4"]
    program = compiled(folder, processor, tmp_path / "build", real=tflm_build(checkout))
    status, text = executed(program, processor)
    assert (status, text.splitlines()[-1][:6]) == (0, "PASSED"), text


def test_a_checkout_of_tflm_that_is_not_built_is_named(tmp_path: Path) -> None:
    for folder in TFLM_HEADERS:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    with pytest.raises(
        pytest.UsageError, match=r"libtensorflow-microlite.a.*TARGET_ARCH=cortex-m4"
    ):
        tflm_build(tmp_path)
    library = tmp_path / "gen" / "cortex_m_generic_cortex-m4+fp_default_gcc" / "lib"
    library.mkdir(parents=True)
    (library / "libtensorflow-microlite.a").touch()
    assert tflm_build(tmp_path).library.parent == library
    (tmp_path / TFLM_HEADERS[1]).rmdir()
    with pytest.raises(pytest.UsageError, match="flatbuffers/include"):
        tflm_build(tmp_path)
