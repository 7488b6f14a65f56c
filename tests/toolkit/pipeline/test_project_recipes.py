"""The projects that `edgekit init --recipe` writes: whole, and run to a bundle."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from conftest import answer, brief, edgekit
from edgekit import example
from edgekit.data import signals
from edgekit.errors import ProjectError
from edgekit.example import RECIPES, write_project
from edgekit.project import Project
from edgekit.types import Signal
from edgekit.usercode import resolve


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_a_project_whose_data_is_made(tmp_path: Path, name: str) -> None:
    write_project(tmp_path / "p", recipe=name)
    project = Project.load(tmp_path / "p" / "edgekit.toml")
    assert project.model.source == "model.py:build"
    assert all((tmp_path / "p" / made).exists() for made in RECIPES[name].made)


def test_every_folder_of_recipes_is_offered() -> None:
    folders = {path.name for path in example.ROOT.iterdir() if (path / "edgekit.toml").is_file()}
    assert folders == set(RECIPES)


def test_recipe_leaves_data_of_ones_own_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("mine")
    write_project(tmp_path, recipe="csv")
    assert (tmp_path / "train.csv").read_text() == "mine"
    assert not (tmp_path / "test.csv").exists()


def test_recipe_whose_data_cannot_be_made_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(example.ROOT / "csv", tmp_path / "csv")
    (tmp_path / "csv" / "data.py").write_text("raise SystemExit('the disk is full')")
    monkeypatch.setattr(example, "ROOT", tmp_path)
    with pytest.raises(ProjectError, match="the disk is full") as refused:
        write_project(tmp_path / "p", recipe="csv")
    assert refused.value.code == "EK-INIT-002"


def test_unknown_recipe_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = answer("init", "p", "--recipe", "audoi", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'audio'" in done.stderr
    assert "segmentation" in done.stderr
    both = answer("init", "p", "--recipe", "csv", "--from", "model.keras", cwd=tmp_path)
    assert both.returncode == 2
    assert not (tmp_path / "p").exists()


def test_help_of_init_names_every_recipe(tmp_path: Path) -> None:
    said = answer("init", "--help", cwd=tmp_path).stdout
    assert all(name in said for name in RECIPES)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RECIPES if name != example.DEFAULT])
def test_recipe_runs_to_a_bundle_of_builtin_operators(tmp_path: Path, name: str) -> None:
    assert edgekit("init", "p", "--recipe", name, cwd=tmp_path).returncode == 0
    file = tmp_path / "p" / "edgekit.toml"
    # Two epochs prove that it runs. What pictures teach in all is in benchmarks/README.md.
    if name != "csv":
        file.write_text(re.sub(r"epochs = \d+", "epochs = 2", file.read_text()))
    done = brief("convert", "--json", "--max-drop", "100%", cwd=tmp_path / "p")
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    if name == "csv":
        assert all(one["metrics"]["accuracy"]["value"] > 0.9 for one in report["candidates"])
    (target,) = report["targets"]
    (shipped,) = [c for c in report["candidates"] if c["id"] == target["candidate"]]
    assert shipped["operators"]
    assert not any(one["name"].startswith(("FLEX", "Flex")) for one in shipped["operators"])
    with tarfile.open(tmp_path / "p" / target["bundle"]["path"]) as archive:
        assert any(one.endswith("/model.tflite") for one in archive.getnames())


@pytest.mark.slow
def test_log_mel_of_the_audio_recipe_is_that_of_the_signal_rule(tmp_path: Path) -> None:
    write_project(tmp_path, recipe="audio")
    build = resolve("model.py:build", tmp_path)
    module = sys.modules[build.__module__]
    fourier, mel = module.fourier, module.mel
    samples = np.random.default_rng(0).normal(0, 0.3, 4000)
    starts = np.arange(0, 4000 - 256 + 1, 128)
    windows = samples[starts[:, None] + np.arange(256)]
    real, imaginary = (windows @ kernel[:, 0] for kernel in fourier())
    found = np.log((real**2 + imaginary**2) @ mel() * 256 + 1e-6)
    rule = Signal(8000, 256, 128, 256, 32, 20.0, 4000.0, power=2)
    np.testing.assert_allclose(found, signals.features(samples[None], rule)[0], atol=1e-4)
