"""The sample repository, from the shell with git: a change, red, a fix, green, the lock tighter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_files import packed

from edgekit.targets import catalog

CI = Path(__file__).resolve().parents[2] / "sample_apps" / "ci"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(catalog.host() != "linux-x86_64", reason="the sample ships to linux-x86_64"),
]
SPARE = 1500


def with_spare_bytes(content: bytes) -> bytes:
    """A file as a tool leaves it that writes notes into it: it computes the same."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    buffer, row = schema.BufferT(), schema.MetadataT()
    buffer.data = np.arange(SPARE, dtype=np.uint8)
    row.name, row.buffer = "notes", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata.append(row)
    return packed(model)


def shell(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    names = {f"GIT_{who}_NAME": "a" for who in ("AUTHOR", "COMMITTER")}
    mails = {f"GIT_{who}_EMAIL": "a@b.c" for who in ("AUTHOR", "COMMITTER")}
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, **names, **mails, "NO_COLOR": "1", "PATH": path, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def cases(folder: Path, kind: str) -> set[str]:
    """The names of the JUnit cases that are of a kind, such as ``failure``."""
    suites = ET.parse(folder / "junit.xml").getroot()  # noqa: S314  (ours)
    return {
        str(case.get("name")) for case in suites.iter("testcase") if case.find(kind) is not None
    }


def lay_out(repository: Path, model: bytes, built: Path, digits: Path) -> None:
    """The sample's files, with a model to ship, the one to compare it with, and its data."""
    shutil.copytree(CI, repository)
    (repository / "model.tflite").write_bytes(model)
    shutil.copy(built / "float32" / "model.tflite", repository / "float32.tflite")
    shutil.copy(digits / "test.npz", repository / "test.npz")


def assert_red_is_told(summary: str) -> None:
    """What is red stands first, with the limit and by how much, then what to do."""
    head, _, rest = summary.partition("**What to do**")
    assert "failed" in head.splitlines()[0]
    assert re.search(r"\*\*size\*\*.* 47,736 bytes .* 30,000 bytes .*17,736 B over", head)
    assert re.search(r"lock size.* 47,736 bytes", head)
    assert "make it smaller" in rest


def test_change_red_fix_green_tighter(digits_run: Path, digits: Path, tmp_path: Path) -> None:
    repository, built = tmp_path / "repository", digits_run / "project" / "build" / "digits"
    plain = (built / "int8" / "model.tflite").read_bytes()
    lay_out(repository, with_spare_bytes(plain), built, digits)

    # A model that keeps its budgets, and a lock of it.
    first = shell(
        repository,
        "set -e; git init -q; git add -A; git commit -qm 'A model'; sh ci.sh; make -s tighten"
        "; edgekit history add; git add -A; git commit -qm 'Lock it'; git status --short",
    )
    assert first.returncode == 0, first.stdout + first.stderr
    assert "verdict: passed" in first.stdout
    before = (repository / "edgekit.lock").read_text()
    assert f"{len(with_spare_bytes(plain))}" in before.replace("_", "").replace(",", "")

    # A colleague's change: the float16 file instead of the int8 one.
    shutil.copy(built / "float16" / "model.tflite", repository / "model.tflite")
    red = shell(repository, "git switch -qc change; git commit -qam 'Ship float16'; sh ci.sh")
    assert red.returncode == 1, red.stdout + red.stderr
    assert "its file timed beside this one in the same launches" in red.stdout
    tested = shell(repository, f"{sys.executable} -m pytest -q test_model.py")
    assert (tested.returncode, "linux-x86_64 float16 size" in tested.stdout) == (1, True)
    assert_red_is_told((repository / "summary.md").read_text().replace("\xa0", " "))
    assert "edgekit/size" in (repository / "code-quality.json").read_text()
    assert "size" in cases(repository, "failure")

    # The fix: int8 again, without the bytes that nothing needs.
    (repository / "model.tflite").write_bytes(plain)
    green = shell(repository, "git commit -qam 'Ship int8 without notes'; sh ci.sh")
    assert green.returncode == 0, green.stdout + green.stderr
    assert cases(repository, "failure") == set()
    tested = shell(repository, f"{sys.executable} -m pytest -q test_model.py")
    assert tested.returncode == 0, tested.stdout

    tighter = shell(repository, "make -s tighten; git commit -qam 'Tighten'; git show --stat HEAD")
    assert tighter.returncode == 0, tighter.stderr
    assert "edgekit.lock" in tighter.stdout
    assert (repository / "edgekit.lock").read_text() != before

    # From now on the bytes that are saved stay saved.
    back = shell(
        repository,
        "git checkout -q main~1 -- model.tflite 2>/dev/null"
        " || git checkout -q master~1 -- model.tflite; sh ci.sh",
    )
    assert back.returncode == 1
    assert f"the file has {len(with_spare_bytes(plain)):,} bytes" in back.stdout
    # The same network: how long the two files take is of the host.
    assert cases(repository, "failure") == {"lock size"}
