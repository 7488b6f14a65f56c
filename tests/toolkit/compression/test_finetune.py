"""Winning accuracy back: the best weights kept, patience, a teacher, any loss, going on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script

from conftest import once

# It trains or converts many models first.
pytestmark = pytest.mark.slow

FINETUNE = """
import json, os, shutil, sys
from pathlib import Path
import keras, numpy as np, tf_keras
from edgekit.data import Dataset
from edgekit.errors import EdgekitError
from edgekit.training.feed import Training
from edgekit.project.compress import FinetuneTable
from edgekit.project.train import TrainTable
from edgekit.training.finetune import TrainingHooks, finetune, finetuning
from edgekit.training.watch.settings import Settings, Watching
from edgekit.types import Preprocess

folder, models, digits = map(Path, sys.argv[1:])
train, test = np.load(digits / "train.npz"), np.load(digits / "test.npz")
np.save(folder / "x.npy", train["x"])
np.save(folder / "y.npy", train["y"])
dataset = Dataset("digits", {"x": folder / "x.npy"}, folder / "y.npy", len(train["y"]), "")
x, y = test["x"].astype("float32") / 16, test["y"]
(folder / "losses.py").write_text(
    "def crossentropy(y_true, y_pred):\\n"
    "    import tensorflow as tf\\n"
    "    labels = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int32), 10)\\n"
    "    return -tf.reduce_sum(labels * tf.math.log(y_pred + 1e-7), -1)\\n"
    "def broken(y_true, y_pred):\\n    return y_pred.nothing\\n"
)

def right(labels, outputs):
    return float((outputs.argmax(1) == labels).mean())

def model(generation):
    if generation == "small":
        # Where accuracy is not looked at: a graph of one layer is traced in no time.
        L = keras.layers
        return keras.Sequential([
            keras.Input((8, 8, 1), name="image"), L.Flatten(), L.Dense(10, activation="softmax"),
        ])
    library = {"keras3": keras, "keras2": tf_keras}[generation]
    loaded = library.models.load_model(models / f"{generation}.keras", compile=False)
    # Weights are lost, as a scheme loses them.
    rng = np.random.default_rng(0)
    loaded.set_weights([
        w * rng.binomial(1, 0.7, w.shape) if w.ndim > 1 else w for w in loaded.get_weights()
    ])
    return loaded

def accuracy(one):
    return right(y, np.asarray(one(x)))

outcomes = {}

def tuned(name, generation="keras3", score=right, settled=0, teacher=None, callbacks=(), epochs=3,
          **said):
    one = model(generation)
    table = FinetuneTable(**{"learning_rate": 1e-3, **said})
    tuning = finetuning(table, TrainTable(), epochs, 1e-3)
    training = Training(dataset, Preprocess(1 / 16), epochs, 32, 1)
    partial = folder / f"partial {name}"
    watching = Watching(Settings(items=32), folder / f"board {name}")
    hooks = TrainingHooks(score, settled, tuple(callbacks), watching)
    outcome = {"before": accuracy(one)}
    try:
        facts = finetune(one, tuning, training, teacher, hooks, partial, folder, None)
        outcome |= {**facts, "after": accuracy(one)}
    except EdgekitError as error:
        outcome |= {"code": error.code, "error": str(error)}
    outcome["board"] = any((folder / f"board {name}").rglob("events*"))
    outcomes[name] = outcome
    return one

for generation in ("keras3", "keras2"):
    tuned(generation, generation)
tuned("no epoch to choose", "small", epochs=1)

