"""What users install, and what the documents promise of it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {
    "toolkit": "edgekit",
    "converters": "edgekit.converters",
    "targets": "edgekit.targets",
    "sample_apps": "edgekit.sample_apps",
    "tests/contracts": "edgekit.contracts",
}


def test_every_package_is_listed_in_pyproject() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join([name, *path.parent.relative_to(ROOT / folder).parts])
        for folder, name in FOLDERS.items()
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert set(listed) == found


def test_contributing_draws_every_package_on_one_screen() -> None:
    drawing = (ROOT / "CONTRIBUTING.md").read_text().split("```")[1]
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    names = {name.split(".")[1] for name in tables["packages"] if "." in name}
    assert [name for name in sorted(names) if f"{name}/" not in drawing] == []
    assert len(drawing.splitlines()) <= 40


def test_every_error_code_is_documented_and_no_other() -> None:
    code = re.compile(r"EK-[A-Z]+-\d{3}")
    sources = [
        p for folder in ("toolkit", "converters", "targets") for p in (ROOT / folder).rglob("*.py")
    ]
    raised = {found for path in sources for found in code.findall(path.read_text())}
    listed = (ROOT / "docs" / "errors.md").read_text()
    assert raised == set(code.findall(listed))
    sections = re.findall(r"^### (EK-\S+)$", listed, re.MULTILINE)
    assert sorted(sections) == sorted(raised), "a code means one thing"


@pytest.mark.slow
def test_wheel_works_outside_the_tree(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("edgekit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "installed")
    for name in (
        "edgekit/py.typed",
        "edgekit/report/report.schema.json",
        "edgekit/targets/catalog/raspberry-pi-4.toml",
        "edgekit/targets/runners/python_runner.py",
        "edgekit/sample_apps/linux_python/app.py",
        "edgekit/sample_apps/linux_python/pictures.py",
        "edgekit/explanations/codes/data.toml",
        "edgekit/example/digits/edgekit.toml",
        "edgekit/example/csv/penguins.csv",
        "edgekit/contracts/runner.py",
    ):
        assert name in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"edgekit"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", START.format(sys.path), "targets"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "raspberry-pi-4" in done.stdout


# The unpacked wheel goes before the development install on the path.
START = "import sys; sys.path[:] = ['installed', *{!r}]; from edgekit.cli import main; main()"
