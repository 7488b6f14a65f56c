"""`edgekit check-files`: limits on `.tflite` files by their bytes alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tflite_files import G, N, T, build, int8_dense

from conftest import answer
from edgekit.gate.lock import LockEntry, Tag, render_lock


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two files: ``dense.tflite`` (int8), and ``odd.tflite`` with a custom operator."""
    (tmp_path / "dense.tflite").write_bytes(build(int8_dense()))
    odd = G([T("x", [1, 4]), T("y", [1, 4])], [N("OwnOperator", ["x"], ["y"])], ["x"], ["y"])
    (tmp_path / "odd.tflite").write_bytes(build(odd))
    return tmp_path


def test_a_byte_over_the_limit_is_red_and_a_byte_less_is_not(models: Path) -> None:
    most = (models / "dense.tflite").stat().st_size
    done = answer("check-files", "dense.tflite", "--max-size", f"{most} B", cwd=models)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("passed: dense.tflite size")
    done = answer("check-files", "dense.tflite", "--max-size", f"{most - 1} B", cwd=models)
    assert done.returncode == 1
    assert f"FAILED: dense.tflite size (at most {most - 1:,} bytes)" in done.stdout
    assert "1 too many" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--forbid-operator", "FULLY_CONNECTED"), 1, "(without FULLY_CONNECTED): it has FULLY"),
        (("--forbid-operator", "CONV_2D"), 0, "passed: dense.tflite operators"),
        (
            ("--allow-operator", "FULLY_CONNECTED", "--allow-operator", "SOFTMAX"),
            0,
            "passed: dense.tflite operators",
        ),
        (("--allow-operator", "CONV_2D"), 1, "(only CONV_2D): it has FULLY_CONNECTED, SOFTMAX"),
        (("--max-runtime", "1.5"), 1, "it needs TensorFlow"),
        (("--max-runtime", "2.14"), 0, "passed: dense.tflite minimum runtime"),
        (("--target", "pi4"), 0, "passed: dense.tflite target raspberry-pi-4"),
    ],
)
def test_operators_runtime_and_target_are_checked(
    models: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = answer("check-files", "dense.tflite", *arguments, cwd=models)
    assert done.returncode == code, done.stdout
    assert says in done.stdout


def test_every_file_is_checked_and_quiet_shows_only_what_is_red(models: Path) -> None:
    limits = ("--max-size", "1 MB", "--target", "pi4")
    done = answer("check-files", "dense.tflite", "odd.tflite", "-q", *limits, cwd=models)
    assert done.returncode == 1
    assert "dense" not in done.stdout
    assert "FAILED: odd.tflite target raspberry-pi-4" in done.stdout
    told = answer("check-files", "odd.tflite", "--json", "--max-size", "1 B", cwd=models)
    verdict = json.loads(told.stdout)
    assert (verdict["status"], verdict["exit_code"]) == ("failed", told.returncode) == ("failed", 1)
    bound = {"value": 1.0, "unit": "byte", "at_least": False, "share": ""}
    assert verdict["checks"][0]["bound"] == bound


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "EK-FILES-001"),
        (("--forbid-operator", "CONV2D"), "did you mean 'CONV_2D'?"),
        (("--max-runtime", "new"), "EK-FILES-003"),
        (("--target", "raspberry-pi-44"), "EK-PROJECT-004"),
        (("--max-size", "20"), "EK-USAGE-001"),
    ],
)
def test_mistakes_exit_with_2(models: Path, arguments: tuple[str, ...], says: str) -> None:
    done = answer("check-files", "dense.tflite", *arguments, cwd=models)
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.hostile
@pytest.mark.parametrize("content", [b"", b"not a model", b"\x1c\0\0\0TFL3" + b"\xff" * 64])
def test_what_is_no_model_exits_with_2(models: Path, content: bytes) -> None:
    (models / "broken.tflite").write_bytes(content)
    done = answer("check-files", "broken.tflite", "--max-size", "1 MB", cwd=models)
    assert done.returncode == 2
    assert "broken.tflite" in done.stderr


def test_tensorflow_is_not_imported(models: Path) -> None:
    script = (
        "import sys\nfrom edgekit.cli.main import run\n"
        "code = run(['check-files', 'dense.tflite', '--target', 'pi4', '--max-size', '1 MB'])\n"
        "heavy = {'tensorflow', 'tflite_runtime', 'scipy', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(code or len(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=models).returncode == 0


def test_project_and_lock_are_the_limits_where_none_are_given(models: Path) -> None:
    """The planted faults: a byte over the lock's, and an operator that a target forbids."""
    placed = models / "build" / "digits" / "int8" / "model.tflite"
    placed.parent.mkdir(parents=True)
    shutil.copy(models / "dense.tflite", placed)
    budgets = 'budgets = { operators = { forbidden = ["SOFTMAX"] } }\n'
    text = '[model]\nname = "digits"\nsource = "model.keras"\n[targets.pi4]\n'
    (models / "edgekit.toml").write_text(text + budgets)
    entry = LockEntry(Tag("digits", "raspberry-pi-4", "int8"), "", "", 10, {"SOFTMAX": 1}, "", "")
    lock = models / "edgekit.lock"
    lock.write_text(render_lock((entry,)))
    done = answer("check-files", "build/digits/int8/model.tflite", cwd=models)
    red = [line for line in done.stdout.splitlines() if line.startswith("FAILED: build/")]
    assert (done.returncode, len(red)) == (1, 3), done.stdout
    assert "operators raspberry-pi-4 (without SOFTMAX)" in red[0]
    assert "lock size raspberry-pi-4 (at most 10 bytes)" in red[1]
    assert "lock operators raspberry-pi-4 (only SOFTMAX): it has FULLY_CONNECTED" in red[2]
    # Another precision, and a file of no project, are not held to them.
    assert answer("check-files", "dense.tflite", cwd=models).returncode == 0
    lock.write_text(render_lock((replace(entry, bytes=10**6, operators={}),)))
    (models / "edgekit.toml").write_text(text)
    assert answer("check-files", "build/digits/int8/model.tflite", cwd=models).returncode == 0
