"""A training step of the user's own, in the loop that trains all other models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script
from pydantic import ValidationError
from test_resume import TRAIN, prepare

from conftest import once
from edgekit.project.train import TrainTable

# The same model twice: with a loss for Keras's own step, and without for one that is given.
MODEL = """
import keras, tf_keras, tensorflow as tf

def net(K, loss):
    L = K.layers
    model = K.Sequential([
        L.InputLayer((8, 8, 1)), L.Conv2D(4, 3, activation="relu"), L.BatchNormalization(),
        L.Flatten(), L.Dropout(0.3), L.Dense(10),
    ])
    if loss:
        loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(K.optimizers.Adam(1e-2), loss)
    return model

def keras3(): return net(keras, False)
def keras2(): return net(tf_keras, False)
def compiled3(): return net(keras, True)
def compiled2(): return net(tf_keras, True)

class Stepping3(keras.Sequential):
    def train_step(self, data):
        return {**super().train_step(data), "seven": tf.constant(7.0)}
class Stepping2(tf_keras.Sequential):
    def train_step(self, data):
        return {**super().train_step(data), "seven": tf.constant(7.0)}
def overriding(K, kind):
    model = kind([K.layers.InputLayer((8, 8, 1)), K.layers.Flatten(), K.layers.Dense(10)])
    model.compile("sgd", K.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model
def stepping3(): return overriding(keras, Stepping3)
def stepping2(): return overriding(tf_keras, Stepping2)
"""
STEPS = """
import tensorflow as tf

counted = tf.Variable(0)

def losses(y, logits):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.reshape(y, [-1]), logits)

def train_step(model, optimizer, batch):
    x, y = batch
    with tf.GradientTape() as tape:
        logits = model(x, training=True)
        loss = tf.reduce_mean(losses(y, logits))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    counted.assign_add(1)
    # AutoGraph makes a graph of this.
    if loss > 0:
        positive = tf.constant(1.0)
    else:
        positive = tf.constant(0.0)
    return {"loss": loss, "positive": positive, "largest": tf.reduce_max(logits, axis=-1)}

def test_step(model, batch):
    x, y = batch
    return {"loss": losses(y, model(x, training=False))}

def unapplied(model, optimizer, batch):
    return {"loss": tf.reduce_mean(model(batch[0], training=True))}

def bare(model, optimizer, batch):
    return tf.constant(1.0)

def narrow(model, batch):
    return {}
"""
OWN = """
import tensorflow as tf
from edgekit.errors import EdgekitError
from edgekit.training.feed import Aside
from edgekit.training.own_step import ATTRIBUTE, stepping
from edgekit.training.variables import training_variables
from edgekit.training.watch.steps import TracedStep
from edgekit.training.watch.settings import Settings, Watching

(folder / "steps.py").write_text(STEPS)
np.save(folder / "apart.npy", np.arange(43))
outcomes = {}

def keep(model, path):
    weights["last"] = [np.asarray(w).tobytes().hex() for w in model.get_weights()]
    weights["values"] = [np.asarray(w) for w in model.get_weights()]
    weights["model"] = model
    return ""
fit._save = keep

def train(function, name, aside=Aside(), watched=False, **said):
    out = folder / name
    out.mkdir(exist_ok=True)
    settings = TrainTable(**{"deterministic": True, "save_every": EVERY, **said})
    training = Training(dataset, Preprocess(), 2, BATCH, 0, aside)
    watching = Watching(Settings(every=1, share=1.0)) if watched else None
    told = []
    facts = fit.train(f"model.py:{function}", folder, training, out / "partial", out, settings,
                      watching, warn=told.append)
    history = (out / "history.csv").read_text()
    return {"weights": weights["last"], "history": history, "trained": facts["trained"],
            "told": told, "alarms": facts["alarms"]}

def falling(function, name, steps, **said):
    saved = loop.Keeper.batch_ended
    for step in steps:
        def ended(self, epoch, batch):
            saved(self, epoch, batch)
            if self.course.step >= step:
                raise KeyboardInterrupt
        loop.Keeper.batch_ended = ended
        try:
            train(function, name, **said)
        except KeyboardInterrupt:
            pass
    loop.Keeper.batch_ended = saved

def looked(function):
    model = fit.build(f"model.py:{function}", folder)
    model.compile("adam")
    x, y = np.load(folder / "train.npz")["x"][:16], np.load(folder / "train.npz")["y"][:16]
    x, y = tf.constant(x), tf.constant(y)
    with stepping(model, TrainTable(loop="steps.py:train_step"), folder) as step:
        training_variables(model)
        held = [*model.variables, sys.modules["steps"].counted]
        before = [np.asarray(one).copy() for one in held]
        look = TracedStep(model)(x, y)
        same = all(np.array_equal(a, np.asarray(b)) for a, b in zip(before, held))
    return [same, len(look.gradients), len(model.trainable_variables), list(look.units)]

APART = Aside(folder / "apart.npy")
own = {"loop": "steps.py:train_step", "validation_step": "steps.py:test_step"}
# Deterministic kernels stay for the rest of a process.
for function in ("keras3", "keras2"):
    watched = {"watched": True, "deterministic": False}
    outcomes[f"{function} watched"] = train(function, f"{function} watched", **watched, **own)
    outcomes[f"{function} unapplied"] = train(
        function, f"{function} unapplied", loop="steps.py:unapplied", **watched)["told"]
