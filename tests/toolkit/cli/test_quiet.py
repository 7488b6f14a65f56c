"""-q prints the verdict, and what is red: of every command that judges something."""

from __future__ import annotations

from pathlib import Path

import pytest
from tflite_files import build, int8_dense

from conftest import answer
from edgekit.targets.runners.probe import probe_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    (tmp_path / "dense.tflite").write_bytes(build(int8_dense()))
    (tmp_path / "wrong.toml").write_text('id = "mine"\n')
    return tmp_path


def told(folder: Path, *words: str) -> list[str]:
    return answer(*words, "-q", cwd=folder).stdout.splitlines()


def test_a_difference_is_one_line(folder: Path) -> None:
    (line,) = told(folder, "diff", "probe.tflite", "dense.tflite")
    assert "operators changed" in line
    assert told(folder, "diff", "probe.tflite", "probe.tflite") == [
        "the files are identical, byte for byte"
    ]


def test_a_fit_is_the_targets_by_verdict(folder: Path) -> None:
    lines = told(folder, "targets", "fit", "--no-run", "dense.tflite")
    assert any(line.startswith("fits") for line in lines)
    assert not any("nearest fix" in line for line in lines)


def test_what_is_wrong_is_never_silent(folder: Path) -> None:
    done = answer("targets", "validate", "wrong.toml", "-q", cwd=folder)
    assert done.returncode == 2
    assert "wrong.toml" in done.stdout
    assert told(folder, "inspect", "probe.tflite") == []
    done = answer("devices", "list", "local:nothing", "-q", cwd=folder)
    assert done.returncode != 0
    assert done.stdout + done.stderr


def test_a_machine_in_order_says_nothing(folder: Path) -> None:
    assert told(folder, "devices") == []
