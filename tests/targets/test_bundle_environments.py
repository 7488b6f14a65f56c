"""The bundle in fresh environments, installed as its README says. Downloads from PyPI."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import once

pytestmark = pytest.mark.slow
TFLITE_RUNTIME = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="tflite-runtime has no wheel for this Python"
)
Environment = Callable[..., Path]


@pytest.fixture(scope="module")
def unpacked(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example project's bundle, unpacked as a user does. Read only."""
    folder = tmp_path_factory.mktemp("unpacked")
    (bundle,) = (digits_run / "project" / "dist").glob("*.tar.gz")
    with tarfile.open(bundle) as archive:
        archive.extractall(folder)  # noqa: S202  (our own)
    (root,) = folder.iterdir()
    return root


@pytest.fixture(scope="session")
def environment(shared: Path) -> Environment:
    """A maker of fresh virtual environments: its Python, with what pip was asked to install."""

    def make(name: str, *asked: object) -> Path:
        def fill(folder: Path) -> None:
            run(sys.executable, "-m", "venv", "--without-pip", folder)
            # This one's pip: unpacking another takes longer than what it is to install.
            pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
            done = run(*pip, "install", "--disable-pip-version-check", "--quiet", *asked)
            assert done.returncode == 0, done.stderr

        return once(shared / f"environment-{name}", fill) / "bin" / "python"

    return make


def run(*command: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=600, check=False
    )


def check(python: Path, folder: Path, runtime: str, version: str) -> None:
    done = run(python, "app.py", "selftest", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert f"on {runtime} {version}" in done.stdout
    assert "self-test passed on 10 golden items" in done.stdout
    done = run(python, "app.py", "bench", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "latency p50 " in done.stdout


def test_bundle_works_with_litert_alone(unpacked: Path, environment: Environment) -> None:
    python = environment("litert", "-r", unpacked / "requirements-litert.txt")
    check(python, unpacked, "litert", "2.3.0")


@TFLITE_RUNTIME
def test_bundle_works_with_tflite_runtime_alone(unpacked: Path, environment: Environment) -> None:
    python = environment("tflite-runtime", "-r", unpacked / "requirements-tflite-runtime.txt")
    check(python, unpacked, "tflite-runtime", "2.14.0")


@TFLITE_RUNTIME
def test_app_names_the_missing_pin_when_tflite_runtime_meets_numpy_2(
    unpacked: Path, environment: Environment
) -> None:
    python = environment("numpy-2", "tflite-runtime==2.14.0", "numpy>=2")
    for command in ("selftest", "bench"):
        for runtime in ([], ["--runtime", "tflite-runtime"]):
            done = run(python, "app.py", command, *runtime, cwd=unpacked)
            assert done.returncode == 1
            assert "numpy<2" in done.stderr
            assert "Traceback" not in done.stderr


def test_app_says_what_to_install_when_there_is_no_runtime(
    unpacked: Path, environment: Environment
) -> None:
    python = environment("numpy", "numpy")
    done = run(python, "app.py", "selftest", cwd=unpacked)
    assert done.returncode == 1
    assert "pip install ai-edge-litert" in done.stderr
    assert "Traceback" not in done.stderr
