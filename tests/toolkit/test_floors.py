"""The quality bar itself: a planted type error and a planted forbidden import go red."""

from __future__ import annotations

import ast
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


# Lines of a function, which fits on a screen, and of a file. A runner is one file by need.
FUNCTION, FILE = 50, 400
ALONE = ("targets/runners/python_runner.py",)


def too_long(source: str) -> list[str]:
    """The functions that do not fit on a screen."""
    found = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    counted = [(node.name, (node.end_lineno or 0) - node.lineno + 1) for node in found]
    return [f"{name}: {count} lines" for name, count in counted if count > FUNCTION]


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


def test_every_function_fits_on_a_screen_and_no_file_of_the_product_is_long() -> None:
    found = {}
    for folder in (*ROOMS, "benchmarks", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            source, name = path.read_text(), path.relative_to(ROOT).as_posix()
            long = too_long(source)
            if folder in ROOMS and source.count("\n") > FILE and name not in ALONE:
                long.append(f"{source.count(chr(10))} lines")
            if long:
                found[name] = long
    assert not found


@pytest.mark.parametrize(("lines", "seen"), [(FUNCTION, False), (FUNCTION + 1, True)])
def test_function_that_is_longer_than_a_screen_is_seen(lines: int, seen: bool) -> None:
    assert bool(too_long("def f():\n" + "    pass\n" * (lines - 1))) is seen
