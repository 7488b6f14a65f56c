"""Killed at any step, a training ends with the bits that it would have had."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_process, tensorflow_script

from conftest import once

# Dropout and augmentation draw random numbers, batch norm and the average move by themselves.
MODEL = """
import keras, tensorflow as tf, tf_keras

def attend(x):
    weights = tf.nn.softmax(tf.matmul(x, x, transpose_b=True) / 2)
    return tf.matmul(weights, x)
class Attention3(keras.layers.Layer):
    def call(self, x): return attend(x)
class Attention2(tf_keras.layers.Layer):
    def call(self, x): return attend(x)

def subclass(K):
    class Net(K.Model):
        def __init__(self, layers):
            super().__init__()
            self.parts = layers
        def call(self, x, training=None):
            for layer in self.parts:
                draws = isinstance(layer, (K.layers.Dropout, K.layers.BatchNormalization))
                x = layer(x, training=training) if draws else layer(x)
            return x
    return Net

def net(K, made):
    L = K.layers
    model = made([
        L.RandomTranslation(0.1, 0.1), L.Conv2D(4, 3, activation="relu"),
        L.BatchNormalization(), L.Reshape((36, 4)), Attention3() if K is keras else Attention2(),
        L.Flatten(), L.Dropout(0.3), L.Dense(10),
    ])
    rate = K.optimizers.schedules.CosineDecay(1e-2, 60)
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = K.optimizers.Adam(rate, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model

def keras3(): return net(keras, lambda layers: keras.Sequential([keras.Input((8, 8, 1)), *layers]))
def keras2(): return net(tf_keras, tf_keras.Sequential)
def own3(): return net(keras, subclass(keras))
def own2(): return net(tf_keras, subclass(tf_keras))
"""
TRAIN = """
import json, shutil, sys
from pathlib import Path
import keras, numpy as np
from edgekit.data import from_file
from edgekit.project.train import TrainTable
from edgekit.store import Store
from edgekit.training import fit, loop
from edgekit.training.feed import Training
from edgekit.types import Preprocess

folder = Path(sys.argv[1])
EPOCHS, BATCH, EVERY = 4, 16, 3
dataset, _ = from_file(folder / "train.npz", Store(folder / "store"))
weights = {}

def keep(model, path):
    weights["last"] = [np.asarray(w).tobytes().hex() for w in model.get_weights()]
    return ""

# Saving the model and its SavedModel is not what is looked at.
fit.export_both = lambda *_, **__: {}
fit._save = keep

def train(function, name):
    out = folder / name
    out.mkdir(exist_ok=True)
    training = Training(dataset, Preprocess(), EPOCHS, BATCH, 0)
    settings = TrainTable(deterministic=True, save_every=EVERY)
    facts = fit.train(f"model.py:{function}", folder, training, out / "partial", out, settings)
    history = (out / "history.csv").read_text()
    return {"weights": weights["last"], "history": history, "trained": facts["trained"]}
"""
FALLEN = """
outcomes = {}

class Fall(Exception):
    pass

def falling(function, name, steps):
    saved = loop.Keeper.batch_ended
    for step in steps:
        def ended(self, epoch, batch):
            saved(self, epoch, batch)
            if self.course.step >= step:
                raise KeyboardInterrupt
        loop.Keeper.batch_ended = ended
        try:
            train(function, name)
        except KeyboardInterrupt:
            pass
    loop.Keeper.batch_ended = saved

for function in sys.argv[2:]:
    outcomes[function] = train(function, f"{function} whole")
    # Falling more than once asks nothing of other models that it does not of this one.
    falling(function, f"{function} cut", (4, 13, 32) if function == "keras3" else (32,))
    if function == "keras3":
        shutil.copytree(folder / "keras3 cut", folder / "damaged")
        (state,) = (folder / "damaged").rglob("step-000000030.state")
        state.write_bytes(state.read_bytes()[:-7])
        outcomes["damaged"] = train("keras3", "damaged")
    outcomes[f"{function} cut"] = train(function, f"{function} cut")
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""
KILLED = """
(folder / f"{sys.argv[2]}.json").write_text(json.dumps(train(*sys.argv[2].split())))
"""
DATA = """
import numpy as np, sys
rng = np.random.default_rng(0)
x = rng.normal(size=(203, 8, 8, 1)).astype("float32")
np.savez(sys.argv[1], x=x, y=rng.integers(0, 10, 203))
"""
STEPS = 4 * 13


def prepare(folder: Path, model: str = MODEL) -> None:
    (folder / "model.py").write_text(model)
    subprocess.run([sys.executable, "-c", DATA, folder / "train.npz"], check=True)


def fallen(folder: Path, *functions: str) -> dict[str, Any]:
    """Weights, history and notices by case, of trainings that an exception ended at a step."""

    def make(folder: Path) -> None:
        prepare(folder)
        tensorflow_script(TRAIN + FALLEN, folder, *functions)

    return dict(json.loads((once(folder, make) / "outcomes.json").read_text()))


@pytest.fixture(scope="session")
def outcomes(shared: Path) -> dict[str, Any]:
    """The outcomes of Sequential models of both generations."""
    return fallen(shared / "resumed", "keras3", "keras2")


@pytest.mark.parametrize("generation", ["keras3", "keras2"])
def test_training_cut_off_in_mid_epoch_ends_with_the_same_bits(
    outcomes: dict[str, Any], generation: str
) -> None:
    check_same_bits(outcomes, generation)


@pytest.mark.slow
def test_subclassed_models_that_were_cut_off_end_with_the_same_bits(shared: Path) -> None:
    outcomes = fallen(shared / "resumed-own", "own3", "own2")
    for generation in ("own3", "own2"):
        check_same_bits(outcomes, generation)


def check_same_bits(outcomes: dict[str, Any], generation: str) -> None:
    whole, cut = outcomes[generation], outcomes[f"{generation} cut"]
    assert whole["trained"]["resumed"] == 0
    # Every third step was saved, and the end of each epoch of 13.
    assert cut["trained"]["resumed"] == 30
    assert cut["weights"] == whole["weights"]
    assert cut["history"] == whole["history"]
    assert whole["history"].count("\n") == 5


def test_damaged_state_goes_on_from_the_one_before_with_the_same_bits(
    outcomes: dict[str, Any],
) -> None:
    damaged = outcomes["damaged"]
    assert damaged["weights"] == outcomes["keras3"]["weights"]
    assert damaged["history"] == outcomes["keras3"]["history"]
    assert damaged["trained"]["resumed"] == 27
    (notice,) = damaged["trained"]["notices"]
    assert "step 30 is damaged" in notice
    assert "went on from step 27" in notice


def newest(folder: Path) -> int:
    """The step of the last state that a training has saved."""
    return max((int(path.stem[-9:]) for path in folder.rglob("step-*.state")), default=0)


def kill_at(step: int, code: str, folder: Path, generation: str) -> None:
    """Train until a state of at least this step is there, and kill the process at once."""
    case = f"{generation} killed"
    process = tensorflow_process(code, folder, case)
    try:
        while newest(folder / "killed") < step and process.poll() is None:
            time.sleep(0.001)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(("generation", "times"), [("keras3", 10), ("keras2", 3)])
def test_training_killed_many_times_ends_with_the_same_bits(
    outcomes: dict[str, Any], tmp_path: Path, generation: str, times: int
) -> None:
    prepare(tmp_path)
    at = random.Random(generation)
    for step in sorted(at.sample(range(1, STEPS - 2), times)):
        kill_at(step, TRAIN + KILLED, tmp_path, generation)
    case = f"{generation} killed"
    tensorflow_script(TRAIN + KILLED, tmp_path, case)
    killed = json.loads((tmp_path / f"{case}.json").read_text())
    assert killed["trained"]["resumed"] > 0
    assert killed["weights"] == outcomes[generation]["weights"]
    assert killed["history"] == outcomes[generation]["history"]
