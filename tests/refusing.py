"""What a command refuses is refused with a code, and leaves nothing half-written."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import answer, once

Done = subprocess.CompletedProcess[str]
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"
NO_EVALUATE = ("--no-evaluate", "--precision", "float32")
# Enough to have the data matched to the model, and refused before a worker starts.
MATCHED = ("--no-evaluate", "--precision", "int8")


@pytest.fixture(scope="session")
def exported(shared: Path, models: Path, digits: Path) -> Path:
    """A store that holds the SavedModel of ``keras3.keras``, so that its data is judged at once."""

    def make(folder: Path) -> None:
        data = ("--data", digits / "test.npz")
        done = answer("convert", models / "keras3.keras", *data, *NO_EVALUATE, cwd=folder)
        assert done.returncode == 0, done.stderr

    return once(shared / "exported", make) / ".edgekit" / "store"


@pytest.fixture
def work(tmp_path: Path, exported: Path) -> Path:
    """An empty folder to work in, whose store knows ``keras3.keras``."""
    shutil.copytree(exported, tmp_path / ".edgekit" / "store")
    return tmp_path


def assert_refused(done: Done, code: str, folder: Path) -> str:
    """One error with this code, exit code 2, and nothing of it on stdout or disk; its text."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error EK-") == 1
    assert f"error {code}: " in done.stderr
    assert_nothing_left(folder)
    return done.stderr[done.stderr.index("error EK-") :]


def assert_nothing_left(folder: Path) -> None:
    """No output, and nothing half-written."""
    assert not list(folder.glob("build/**/*"))
    assert not list(folder.glob("dist/**/*"))
    assert not list(folder.glob(".edgekit/store/tmp/*"))
    assert not list(folder.rglob("*.part"))


def truncated(path: Path, share: float, to: Path) -> Path:
    """The first ``share`` of a file, under a new name."""
    content = path.read_bytes()
    to.write_bytes(content[: int(len(content) * share)])
    return to


def save(path: Path, **arrays: Any) -> Path:
    """An ``.npz`` file of arrays."""
    np.savez(path, **arrays)
    return path


def _with_members(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.json", content)


def _encrypted(path: Path) -> None:
    _with_members(path, config=b"{}", metadata=b"{}")
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
