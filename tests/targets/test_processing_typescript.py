"""Pre- and postprocessing in TypeScript, compiled by tsc and run by node, on golden vectors."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import processing_cases
import pytest

from conftest import once
from edgekit.targets.bundles.processing import typescript

DRIVER = Path(__file__).with_name("processing_drivers") / "driver.ts"
PACKAGES = ["typescript@5.9.3", "@types/node@20.19.43"]
OPTIONS = {
    "strict": True,
    "target": "es2022",
    "module": "node16",
    "noUnusedLocals": True,
    "noUnusedParameters": True,
    "noImplicitReturns": True,
    "noEmitOnError": True,
    "types": ["node"],
}
FAULTS = {
    "a pixel is cut off, not rounded": ("pictures.js", "(sum + (1 << (WEIGHT_BITS - 1)))", "sum"),
    "halves are rounded up": ("values.js", "if (rest === 0.5)", "if (rest === -1)"),
    "products are not rounded to float32": ("values.js", "round(round(raw[at]) *", "(raw[at] *"),
    "of equal scores the last is best": ("values.js", "a === b ? i - j", "a === b ? j - i"),
    "boxes of other classes are suppressed": (
        "boxes.js",
        "other.category === box.category && ",
        "",
    ),
    "the window is not a Hann window": ("signals.js", "(0.5 - 0.5 *", "(0.54 - 0.46 *"),
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("node") is None or shutil.which("npm") is None,
        reason="node or npm is not installed",
    ),
]


@pytest.fixture(scope="module")
def packages(shared: Path) -> Path:
    """A folder with the compiler, installed by npm."""

    def install(folder: Path) -> None:
        (folder / "package.json").write_text('{"type": "module", "private": true}\n')
        command = ["npm", "install", "--no-audit", "--no-fund", *PACKAGES]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        if done.returncode:
            (folder / "failed").write_text(done.stderr[-300:])

    folder = once(shared / "typescript", install)
    if (folder / "failed").exists():
        pytest.skip(f"npm cannot install TypeScript: {(folder / 'failed').read_text()}")
    return folder


@pytest.fixture(scope="module")
def cases() -> list[processing_cases.Case]:
    return processing_cases.cases()


@pytest.fixture(scope="module")
def compiled(shared: Path, packages: Path) -> Path:
    """What the bundle would hold, and the driver, as JavaScript."""

    def build(folder: Path) -> None:
        for name, content in typescript.files(processing_cases.golden_spec(), "golden").items():
            (folder / name).write_bytes(content)
        shutil.copy(DRIVER, folder)
        (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS}))
        (folder / "package.json").write_text('{"type": "module"}')
        (folder / "node_modules").symlink_to(packages / "node_modules")
        compiler = folder / "node_modules" / ".bin" / "tsc"
        done = subprocess.run([compiler], cwd=folder, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout

    return once(shared / "typescript-driver", build)


def answers(folder: Path, cases: list[processing_cases.Case]) -> list[str]:
    (folder / "cases.txt").write_text("".join(f"{case.line}\n" for case in cases))
    subprocess.run(["node", "driver.js"], cwd=folder, check=True, timeout=120)
    return (folder / "answers.txt").read_text().splitlines()


def copied(compiled: Path, folder: Path) -> Path:
    for file in (*compiled.glob("*.js"), compiled / "package.json"):
        shutil.copy(file, folder)
    return folder


def test_typescript_answers_the_golden_cases(
    cases: list[processing_cases.Case], tmp_path: Path, compiled: Path
) -> None:
    folder = copied(compiled, tmp_path)
    assert processing_cases.problems(cases, answers(folder, cases)) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_typescript_is_seen(
    cases: list[processing_cases.Case], tmp_path: Path, compiled: Path, fault: str
) -> None:
    folder = copied(compiled, tmp_path)
    name, right, wrong = FAULTS[fault]
    text = (folder / name).read_text()
    assert right in text
    (folder / name).write_text(text.replace(right, wrong))
    assert processing_cases.problems(cases, answers(folder, cases))