# The scores are ours: the second epoch of four is the best, whatever the weights are.
ours = iter([0.1, 0.9, 0.2, 0.3])
kept = {}
class Keep(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        kept[epoch + 1] = [np.array(w) for w in self.model.get_weights()]
one = tuned("best", "small", epochs=4, score=lambda *_: next(ours), callbacks=[Keep()])
outcomes["best"]["is epoch"] = [
    epoch for epoch, weights in kept.items()
    if all(np.array_equal(a, b) for a, b in zip(weights, one.get_weights()))
]
ours = iter([0.9, 0.5, 0.4, 0.3, 0.2])
tuned("patience", "small", epochs=5, patience=2, score=lambda *_: next(ours))
ours = iter([0.9, 0.5, 0.6])
tuned("settled", "small", epochs=3, settled=2 * 30, score=lambda *_: next(ours))

teacher = keras.models.load_model(models / "keras3.keras", compile=False)
tuned("distilled", teacher=teacher, distill={"temperature": 4.0, "weight": 1.0}, epochs=4)
wrong = keras.models.clone_model(teacher)
tuned("mistaught", teacher=wrong, distill={"temperature": 4.0, "weight": 1.0}, epochs=4)
tuned("no teacher", "small", distill={})
tuned("loss by name", loss="sparse_categorical_crossentropy", optimizer="sgd", learning_rate=0.05)
tuned("loss of the user", loss="losses.py:crossentropy")
tuned("loss that fails", "small", loss="losses.py:broken")
tuned("loss unknown", "small", loss="sparse_crossentropy")
tuned("optimizer unknown", "small", optimizer="adamm")

# Cut off in the third epoch, and started again.
class Die(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        begun.append(epoch)
        if epoch == 2 and len(begun) == 3:
            raise KeyboardInterrupt
begun = []
try:
    tuned("resumed", "small", epochs=4, callbacks=[Die()])
except KeyboardInterrupt:
    pass
tuned("resumed", "small", epochs=4, callbacks=[Die()])
outcomes["resumed"]["begun"] = begun
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""


@pytest.fixture(scope="session")
def tuned(shared: Path, models: Path, digits: Path) -> dict[str, Any]:
    """By name of a case: what fine-tuning said, and the accuracy before and after."""

    def make(folder: Path) -> None:
        tensorflow_script(FINETUNE, folder, models, digits)

    return dict(json.loads((once(shared / "finetuned", make) / "outcomes.json").read_text()))


@pytest.mark.parametrize(
    "name", ["keras3", "keras2", "loss by name", "loss of the user", "distilled"]
)
def test_finetuning_wins_back_what_was_lost(tuned: dict[str, Any], name: str) -> None:
    assert tuned[name]["before"] < 0.8
    assert tuned[name]["after"] > tuned[name]["before"] + 0.1
    assert tuned[name]["after"] > 0.85


def test_best_epoch_is_kept(tuned: dict[str, Any]) -> None:
    assert tuned["best"]["best_epoch"] == 2
    assert tuned["best"]["is epoch"] == [2]
    assert tuned["best"]["scores"] == [0.1, 0.9, 0.2, 0.3]


def test_training_stops_when_patience_ends(tuned: dict[str, Any]) -> None:
    assert tuned["patience"]["scores"] == [0.9, 0.5, 0.4]
    assert tuned["patience"]["best_epoch"] == 1


def test_epoch_before_a_scheme_has_settled_is_never_the_best(tuned: dict[str, Any]) -> None:
    assert tuned["settled"]["scores"] == [0.9, 0.5, 0.6]
    assert tuned["settled"]["best_epoch"] == 3


def test_no_item_is_held_out_when_there_is_no_epoch_to_choose(tuned: dict[str, Any]) -> None:
    assert "scores" not in tuned["no epoch to choose"]


def test_student_learns_what_its_teacher_knows(tuned: dict[str, Any]) -> None:
    assert tuned["distilled"]["after"] > 0.85
    assert tuned["mistaught"]["after"] < 0.5


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("no teacher", "EK-COMPRESS-005", "original"),
        ("loss that fails", "EK-PROJECT-008", "losses.py, line"),
        ("loss unknown", "EK-COMPRESS-013", "sparse_crossentropy"),
        ("optimizer unknown", "EK-COMPRESS-013", "adamm"),
    ],
)
def test_wrong_setting_is_named(tuned: dict[str, Any], name: str, code: str, words: str) -> None:
    assert tuned[name].get("code") == code, tuned[name]
    assert words in tuned[name]["error"]


def test_training_goes_on_after_the_last_whole_epoch(tuned: dict[str, Any]) -> None:
    # Epochs are counted from 0: two are done, the third is cut off, begun again, and one follows.
    assert tuned["resumed"]["begun"] == [0, 1, 2, 2, 3]
    assert len(tuned["resumed"]["scores"]) == 4


def test_tensorboard_finds_the_logs(tuned: dict[str, Any]) -> None:
    assert tuned["keras3"]["board"]
    assert tuned["keras2"]["board"]
