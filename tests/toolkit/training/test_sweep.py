"""Sweeps: settings that are tried, a killed one resumed, and the best one taken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from test_alarms import DATA

from conftest import EDGEKIT, edgekit
from edgekit.errors import ProjectError
from edgekit.pipeline.plan import Options
from edgekit.pipeline.sweep import overlaid, sweep
from edgekit.project import Project
from edgekit.types import Silent

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MODEL = """
import keras

def build(units=4):
    return keras.Sequential([
        keras.Input((8,)), keras.layers.Dense(units, activation="relu"), keras.layers.Dense(2),
    ])
"""
SEEDS = [0, 1]
SWEEP = {
    "settings": {
        "learning_rate": {"low": 1e-6, "high": 0.1, "log": True},
        "batch_size": [16, 32],
    },
    "arguments": {"units": {"low": 4, "high": 16, "step": 4}},
}


def project(
    folder: Path,
    sweep: dict[str, Any] | None,
    arguments: dict[str, Any] | None = None,
    **train: Any,
) -> Path:
    (folder / "model.py").write_text(MODEL)
    (folder / "data.py").write_text(DATA)
    table: dict[str, Any] = {
        "schema": 1,
        "model": {"name": "half", "source": "model.py:build", "arguments": arguments or {}},
        "data": {"train": "data.py:train", "validation": 0.25},
        "train": {"epochs": 2, **train, **({"sweep": sweep} if sweep else {})},
    }
    path = folder / "edgekit.toml"
    path.write_text(tomli_w.dumps(table))
    return path


@pytest.mark.parametrize(
    ("sweep_table", "words"),
    [
        (None, "names no settings"),
        ({"trials": 2}, "names no settings"),
        ({"settings": {"batchsize": [16, 32]}}, "batchsize"),
        ({"settings": {"batch_size": [16, 0]}}, "batch_size"),
        ({"settings": {"learning_rate.start": {"low": -1.0, "high": 1.0}}}, "start"),
        ({"settings": {"epochs": [1, 2]}, "figure": "val_mine"}, "higher or a lower val_mine"),
    ],
    ids=["none", "nothing", "no such key", "no such value", "out of range", "no direction"],
)
def test_what_cannot_be_tried_is_said_before_anything_is_trained(
    tmp_path: Path, sweep_table: dict[str, Any] | None, words: str
) -> None:
    asked = Project.load(project(tmp_path, sweep_table))
    with pytest.raises(ProjectError) as error:
        sweep(asked, Options(), Silent())
    assert error.value.code == "EK-TRAIN-011"
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"settings": {"seed": [0, 1]}}, "seed is nothing to try"),
        ({"arguments": {"units": {"low": 8, "high": 8}}}, "not above low"),
        ({"arguments": {"units": {"low": 0, "high": 8, "log": True}}}, "log takes a low above 0"),
    ],
)
def test_a_sweep_of_nothing_is_refused(tmp_path: Path, table: dict[str, Any], words: str) -> None:
    path = project(tmp_path, {"trials": 2, **table})
    with pytest.raises(ProjectError, match=words):
        Project.load(path)


def test_a_trial_sets_keys_below_others_and_arguments(tmp_path: Path) -> None:
    rate = {"schedule": "cosine", "start": 0.1}
    asked = Project.load(project(tmp_path, None, learning_rate=rate))
    tried = overlaid(asked, {"learning_rate.start": 0.5, "batch_size": 16, "model.units": 12})
    assert tried.train.learning_rate is not None
    assert (tried.train.learning_rate.schedule, tried.train.learning_rate.start) == ("cosine", 0.5)
    assert tried.train.batch_size == 16
    assert tried.model.arguments == {"units": 12}
    assert asked.model.arguments == {}


def journal(folder: Path) -> str:
    found = list((folder / ".edgekit" / "sweeps").glob("half-*.journal"))
    return found[0].read_text() if found else ""


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_its_best_trial_is_trained(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="it is in the extra 'sweep'")
    project(tmp_path, {"trials": 2, "seeds": SEEDS, **SWEEP})
    process = subprocess.Popen(
        [EDGEKIT, "sweep", "--quiet"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        # One trial has come to its end, and the second has chosen its settings.
        while journal(tmp_path).count('"param_name":"model.units"') < 2 and process.poll() is None:
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = edgekit("sweep", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["trials"]) == 2
    tried = [trial["parameters"] for trial in found["trials"]]
    # What the killed one was at was tried again, and the first trial was not.
    assert journal(tmp_path).count('"param_name":"model.units"') == 3
    assert json.dumps(tried[1]["learning_rate"]) in journal(tmp_path)
    values = [trial["value"] for trial in found["trials"]]
    best = found["trials"][values.index(min(values))]
    assert found["best"] == best["number"]
    assert f"units = {best['parameters']['model.units']}" in found["toml"]
    logs = tmp_path / "build" / "half" / "logs"
    assert len([one for one in logs.iterdir() if one.is_dir()]) >= 2

    # The settings that it prints are those of its trainings, one with each seed.
    settings = tomllib.loads(found["toml"])
    figures = []
    for seed in SEEDS:
        project(tmp_path, None, settings["model"]["arguments"], **settings["train"], seed=seed)
        figures.append(trained(tmp_path)["val_loss"])
    assert figures[0] != figures[1]
    assert best["value"] == pytest.approx(sum(figures) / 2)

    project(tmp_path, {"trials": 9, "time_limit": "1 s", "seeds": SEEDS, **SWEEP})
    assert trained(tmp_path, "--from-sweep")["val_loss"] == figures[0]
    # More trials were allowed, and no more time.
    done = edgekit("sweep", "--json", cwd=tmp_path)
    assert len(json.loads(done.stdout)["trials"]) == 2


def trained(folder: Path, *options: str) -> dict[str, float]:
    """The figures of a training that the store has already."""
    done = edgekit("train", *options, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert [stage["cached"] for stage in facts["stages"] if stage["name"] == "train"] == [True]
    figures: dict[str, float] = facts["figures"]
    return figures
