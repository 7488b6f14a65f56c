"""The quality bar itself: a planted type error and a planted forbidden import go red."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
ROOMS = {
    "toolkit": "",
    "converters": "converters",
    "targets": "targets",
    "sample_apps": "sample_apps",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package as it is imported, to plant faults in."""
    for folder, name in ROOMS.items():
        shutil.copytree(
            ROOT / folder,
            tmp_path / "edgekit" / name,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def lint_imports(package: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command; "
    )
    code += "lint_imports_command(['--no-cache'])"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=package, capture_output=True, text=True, check=False
    )


def mypy(package: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        # What it imports is not looked at: `make lint` does that.
        [
            BIN / "mypy",
            "-m",
            "edgekit.converters.planted",
            "--follow-imports",
            "skip",
            "--cache-dir",
            str(package / "cache"),
        ],
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
        env={"MYPYPATH": str(package)},
    )


def test_floors_hold(package: Path) -> None:
    done = lint_imports(package)
    assert done.returncode == 0, done.stdout


def test_floors_go_red_when_a_converter_imports_the_pipeline(package: Path) -> None:
    planted = package / "edgekit" / "converters" / "planted.py"
    planted.write_text("from edgekit.pipeline import convert\n")
    done = lint_imports(package)
    assert done.returncode != 0
    assert "edgekit.converters" in done.stdout


def test_floors_go_red_when_a_runner_imports_edgekit(package: Path) -> None:
    runner = package / "edgekit" / "targets" / "runners" / "python_runner.py"
    runner.write_text("import edgekit.errors\n" + runner.read_text())
    assert lint_imports(package).returncode != 0


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("cli/inspect.py", "edgekit.cli.diff"),
        ("targets/devices/device.py", "edgekit.targets.devices.pool"),
        ("targets/devices/transport.py", "edgekit.targets.devices.cassette.record"),
    ],
)
def test_imports_go_red_when_two_modules_import_each_other(
    package: Path, importer: str, imported: str
) -> None:
    """An import within a function counts as well."""
    module = package / "edgekit" / importer
    module.write_text(f"{module.read_text()}\n\ndef _late() -> None:\n    import {imported}\n")
    done = lint_imports(package)
    assert done.returncode != 0
    assert "no circles" in done.stdout
    assert "No cycles are allowed" in done.stdout


def test_types_go_red_when_a_converter_has_a_type_error(package: Path) -> None:
    planted = package / "edgekit" / "converters" / "planted.py"
    planted.write_text("def count() -> int:\n    return 'three'\n")
    done = mypy(package)
    assert done.returncode == 1
    assert "planted.py:2" in done.stdout
    assert "Found 1 error in 1 file" in done.stdout
