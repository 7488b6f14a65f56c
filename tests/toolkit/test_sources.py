"""What is kept was made by this code: an edit in a checkout makes every key another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import edgekit
from edgekit.sources import code_version


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A checkout of two files, as an editable install shows it: folders of links."""
    (tmp_path / "checkout" / "inner").mkdir(parents=True)
    shown = tmp_path / "build" / "edgekit"
    (shown / "inner").mkdir(parents=True)
    for name in ("__init__.py", "inner/code.py"):
        (tmp_path / "checkout" / name).write_text("x = 1\n")
        (shown / name).symlink_to(tmp_path / "checkout" / name)
    return shown


@pytest.mark.parametrize("edit", ["changed", "added", "renamed", "removed"])
def test_every_edit_of_a_checkout_is_another_version(package: Path, edit: str) -> None:
    before = code_version(package)
    code = (package / "inner" / "code.py").resolve()
    if edit == "changed":
        code.write_text("x = 2\n")
    elif edit == "added":
        (package / "table.toml").write_text("")
    elif edit == "renamed":
        (package / "inner" / "code.py").rename(package / "inner" / "other.py")
    else:
        (package / "inner" / "code.py").unlink()
    code_version.cache_clear()
    after = code_version(package)
    assert before != after
    assert after.startswith(f"{edgekit.__version__}+")


def test_compiled_files_and_times_are_no_edit(package: Path) -> None:
    before = code_version(package)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "code.pyc").write_bytes(b"1")
    (package / "__init__.py").resolve().touch()
    code_version.cache_clear()
    assert code_version(package) == before


def test_an_installed_wheel_keeps_its_version(package: Path, tmp_path: Path) -> None:
    installed = tmp_path / "lib" / "site-packages" / "edgekit"
    shutil.copytree(package, installed)
    assert code_version(installed, "9.9.9") == "9.9.9"
