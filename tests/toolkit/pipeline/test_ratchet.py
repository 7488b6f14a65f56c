"""A conversion is held against edgekit.lock, as a check is, before anything is packed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgekit import Project, convert
from edgekit.api import check, latest, update_lock

pytestmark = pytest.mark.usefixtures("untimed")
PROJECT = """[model]
name = "digits"
source = "model.tflite"
[data]
evaluate = "test.npz"
preprocess = { scale = "1/16" }
[convert]
as_is = true
"""


def test_run_that_falls_behind_the_lock_is_red_and_packs_nothing(
    digits_run: Path, digits: Path, tmp_path: Path
) -> None:
    """The planted fault: the lock has a byte less than the file."""
    shutil.copy(digits_run / "project/build/digits/int8/model.tflite", tmp_path)
    shutil.copy(digits / "test.npz", tmp_path)
    (tmp_path / "edgekit.toml").write_text(PROJECT)
    project = Project.load(tmp_path / "edgekit.toml")
    (target,) = convert(project).targets
    assert target.bundle is not None
    update_lock(project=project)
    done = convert(project)
    assert done.verdict.exit_code == 0
    assert "lock size" in [one.name for one in done.verdict.checks]
    lock = tmp_path / "edgekit.lock"
    size = done.candidates[0].bytes
    lock.write_text(lock.read_text().replace(f"bytes = {size}", f"bytes = {size - 1}"))
    done = convert(project)
    (target,) = done.targets
    red = [one.name for one in done.verdict.checks if one.status.value == "failed"]
    assert (done.verdict.exit_code, red) == (1, ["lock size"])
    assert (target.candidate, target.bundle) == (None, None)
    assert not list((tmp_path / "dist").glob("*.tar.gz"))
    # The same verdict as that of a check of the run.
    again = check(latest(tmp_path), project)
    assert [(c.name, c.status) for c in again.verdict.checks] == [
        (c.name, c.status) for c in done.verdict.checks
    ]
