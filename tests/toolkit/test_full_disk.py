"""A full disk, and a folder that cannot be written: one clear error, at every stage."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from conftest import EDGEKIT, answer, edgekit

Done = subprocess.CompletedProcess[str]
UNSHARE = ("unshare", "--mount") if os.getuid() == 0 else ("unshare", "-rm")


def mounted(commands: str, *arguments: object, cwd: Path) -> Done:
    """Run edgekit where these mounts exist, which nobody else sees."""
    command = shlex.join([str(EDGEKIT), *map(str, arguments)])
    return subprocess.run(
        [*UNSHARE, "sh", "-ec", f"{commands}\nexec {command}"],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def mounts() -> None:
    """Skips where this system lets nobody mount."""
    try:
        command = [*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"]
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"mounts are not permitted here: {error}")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def convert(models: Path, digits: Path, output: Path, *more: str) -> tuple[object, ...]:
    return convert_model(models / "keras3.keras", digits, output, *(more or ("--no-evaluate",)))


def convert_model(model: Path, digits: Path, output: Path, *more: str) -> tuple[object, ...]:
    return ("convert", model, "--data", digits / "test.npz", "--output", output, *more)


def assert_refused(done: Done, code: str, output: Path) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error EK-") == 1
    assert f"error {code}: " in done.stderr
    assert str(output) in done.stderr or "no space left" in done.stderr
    assert "--output DIR" in done.stderr


# What fits in so many kB, measured: the folders alone, the log, the SavedModel, the data, ...
@pytest.mark.parametrize(
    "size",
    [60, *(pytest.param(size, marks=pytest.mark.slow) for size in (12, 24, 120, 200, 300, 400))],
)
def test_run_says_so_when_the_disk_is_full(
    mounts: None, tmp_path: Path, models: Path, digits: Path, output: Path, size: int
) -> None:
    done = mounted(
        f"mount -t tmpfs -o size={size}k none {output}",
        *convert(models, digits, output),
        cwd=tmp_path,
    )
    assert_refused(done, "EK-STORE-001", output)


# Measured, too: the reference's answers, their place, the candidate's, another runtime's, the file.
@pytest.mark.slow
@pytest.mark.parametrize("size", [140, 180, 200, 230, 260])
def test_judging_says_so_when_the_disk_is_full(
    mounts: None, tmp_path: Path, converted: Path, digits: Path, output: Path, size: int
) -> None:
    model = converted / "float32.tflite"
    done = mounted(
        f"mount -t tmpfs -o size={size}k none {output}",
        *convert_model(model, digits, output, "--precision", "float32"),
        cwd=tmp_path,
    )
    assert_refused(done, "EK-STORE-001", output)


def test_run_says_so_when_there_are_no_inodes(
    mounts: None, tmp_path: Path, models: Path, digits: Path, output: Path
) -> None:
    done = mounted(
        f"mount -t tmpfs -o nr_inodes=8 none {output}",
        *convert(models, digits, output),
        cwd=tmp_path,
    )
    assert_refused(done, "EK-STORE-001", output)


@pytest.mark.slow
def test_run_succeeds_when_space_was_freed(
    mounts: None, tmp_path: Path, models: Path, digits: Path, output: Path
) -> None:
    command = shlex.join([str(EDGEKIT), *map(str, convert(models, digits, output))])
    done = mounted(
        f"mount -t tmpfs -o size=200k none {output}\n"
        f"{command} && exit 9\n"
        f"find {output} -name '*.part' -o -path '*/store/tmp/*' | grep . && exit 8\n"
        f"mount -o remount,size=20m {output}",
        *convert(models, digits, output),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_run_says_so_when_the_folder_is_read_only(
    mounts: None, tmp_path: Path, models: Path, digits: Path, output: Path
) -> None:
    done = mounted(
        f"mount --bind {output} {output}\nmount -o remount,ro,bind {output}",
        *convert(models, digits, output),
        cwd=tmp_path,
    )
    assert_refused(done, "EK-STORE-002", output)
    assert "Read-only file system" in done.stderr
    assert done.stderr.startswith("error EK-STORE-002"), "it says so before it works"


@pytest.mark.slow
def test_run_says_so_when_the_folder_became_read_only(
    mounts: None, tmp_path: Path, models: Path, digits: Path, output: Path
) -> None:
    assert edgekit(*convert(models, digits, output), cwd=tmp_path).returncode == 0
    done = mounted(
        f"mount --bind {output}/build {output}/build\nmount -o remount,ro,bind {output}/build",
        *convert(models, digits, output),
        cwd=tmp_path,
    )
    assert_refused(done, "EK-STORE-002", output)


@pytest.mark.usefixtures("lent_worker")
@pytest.mark.parametrize("stands", [".edgekit", ".edgekit/runs", ".edgekit/store", "build"])
def test_run_says_so_when_a_file_is_in_the_way(
    tmp_path: Path, models: Path, digits: Path, output: Path, stands: str
) -> None:
    (output / stands).parent.mkdir(exist_ok=True)
    (output / stands).touch()
    arguments = convert(models, digits, output, "--no-evaluate", "--precision", "float32")
    assert_refused(answer(*arguments, cwd=tmp_path), "EK-STORE-002", output)
