"""The Linux bundle as a package and a service, beyond what test_bundle_app.py asks of its app."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from tflite_files import leaking

from edgekit.contracts.target import doubler
from edgekit.targets import catalog
from edgekit.targets.bundles import Contents, Golden, pack
from edgekit.targets.bundles.linux_python import package_version
from edgekit.types import CarriedState, Preprocess, TensorSpec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SYSTEMD = shutil.which("systemd-analyze")


def unpacked(contents: Contents, folder: Path) -> Path:
    packed = pack(catalog.load("linux-x86_64"), contents, folder / "bundle.tar.gz")
    with tarfile.open(packed.path) as archive:
        archive.extractall(folder)  # noqa: S202  (our own)
    return folder / f"{contents.name}-{contents.version}-linux-x86_64"


def keeping_a_state(folder: Path) -> Contents:
    """A model whose state is halved and has ``x`` added, and which gives twice the state."""
    model = folder / "leaking.tflite"
    model.write_bytes(leaking())
    x = np.ones((2, 2), np.float32)
    state_in, state_out = (
        TensorSpec(name, (1, 2), "float32") for name in ("state_in", "state_out")
    )
    return Contents(
        name="Leaky Sum",
        version="1b2c3d4e",
        model=model,
        precision="float32",
        inputs=(TensorSpec("x", (1, 2), "float32"),),
        outputs=(TensorSpec("y", (1, 2), "float32"),),
        preprocess=Preprocess(),
        labels=("left", "right"),
        golden=Golden({"x": x}, {"y": 2 * np.array([[1, 1], [1.5, 1.5]], np.float32)}, {"y": 1e-6}),
        measurements={},
        tools={},
        states=(CarriedState(state_in, state_out, "by name"),),
    )


def test_files_put_into_the_folder_are_one_stream_of_a_model_with_a_state(tmp_path: Path) -> None:
    app = unpacked(keeping_a_state(tmp_path), tmp_path) / "app.py"
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name, item in {"1.npy": [1, 0], "3.npy": [1, 0], ".half.npy": [9, 9]}.items():
        np.save(inbox / name, np.array([item], np.float32))
    (inbox / "2.npy").write_bytes(b"no array")
    with subprocess.Popen(
        [sys.executable, app, "watch", inbox, "--runtime", "litert", "--top", "1"],
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout
        lines = [json.loads(watching.stdout.readline()) for _ in range(3)]
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(60) == 0
    assert [line["file"] for line in lines] == ["1.npy", "2.npy", "3.npy"]
    assert "error" in lines[1]
    # 2 * 1, then 2 * (1 + 1 / 2): the state outlives the file between.
    assert lines[0]["items"] == [[{"label": "left", "score": 2.0}]]
    assert lines[2]["items"] == [[{"label": "left", "score": 3.0}]]
    left = {str(p.relative_to(inbox)) for p in inbox.rglob("*.npy")}
    assert left == {"done/1.npy", "done/3.npy", "refused/2.npy", ".half.npy"}


def test_watch_asks_for_a_folder(tmp_path: Path) -> None:
    app = unpacked(doubler(tmp_path), tmp_path) / "app.py"
    command = [sys.executable, str(app), "watch", str(tmp_path / "none"), "--runtime", "litert"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "watch takes one folder that is there" in done.stderr


@pytest.mark.parametrize(
    ("version", "expected"),
    [("1.2.3", "1.2.3"), ("1b2c3d4e", "0+1b2c3d4e"), ("rc 7", "0+rc.7"), ("??", "0+unknown")],
)
def test_any_version_is_one_that_pip_takes(version: str, expected: str) -> None:
    assert package_version(version) == expected


def test_package_and_unit_name_the_model_and_its_runtimes(tmp_path: Path) -> None:
    root = unpacked(keeping_a_state(tmp_path), tmp_path)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert (project["name"], project["version"]) == ("leaky-sum", "0+1b2c3d4e")
    assert project["scripts"] == {"leaky-sum": "leaky_sum_app.app:main"}
    assert project["optional-dependencies"]["litert"][0] == "ai-edge-litert==2.3.0"
    unit = (root / "systemd" / "leaky-sum.service").read_text()
    assert "ExecStart=/opt/leaky-sum/bin/leaky-sum watch /var/lib/leaky-sum/inbox" in unit
    assert "The model keeps a state" in (root / "README.md").read_text()


@pytest.mark.slow
def test_bundle_installs_with_pip_and_its_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    root = unpacked(doubler(tmp_path), tmp_path)
    venv = tmp_path / "venv"
    for command in (
        [sys.executable, "-m", "venv", venv],
        [venv / "bin" / "pip", "install", "--quiet", f"{root}[litert]"],
        [venv / "bin" / "doubler", "selftest"],
    ):
        done = subprocess.run(
            list(map(str, command)),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert "self-test passed on 3 golden items" in done.stdout
    if SYSTEMD is None:
        pytest.skip("systemd-analyze is not here: the unit was not checked")
    unit = root / "systemd" / "doubler.service"
    here = unit.read_text().replace("/opt/doubler/bin", str(venv / "bin"))
    unit.write_text(here)
    checked = subprocess.run(
        [SYSTEMD, "verify", unit], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stderr
    unit.write_text(here.replace("ExecStart=", "ExecStrat="))
    planted = subprocess.run(
        [SYSTEMD, "verify", unit], capture_output=True, text=True, timeout=60, check=False
    )
    assert "ExecStrat" in planted.stderr
