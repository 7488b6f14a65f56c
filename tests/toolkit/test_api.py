"""The Python API, and the README's example of it."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edgekit
from conftest import FEW_RUNS
from edgekit.api import check, latest
from edgekit.errors import ProjectError

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.fixture
def project(digits_run: Path, tmp_path: Path) -> Path:
    """A copy of the converted example, store and all."""
    return Path(shutil.copytree(digits_run / "project", tmp_path / "project"))


def test_readme_example_runs_as_written(project: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    # So that it finds in the store what the fixture's run has timed.
    plan = FEW_RUNS
    done = subprocess.run(
        [sys.executable, "-c", plan + example],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"int8 +[\d.]+ kB", done.stdout)
    assert "passed" in done.stdout


def test_public_names_are_there() -> None:
    for name in edgekit.__all__:
        assert getattr(edgekit, name) is not None
    with pytest.raises(AttributeError, match="nothing_such"):
        edgekit.nothing_such  # noqa: B018


@pytest.mark.parametrize("package", ["edgekit", "edgekit.api", "edgekit.types"])
def test_names_that_type_checkers_see_are_there_when_they_are_used(package: str) -> None:
    module = importlib.import_module(package)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    names = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("edgekit.")
        for alias in node.names
    ]
    assert len(names) > 10
    folder = Path(str(module.__file__)).parent
    for name in names:
        assert getattr(module, name) is not None
        # Once it is imported, a module is what its package has of that name.
        assert not (folder / f"{name}.py").exists(), f"{name} is hidden by the module of its name"


def test_import_is_light() -> None:
    code = "import edgekit, sys; print([m for m in ('tensorflow', 'numpy', 'pydantic', 'rich')"
    done = subprocess.run(
        [sys.executable, "-c", code + " if m in sys.modules])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_check_judges_a_finished_run_again(project: Path) -> None:
    path = latest(project)
    assert check(path).verdict.exit_code == 0
    assert check(path, max_drop=0.0001).verdict.exit_code == 4
    assert check(path, max_size=1000).verdict.exit_code == 1


def test_check_narrows_to_a_precision(project: Path) -> None:
    path = latest(project)
    assert check(path, max_size=30_000).verdict.exit_code == 0
    assert check(path, max_size=30_000, precisions=("float32",)).verdict.exit_code == 1


def test_check_is_an_error_when_the_report_lacks_what_is_asked_for(project: Path) -> None:
    with pytest.raises(ProjectError, match="EK-REPORT-003"):
        check(latest(project), precisions=("int4",))
    with pytest.raises(ProjectError, match="EK-REPORT-001"):
        check(project / "nowhere.json")
    (project / "report.json").write_text("{}")
    with pytest.raises(ProjectError, match="EK-REPORT-002"):
        check(project / "report.json")
