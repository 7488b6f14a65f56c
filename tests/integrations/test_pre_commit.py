"""The hook for pre-commit, run by pre-commit in a repository of git."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tflite_files import build, int8_dense

pytest.importorskip("pre_commit")
HOOKS = Path(__file__).resolve().parents[2] / ".pre-commit-hooks.yaml"
CONFIG = """
repos:
  - repo: {hooks}
    rev: {revision}
    hooks:
      - id: edgekit-check-files
        args: [--max-size, {limit} B, --forbid-operator, CONV_2D]
"""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    home = folder.parent
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PRE_COMMIT_HOME": str(home / "cache"), "HOME": str(home), "PATH": binaries}
    own |= {
        f"GIT_{who}_{what}": "a@b.c"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **own}, capture_output=True, text=True, check=False
    )


def repository(folder: Path) -> Path:
    folder.mkdir()
    assert run(folder, "git", "init", "-q").returncode == 0
    return folder


def test_a_commit_with_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    hooks = repository(tmp_path / "edgekit")
    shutil.copy(HOOKS, hooks)
    run(hooks, "git", "add", "-A")
    assert run(hooks, "git", "commit", "-qm", "hooks").returncode == 0
    revision = run(hooks, "git", "rev-parse", "HEAD").stdout.strip()

    project, content = repository(tmp_path / "project"), build(int8_dense())
    config = project / ".pre-commit-config.yaml"
    config.write_text(CONFIG.format(hooks=hooks, revision=revision, limit=len(content)))
    (project / "model.tflite").write_bytes(content)
    assert run(project, sys.executable, "-m", "pre_commit", "install").returncode == 0
    run(project, "git", "add", "-A")
    done = run(project, "git", "commit", "-m", "a model")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout + done.stderr

    (project / "model.tflite").write_bytes(build(int8_dense(), spare=b"0" * 64))
    run(project, "git", "add", "-A")
    done = run(project, "git", "commit", "-m", "a larger model")
    assert done.returncode == 1
    assert "FAILED: model.tflite size" in done.stdout + done.stderr

    # The hook is for models alone.
    run(project, "git", "reset", "-q", "--hard")
    (project / "notes.txt").write_text("larger than any model, were it one" * 1000)
    run(project, "git", "add", "-A")
    done = run(project, "git", "commit", "-m", "notes")
    assert done.returncode == 0
    assert "Skipped" in done.stdout + done.stderr
