"""Pre- and postprocessing in Kotlin, compiled by Kotlin 1.3 and run on the JVM: golden vectors."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import processing_cases
import pytest

from conftest import once
from edgekit.targets.bundles.processing import kotlin

DRIVER = Path(__file__).with_name("processing_drivers") / "Driver.kt"
# Where Debian has it.
STANDARD_LIBRARY = Path("/usr/share/java/kotlin-stdlib.jar")
# All at once, because a compilation takes 11 seconds: each is in another command's answers.
FAULTS = {
    "fit": ("Pictures.kt", "(sum + (1 shl (WEIGHT_BITS - 1)))", "sum"),
    "encode": (
        "Values.kt",
        "Math.rint((real / input.scale).toDouble())",
        "Math.round((real / input.scale).toDouble()).toDouble()",
    ),
    "decode": ("Values.kt", "(value - output.zeroPoint) *", "(value + output.zeroPoint) *"),
    "activate": ("Values.kt", "(powers[it] / sum)", "(powers[it] / (sum + 1))"),
    "top": ("Values.kt", "a > b -> -1", "a >= b -> -1"),
    "boxes": ("Boxes.kt", "it.category == box.category && ", ""),
    "features": ("Signals.kt", "(0.5 - 0.5 *", "(0.54 - 0.46 *"),
}
compiles = pytest.mark.skipif(
    shutil.which("kotlinc") is None
    or shutil.which("java") is None
    or not STANDARD_LIBRARY.exists(),
    reason="kotlin or openjdk-17-jdk-headless is not installed",
)


@pytest.fixture(scope="module")
def cases() -> list[processing_cases.Case]:
    return processing_cases.cases()


def sources(folder: Path) -> None:
    """Write what the bundle would hold, and the driver."""
    for name, content in kotlin.files(processing_cases.golden_spec(), "golden").items():
        (folder / name).write_bytes(content)
    shutil.copy(DRIVER, folder)


def compiled(folder: Path) -> None:
    files = [path.name for path in sorted(folder.glob("*.kt"))]
    command = ["kotlinc", *files, "-d", "driver.jar"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warning: " not in done.stderr.replace("warning: Options -Xverify", "")


def answers(program: Path, folder: Path, cases: list[processing_cases.Case]) -> list[str]:
    (folder / "cases.txt").write_text("".join(f"{case.line}\n" for case in cases))
    run = ["java", "-cp", f"{program / 'driver.jar'}:{STANDARD_LIBRARY}", "edgekit.DriverKt"]
    subprocess.run(run, cwd=folder, check=True, timeout=120)
    return (folder / "answers.txt").read_text().splitlines()


@pytest.mark.slow
@compiles
def test_kotlin_answers_the_golden_cases(
    cases: list[processing_cases.Case], shared: Path, tmp_path: Path
) -> None:
    def build(folder: Path) -> None:
        sources(folder)
        compiled(folder)

    program = once(shared / "kotlin-driver", build)
    assert processing_cases.problems(cases, answers(program, tmp_path, cases)) == []


@pytest.mark.slow
@compiles
def test_faults_in_kotlin_are_seen(cases: list[processing_cases.Case], tmp_path: Path) -> None:
    sources(tmp_path)
    for name, right, wrong in FAULTS.values():
        text = (tmp_path / name).read_text()
        assert right in text
        (tmp_path / name).write_text(text.replace(right, wrong))
    compiled(tmp_path)
    held = zip(cases, answers(tmp_path, tmp_path, cases), strict=True)
    assert {case.command for case, answer in held if case.wrong(answer)} == set(FAULTS)


def test_kotlin_has_nothing_of_android_and_takes_the_package_of_the_app() -> None:
    placed = kotlin.files(processing_cases.golden_spec(), "golden", "com.example.digits")
    assert set(placed) == {"ModelSpec.kt", *kotlin.PARTS.values()}
    for content in placed.values():
        assert b"\npackage com.example.digits\n" in content
        assert b"import android" not in content