for function, by_keras in (("keras3", "compiled3"), ("keras2", "compiled2")):
    mine = {**own, "optimizer": "adam", "learning_rate": 1e-2, "aside": APART}
    outcomes[function] = train(function, function, **mine)
    values = weights["values"]
    left = weights["model"]
    outcomes[f"{function} left"] = [hasattr(left, ATTRIBUTE), "train_step" in vars(left),
                                    len([m for m in left.metrics if m.name == "largest"])]
    falling(function, f"{function} cut", (4, 8), **mine)
    outcomes[f"{function} cut"] = train(function, f"{function} cut", **mine)
    outcomes[f"{function} look"] = looked(function)
    outcomes[f"{function} keras"] = train(by_keras, by_keras, aside=APART)
    outcomes[f"{function} apart"] = max(
        float(np.abs(a - b).max()) for a, b in zip(values, weights["values"]))
    for label, said in {
        "bare": {"loop": "steps.py:bare"}, "narrow": {"loop": "steps.py:narrow"},
        "unjudged": {"loop": "steps.py:train_step", "aside": APART},
    }.items():
        try:
            train(function, f"{function} {label}", **said)
            outcomes[f"{function} {label}"] = "accepted"
        except EdgekitError as error:
            outcomes[f"{function} {label}"] = str(error)
outcomes["stepping3"] = train("stepping3", "stepping3")
outcomes["stepping2"] = train("stepping2", "stepping2")
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""
GENERATIONS = pytest.mark.parametrize("generation", ["keras3", "keras2"])


@pytest.fixture(scope="session")
def stepped(shared: Path) -> dict[str, Any]:
    """Weights, history and what was told, of trainings by own steps in both generations."""

    def make(folder: Path) -> None:
        prepare(folder, MODEL)
        tensorflow_script(f"{TRAIN}\nSTEPS = {STEPS!r}\n{OWN}", folder)

    return dict(json.loads((once(shared / "stepped", make) / "outcomes.json").read_text()))


def rows(history: str) -> list[dict[str, float]]:
    head, *lines = history.splitlines()
    return [dict(zip(head.split(","), map(float, line.split(",")), strict=True)) for line in lines]


@pytest.mark.slow
@GENERATIONS
def test_own_step_trains_as_keras_does_where_it_computes_the_same(
    stepped: dict[str, Any], generation: str
) -> None:
    assert stepped[f"{generation} apart"] < 1e-4
    mine, keras = (rows(stepped[name]["history"]) for name in (generation, f"{generation} keras"))
    assert [row["loss"] for row in mine] == pytest.approx([row["loss"] for row in keras], rel=1e-4)
    losses = [row["val_loss"] for row in keras]
    assert [row["val_loss"] for row in mine] == pytest.approx(losses, rel=1e-3)
    assert [row["positive"] for row in mine] == [1.0, 1.0]


@pytest.mark.slow
@GENERATIONS
def test_own_step_that_is_cut_off_ends_with_the_same_bits(
    stepped: dict[str, Any], generation: str
) -> None:
    whole, cut = stepped[generation], stepped[f"{generation} cut"]
    assert cut["trained"]["resumed"] == 6
    assert cut["weights"] == whole["weights"]
    assert cut["history"] == whole["history"]


@pytest.mark.slow
@GENERATIONS
def test_own_step_is_watched_and_stays_as_it_was(stepped: dict[str, Any], generation: str) -> None:
    same, gradients, weights, units = stepped[f"{generation} look"]
    assert same
    assert gradients == weights == 6
    assert len(units) == 1
    assert "EK-NOTE-209" not in str(stepped[f"{generation} watched"]["alarms"])
    (told,) = stepped[f"{generation} unapplied"]
    assert "EK-NOTE-209" in told
    assert "steps.py:unapplied applies no gradients" in told


@pytest.mark.slow
@GENERATIONS
def test_model_is_left_without_the_step(stepped: dict[str, Any], generation: str) -> None:
    assert stepped[f"{generation} left"] == [False, False, 0]


@pytest.mark.slow
@GENERATIONS
@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("bare", "not a dict of figures"),
        ("narrow", "does not take (model, optimizer, batch)"),
        ("unjudged", "validation_step"),
    ],
)
def test_own_step_that_does_not_fit_is_refused(
    stepped: dict[str, Any], generation: str, case: str, words: str
) -> None:
    assert "EK-TRAIN-006" in stepped[f"{generation} {case}"]
    assert words in stepped[f"{generation} {case}"]


@pytest.mark.slow
@pytest.mark.parametrize("case", ["stepping3", "stepping2"])
def test_model_that_overrides_its_step_trains_by_it(stepped: dict[str, Any], case: str) -> None:
    assert [row["seven"] for row in rows(stepped[case]["history"])] == [7.0, 7.0]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"validation_step": "steps.py:test_step"}, "loop ="),
        ({"loop": "steps.py:train_step", "mixed_precision": "float16"}, "bfloat16"),
    ],
)
def test_wrong_combination_is_refused(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainTable.model_validate(table)
    assert words in str(caught.value)
