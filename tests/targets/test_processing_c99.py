"""Pre- and postprocessing in C99, compiled for this host and for a Cortex-M4, on golden vectors."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import processing_cases
import pytest

from edgekit.targets.bundles.processing import c99

DRIVERS = Path(__file__).with_name("processing_drivers")
DRIVER = DRIVERS / "driver.c"
WARNINGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
CORTEX_M4 = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
FAULTS = {
    "a pixel is cut off, not rounded": (
        "edgekit_pictures.c",
        "sum += 1 << (WEIGHT_BITS - 1);",
        "",
    ),
    "halves are rounded away from zero": ("edgekit_values.c", "rintf(real", "roundf(real"),
    "the crop begins a pixel later": ("edgekit_pictures.c", "->to - size) / 2", "->to - size) / 3"),
    "of equal scores the last is best": ("edgekit_values.c", "a == b && i < j", "a == b && i > j"),
    "boxes of other classes are suppressed": (
        "edgekit_boxes.c",
        "found[k].category == found[at].category && ",
        "",
    ),
    "the window is not a Hann window": ("edgekit_signals.c", "0.5f - 0.5f *", "0.54f - 0.46f *"),
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]
Compile = Callable[[Path, Path], None]


@pytest.fixture(scope="module")
def cases() -> list[processing_cases.Case]:
    return processing_cases.cases()


def sources(folder: Path) -> list[Path]:
    """Write what the bundle would hold, and the driver."""
    for name, content in c99.files(processing_cases.golden_spec(), "golden").items():
        (folder / name).write_bytes(content)
    shutil.copy(DRIVER, folder)
    return sorted(folder.glob("*.c"))


def compiled(compiler: list[str], folder: Path, options: list[Any]) -> Path:
    """Return the program that the sources in a folder give, warnings being errors."""
    objects = []
    for source in sorted(folder.glob("*.c")):
        # The library as a user's strictest build has it; the driver converts as it likes.
        strict = WARNINGS if source.name.startswith("edgekit_") else ["-std=c99", "-Werror"]
        objects.append(source.with_suffix(".o"))
        subprocess.run([*compiler, *strict, "-c", source, "-o", objects[-1]], check=True)
    program = folder / "driver"
    subprocess.run([*compiler, *objects, *options, "-lm", "-o", program], check=True)
    return program


def answers(run: list[object], folder: Path, cases: list[processing_cases.Case]) -> list[str]:
    (folder / "cases.txt").write_text("".join(f"{case.line}\n" for case in cases))
    subprocess.run([str(word) for word in run], cwd=folder, check=True, timeout=300)
    return (folder / "answers.txt").read_text().splitlines()


@pytest.mark.parametrize(
    "options", [["-O0"], ["-O3", "-march=native", "-ffp-contract=fast"]], ids=" ".join
)
def test_c99_answers_the_golden_cases(
    cases: list[processing_cases.Case], tmp_path: Path, options: list[str]
) -> None:
    sources(tmp_path)
    program = compiled(
        ["gcc", *options, "-fsanitize=undefined"], tmp_path, ["-fsanitize=undefined"]
    )
    assert processing_cases.problems(cases, answers([program], tmp_path, cases)) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_c99_is_seen(
    cases: list[processing_cases.Case], tmp_path: Path, fault: str
) -> None:
    sources(tmp_path)
    name, right, wrong = FAULTS[fault]
    text = (tmp_path / name).read_text()
    assert right in text
    (tmp_path / name).write_text(text.replace(right, wrong))
    program = compiled(["gcc", "-O1"], tmp_path, [])
    assert processing_cases.problems(cases, answers([program], tmp_path, cases))


def test_header_is_read_by_a_cpp_compiler(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    sources(tmp_path)
    main = tmp_path / "main.cc"
    main.write_text(
        '#include "golden_spec.h"\nint main() { return golden_input_0.size + golden_output_0.size'
        " + golden_boxes.rows + golden_signal.fft + !golden_labels[0]; }\n"
    )
    strict = ["-std=c++11", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["g++", *strict, "-fsyntax-only", main], check=True)


@pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None or shutil.which("qemu-system-arm") is None,
    reason="arm-none-eabi-gcc or qemu-system-arm is not installed",
)
def test_c99_answers_the_golden_cases_on_a_cortex_m4(
    cases: list[processing_cases.Case], tmp_path: Path
) -> None:
    sources(tmp_path)
    shutil.copy(DRIVERS / "cortex_m.c", tmp_path)
    script = DRIVERS / "cortex_m.ld"
    options = ["-T", script, "--specs=rdimon.specs", "-nostartfiles", "-Wl,--gc-sections"]
    program = compiled(
        ["arm-none-eabi-gcc", *CORTEX_M4, "-O2", "-ffunction-sections"], tmp_path, options
    )
    machine = ["-M", "mps2-an386", "-cpu", "cortex-m4", "-nographic", "-semihosting"]
    run = ["qemu-system-arm", *machine, "-kernel", program]
    assert processing_cases.problems(cases, answers(run, tmp_path, cases)) == []
