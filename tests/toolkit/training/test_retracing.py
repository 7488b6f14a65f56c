"""Functions that are traced again and again: noticed, counted, and explained; and line by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script
from test_resume import TRAIN, prepare

from conftest import once

FUNCTIONS = """
import json, sys
from pathlib import Path
import numpy as np, tensorflow as tf
from edgekit.training.retracing import noticed
from edgekit.training.watch.alarms import Alarms

@tf.function
def steady(x, training=True): return x + 1
@tf.function
def counting(x, k): return x * k
@tf.function
def ragged(batch): return batch["x"] + 1
@tf.function
def mixed(x): return x + x
@tf.function(reduce_retracing=True)
def relaxed(x): return x
def body(x): return x * 2
@tf.function
def outer(x): return inner(x) + tf.reduce_sum(inner(x[:2]))
@tf.function
def inner(x): return x + 1
@tf.function
def replicated(x, k): return x * k
def replica(x):
    return replicated(x[:2], now)
@tf.function
def spread(x): return mirrored.run(steady, (x,))

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
said = []
alarms = Alarms(said.append)
with noticed(alarms) as retracing:
    for step in range(6):
        rows = 16 if step % 3 < 2 else 11
        x = tf.zeros((rows, 4))
        steady(tf.zeros((16, 4)), training=step < 3)
        counting(tf.zeros(3), step)
        ragged({"x": x})
        mixed(tf.zeros(3, tf.float32 if step < 4 else tf.float16))
        tf.function(body)(tf.zeros(3))
        outer(tf.zeros((3, 1)))
        now = step
        parts = mirrored.experimental_distribute_values_from_function(lambda _: x)
        mirrored.run(replica, (parts,))
        spread(parts)
        retracing.started = True
    told = list(said)
counting(tf.zeros(3), 100)
(Path(sys.argv[1]) / "found.json").write_text(json.dumps({"told": told, "facts": alarms.facts}))
"""
MODEL = """
import keras, tf_keras, tensorflow as tf

def net(K, eagerly=False):
    inputs = K.Input((8, 8, 1))
    model = K.Model(inputs, K.layers.Dense(10)(K.layers.Flatten()(inputs)))
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(K.optimizers.SGD(0.1), loss, run_eagerly=eagerly)
    return model

def keras3(): return net(keras)
def keras2(): return net(tf_keras)
def eagerly3(): return net(keras, True)
def eagerly2(): return net(tf_keras, True)

class Attention3(keras.layers.Layer):
    def call(self, x):
        scores = tf.matmul(x, x, transpose_b=True)
        weights = tf.nn.softmax(scores)
        return tf.matmul(x, weights)
class Attention2(tf_keras.layers.Layer):
    def call(self, x):
        scores = tf.matmul(x, x, transpose_b=True)
        weights = tf.nn.softmax(scores)
        return tf.matmul(x, weights)

class Broken3(keras.Model):
    def __init__(self):
        super().__init__()
        self.attention, self.head = Attention3(), keras.layers.Dense(10)
    def call(self, x):
        return self.head(self.attention(x[:, :, :4, 0]))
class Broken2(tf_keras.Model):
    def __init__(self):
        super().__init__()
        self.attention, self.head = Attention2(), tf_keras.layers.Dense(10)
    def call(self, x):
        return self.head(self.attention(x[:, :, :4, 0]))
