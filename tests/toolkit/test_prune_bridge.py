"""Pruning: the sparsity asked for, on models of both generations."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import once

PRUNE = """
import json, sys
from pathlib import Path
import numpy as np, tensorflow as tf
from edgekit.compression.prune import Plan, prune
from edgekit.data import Dataset
from edgekit.errors import EdgekitError
from edgekit.models.export import Names
from edgekit.models.source import identify
from edgekit.training.fit import Training
from edgekit.types import Preprocess

folder, models, digits = map(Path, sys.argv[1:])
train, test = np.load(digits / "train.npz"), np.load(digits / "test.npz")
np.save(folder / "x.npy", train["x"])
np.save(folder / "y.npy", train["y"])
np.save(folder / "samples.npy", train["x"][:50].astype("float32") / 16)
dataset = Dataset("digits", {"x": folder / "x.npy"}, folder / "y.npy", len(train["y"]), "")
training = Training(dataset, Preprocess(1 / 16), epochs=2, batch_size=32, seed=1)
x, y = test["x"].astype("float32") / 16, test["y"]
names = Names(("image",), ("digit",))
outcomes = {}

def pruned(name, file, sparsity, schedule, epochs, samples="samples.npy"):
    place = folder / name
    place.mkdir()
    try:
        facts = dict(prune(identify(models / file), Plan(sparsity, schedule, epochs),
                           training if epochs else None, folder / samples, place, names))
    except EdgekitError as error:
        outcomes[name] = {"code": error.code, "message": error.message}
        return
    call = tf.saved_model.load(str(place / "saved_model")).signatures["evaluate"]
    answers = call(image=tf.constant(x))["digit"].numpy()
    facts["accuracy"] = float(np.mean(answers.argmax(1) == y))
    outcomes[name] = facts

for generation in ("keras3", "keras2"):
    pruned(f"{generation} 0.85 one-shot", f"{generation}.keras", 0.85, "constant", 0)
    pruned(f"{generation} 0.85 tuned", f"{generation}.keras", 0.85, "polynomial", 2)
pruned("keras3 0.5 tuned", "keras3.keras", 0.5, "constant", 1)
pruned("keras3 0.3 one-shot", "keras3.h5", 0.3, "constant", 0)
pruned("keras3 0 one-shot", "keras3.keras", 0.0, "constant", 0)
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""

PRUNED = [
    "keras3 0.85 one-shot", "keras3 0.85 tuned", "keras2 0.85 one-shot", "keras2 0.85 tuned",
    "keras3 0.5 tuned", "keras3 0.3 one-shot", "keras3 0 one-shot",
]  # fmt: skip


@pytest.fixture(scope="session")
def pruned(shared: Path, models: Path, digits: Path) -> dict[str, Any]:
    """By name of a pruning: its facts and the pruned model's accuracy, or the refusal."""

    def make(folder: Path) -> None:
        run(PRUNE, folder, models, digits)

    return dict(json.loads((once(shared / "pruned", make) / "outcomes.json").read_text()))


def run(code: str, *arguments: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("name", PRUNED)
def test_pruning_achieves_the_sparsity_that_was_asked_for(
    pruned: dict[str, Any], name: str
) -> None:
    wanted = float(name.split()[1])
    facts = pruned[name]
    assert len(facts["layers"]) == 3
    assert all(abs(share - wanted) < 0.02 for _, share in facts["layers"]), facts
    assert abs(facts["achieved"] - wanted) < 0.02
    assert facts["finetuned"] == name.endswith("tuned")
    assert facts["bridge_difference"] < 1e-5


@pytest.mark.parametrize("generation", ["keras3", "keras2"])
def test_tuning_wins_back_what_pruning_costs(pruned: dict[str, Any], generation: str) -> None:
    one_shot, tuned = (
        pruned[f"{generation} 0.85 {how}"]["accuracy"] for how in ("one-shot", "tuned")
    )
    assert tuned > one_shot + 0.1
    assert tuned > 0.8


def test_pruning_nothing_changes_nothing(pruned: dict[str, Any]) -> None:
    facts = pruned["keras3 0 one-shot"]
    assert facts["achieved"] < 0.01
    assert facts["accuracy"] > 0.88
