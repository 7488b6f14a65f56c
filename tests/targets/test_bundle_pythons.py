"""The Pythons that a bundle names: the oldest and the newest, each with what pip chooses for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from arm_pythons import NEWEST, OLDEST, ArmPython, make_root, on_arm
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from edgekit.contracts.target import doubler
from edgekit.targets import catalog
from edgekit.targets.bundles import pack, read_bundle_manifest
from edgekit.targets.bundles.python_ranges import in_words, range_of, requires_python
from edgekit.targets.catalog.parsing import parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PINS = {"ai-edge-litert": "2.3.0", "tflite-runtime": "2.14.0"}
# Platforms that wheels of 64-bit Arm are named after.
WHEELS = tuple(f"manylinux_2_{minor}_aarch64" for minor in (34, 28, 27, 17))


def unpacked(target: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    packed = pack(catalog.load(target), doubler(folder), folder / "bundle.tar.gz")
    with tarfile.open(packed.path) as archive:
        archive.extractall(folder)  # noqa: S202  (our own)
    return folder / f"doubler-1.2.3-{target}"


def chosen(lines: list[str], version: str) -> dict[str, str]:
    """What pip takes of requirements on a Python: the specifier by name."""
    requirements = [Requirement(line) for line in lines]
    here = {"python_version": version}
    return {
        one.name: str(one.specifier)
        for one in requirements
        if one.marker is None or one.marker.evaluate(here)
    }


@pytest.mark.parametrize("target", ["linux-aarch64", "linux-armv7"])
def test_every_python_that_a_bundle_names_gets_one_runtime(target: str, tmp_path: Path) -> None:
    root = unpacked(target, tmp_path)
    lines = (root / "requirements.txt").read_text().splitlines()
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["runtime"] == lines
    named = SpecifierSet(project["requires-python"])
    runtimes = catalog.load(target).runtimes
    for minor in range(8, 20):
        version = f"3.{minor}"
        taken = {name for name in chosen(lines, version) if name in PINS}
        has_wheels = minor > 8 and any(minor in range_of(runtime) for runtime in runtimes)
        assert (version in named) == has_wheels
        if has_wheels:
            assert len(taken) == 1
    manifest = read_bundle_manifest(tmp_path / "bundle.tar.gz")
    assert [one["python"] for one in manifest["runtimes"]] == [one.python for one in runtimes]


def test_oldest_python_gets_tflite_runtime_and_the_newest_litert(tmp_path: Path) -> None:
    lines = (unpacked("linux-aarch64", tmp_path) / "requirements.txt").read_text().splitlines()
    assert chosen(lines, "3.9") == {"tflite-runtime": "==2.14.0", "numpy": "<2"}
    assert chosen(lines, "3.14") == {"ai-edge-litert": "==2.3.0", "numpy": ">=1.23"}


def test_a_runtime_whose_pythons_are_unknown_is_for_all_of_the_app() -> None:
    runtime = parse(
        "board",
        {
            **dict.fromkeys(("title", "system", "machine"), "board"),
            "bundle": "linux-python",
            "runtimes": [{"name": "litert", "package": "ai-edge-litert", "version": "2.3.0"}],
        },
    ).runtimes
    assert (requires_python(runtime), in_words(runtime)) == (">=3.9", "Python 3.9 or later")


def python_here(version: str) -> str:
    """A Python of this machine. The test is skipped where there is none of the version."""
    places = [shutil.which(f"python{version}")]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places += [str(one) for one in sorted(versions.glob(f"{version}.*/bin/python"))]
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    for place in filter(None, places):
        done = subprocess.run([place, "-c", show], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return str(place)
    pytest.skip(f"there is no Python {version} on this machine")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("3.9", "tflite-runtime 2.14.0"),
        ("3.10", "litert 2.3.0"),
        ("3.13", "litert 2.3.0"),
        ("3.14", "litert 2.3.0"),
    ],
)
def test_bundle_runs_in_an_empty_environment_of_this_machine(
    version: str, expected: str, tmp_path: Path
) -> None:
    python = python_here(version)
    root = unpacked("linux-x86_64", tmp_path)
    for command in (
        f"{python} -m venv --without-pip env",
        f"{sys.executable} -m pip --python env/bin/python install --quiet -r requirements.txt",
        "env/bin/python app.py selftest",
    ):
        done = subprocess.run(
            command.split(), cwd=root, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr
    assert f"on {expected}" in done.stdout
    assert "self-test passed on 3 golden items" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("python", "package", "expected"),
    [
        (OLDEST, "tflite-runtime", "tflite-runtime 2.14.0"),
        (NEWEST, "ai-edge-litert", "litert 2.3.0"),
    ],
    ids=["oldest", "newest"],
)
def test_bundle_runs_in_an_empty_environment_on_an_emulated_arm64(
    python: ArmPython, package: str, expected: str, tmp_path: Path
) -> None:
    root = make_root(python, tmp_path)
    bundle = unpacked("linux-aarch64", root / "srv")
    lines = (bundle / "requirements.txt").read_text().splitlines()
    pins = [name + which for name, which in chosen(lines, python.version).items()]
    assert f"{package}=={PINS[package]}" in pins
    platforms = [word for platform in WHEELS for word in ("--platform", platform)]
    there = ["--only-binary=:all:", "--python-version", python.version, *platforms]
    wheels = root / "srv" / "wheels"
    got = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", *there, "-d", wheels, "pip", *pins],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert got.returncode == 0, got.stderr
    # pip itself runs on the device, and takes from the requirements what is for its Python.
    (pip,) = wheels.glob("pip-*.whl")
    done = on_arm(
        root,
        f"set -e; cd /srv/{bundle.name}; python{python.version} -m venv --without-pip env;"
        f" env/bin/python /srv/wheels/{pip.name}/pip install --quiet --no-compile --no-index"
        " --find-links /srv/wheels -r requirements.txt; uname -m; env/bin/python app.py selftest",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("aarch64\n")
    assert f"doubler 1.2.3 on {expected}" in done.stdout
    assert "self-test passed on 3 golden items" in done.stdout