def broken(K, kind):
    model = kind()
    model.compile("sgd", K.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model
def broken3(): return broken(keras, Broken3)
def broken2(): return broken(tf_keras, Broken2)
"""
STEPS = """
import tensorflow as tf

@tf.function
def update(model, x, y, k):
    with tf.GradientTape() as tape:
        logits = model(x, training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
    return loss, tape.gradient(loss, model.trainable_variables)

count = 0

def counting(model, optimizer, batch):
    global count
    count += 1
    loss, gradients = update(model, batch[0], batch[1], count)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return {"loss": loss}

@tf.function
def half(x):
    return x / 2

def ragged(model, optimizer, batch):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(half(batch[0])) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return {"loss": loss}

def wrong(model, optimizer, batch):
    images, labels = batch
    logits = model(images, training=True)
    parts = {"logits": logits}
    right = tf.one_hot(labels, 9)
    return {"loss": tf.reduce_mean(right * logits)}

def plain(model, optimizer, batch):
    images, labels = batch
    with tf.GradientTape() as tape:
        # No graph could do this.
        loss = tf.reduce_mean(model(images) ** 2) * float(labels.numpy().max() > 0)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return {"loss": loss}
"""
TRAINED = """
from edgekit.errors import EdgekitError
(folder / "steps.py").write_text(STEPS)
outcomes = {}

def train(function, name, **said):
    out = folder / name
    out.mkdir(exist_ok=True)
    settings = TrainTable(**said)
    training = Training(dataset, Preprocess(), 2, 16, 0)
    told = []
    try:
        facts = fit.train(f"model.py:{function}", folder, training, out / "partial", out, settings,
                          warn=told.append)
    except EdgekitError as error:
        return {"error": str(error)}
    return {"told": told, "facts": facts["alarms"], "history": (out / "history.csv").read_text()}

for n in "32":
    outcomes[f"counting{n}"] = train(f"eagerly{n}", f"counting{n}", loop="steps.py:counting")
    outcomes[f"ragged{n}"] = train(f"eagerly{n}", f"ragged{n}", loop="steps.py:ragged")
    outcomes[f"graph{n}"] = train(f"keras{n}", f"graph{n}", loop="steps.py:ragged")
    outcomes[f"wrong{n}"] = train(f"keras{n}", f"wrong{n}", loop="steps.py:wrong", eager=True)
    outcomes[f"hint{n}"] = train(f"keras{n}", f"hint{n}", loop="steps.py:wrong")
    outcomes[f"plain{n}"] = train(f"keras{n}", f"plain{n}", loop="steps.py:plain", eager=True)
    outcomes[f"layer{n}"] = train(f"broken{n}", f"layer{n}", eager=True)
    outcomes[f"keras{n}"] = train(f"keras{n}", f"keras{n}", eager=True, steps_per_execution=4)
    outcomes[f"same{n}"] = train(f"keras{n}", f"same{n}")
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""
GENERATIONS = pytest.mark.parametrize("n", ["3", "2"])


def test_function_that_is_traced_again_is_named_with_what_changed(tmp_path: Path) -> None:
    tensorflow_script(FUNCTIONS, tmp_path)
    found = json.loads((tmp_path / "found.json").read_text())
    by_name = {fact["message"].split(" ")[0].rstrip(":"): fact for fact in found["facts"]}
    assert set(by_name) == {"counting", "ragged", "mixed", "body", "replicated", "spread"}
    counting = by_name["counting"]
    assert counting["message"].startswith("counting (<string>, line ")
    assert "was traced 5 times more after the first step" in counting["message"]
    assert "k is a Python value, and changed from 4 to 5" in counting["message"]
    assert counting["severity"] == "warning"
    assert "tensor" in counting["fix"]
    ragged = by_name["ragged"]
    assert "traced once more" in ragged["message"]
    assert "the shape of batch changed" in ragged["message"]
    assert "float32 [16, 4]" in ragged["message"]
    assert "float32 [11, 4]" in ragged["message"]
    assert ragged["severity"] == "info"
    assert "the dtype of x changed from float32 [3] to float16 [3]" in by_name["mixed"]["message"]
    assert "a new tf.function was made of it" in by_name["body"]["message"]
    # Under a strategy a function is traced once for all replicas.
    assert "was traced 5 times more" in by_name["replicated"]["message"]
    words = "from float32 [16, 4] in a replica to float32 [11, 4] in a replica"
    assert f"the shape of x changed {words}" in by_name["spread"]["message"]
    # Each is told at once, and once more where it becomes a warning.
    assert sum("counting" in said for said in found["told"]) == 2
    assert sum("ragged" in said for said in found["told"]) == 1


@pytest.fixture(scope="session")
def trained(shared: Path) -> dict[str, Any]:
    """What was told of trainings with faults in code of the user's, in both generations."""

    def make(folder: Path) -> None:
        prepare(folder, MODEL)
        tensorflow_script(f"{TRAIN}\nSTEPS = {STEPS!r}\n{TRAINED}", folder)

    return dict(json.loads((once(shared / "traced", make) / "outcomes.json").read_text()))


@pytest.mark.slow
@GENERATIONS
def test_step_that_takes_a_python_number_is_told_at_once_and_counted(
    trained: dict[str, Any], n: str
) -> None:
    first, *_ = trained[f"counting{n}"]["told"]
    assert "EK-NOTE-208" in first
    assert "k is a Python value, and changed from 1 to 2" in first
    (fact,) = trained[f"counting{n}"]["facts"]
    # Two epochs of thirteen steps.
    assert "traced 25 times more" in fact["message"]


@pytest.mark.slow
@GENERATIONS
def test_smaller_last_batch_traces_once_more_outside_of_the_graph_alone(
    trained: dict[str, Any], n: str
) -> None:
    (fact,) = trained[f"ragged{n}"]["facts"]
    assert "the shape of x changed from float32 [16, 8, 8, 1] to float32 [11" in fact["message"]
    assert "traced once more" in fact["message"]
    assert trained[f"graph{n}"]["facts"] == []


@pytest.mark.slow
@GENERATIONS
def test_error_of_a_step_comes_with_its_line_and_the_shapes_there(
    trained: dict[str, Any], n: str
) -> None:
    error = trained[f"wrong{n}"]["error"]
    line = STEPS.splitlines().index('    return {"loss": tf.reduce_mean(right * logits)}') + 1
    assert "EK-TRAIN-007" in error
    assert f"steps.py, line {line}, in wrong failed" in error
    assert "images: float32 [16, 8, 8, 1]" in error
    assert "parts['logits']: float32 [16, 10]" in error
    assert "right: float32 [16, 9]" in error
    assert "edgekit train --eager" in trained[f"hint{n}"]["error"]


@pytest.mark.slow
@GENERATIONS
def test_error_of_a_layer_comes_with_the_shapes_within_it(trained: dict[str, Any], n: str) -> None:
    error = trained[f"layer{n}"]["error"]
    assert "EK-TRAIN-007" in error
    assert "in call failed" in error
    assert "return tf.matmul(x, weights)" in error
    assert "weights: float32" in error


@pytest.mark.slow
@GENERATIONS
def test_line_by_line_a_training_is_the_same_and_takes_what_no_graph_can(
    trained: dict[str, Any], n: str
) -> None:
    assert trained[f"plain{n}"]["history"].count("\n") == 3
    losses = [
        [float(row.split(",")[1]) for row in trained[name]["history"].splitlines()[1:]]
        for name in (f"keras{n}", f"same{n}")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
