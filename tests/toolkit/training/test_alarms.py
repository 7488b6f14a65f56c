"""Faults planted in trainings raise the alarm that names them, and healthy ones raise none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script

from conftest import edgekit, once

pytestmark = pytest.mark.slow
GENERATIONS = ["keras", "tf_keras"]

SCRIPT = """
import json, sys, time
from pathlib import Path
import keras, numpy as np, tensorflow as tf, tf_keras
from edgekit.training.watch.alarms import Alarms
from edgekit.training.watch.batch import Batch, take
from edgekit.training.watch.callbacks import callbacks
from edgekit.training.watch.clock import InputClock
from edgekit.training.watch.settings import Settings

folder, name, file = sys.argv[1:]
K = {"keras": keras, "tf_keras": tf_keras}[name]
D, L = K.layers.Dense, K.layers
with np.load(file) as data:
    x = (data[data.files[0]][:1200].reshape(-1, 784) / 255).astype("float32")
    y = data[data.files[1]][:1200].astype("int64")
logits = K.losses.SparseCategoricalCrossentropy(from_logits=True)

def train(*layers, x=x, y=y, epochs=4, rate=1e-3, loss=logits, seed=0, wrap=None, held=200):
    for one in (keras, tf_keras):
        one.utils.set_random_seed(seed)
    model = K.Sequential([K.Input(x.shape[1:]), *layers])
    model.compile(K.optimizers.Adam(rate), loss, jit_compile=False)
    whole = tf.data.Dataset.from_tensor_slices((x[held:], y[held:])).batch(32)
    kept = tf.data.Dataset.from_tensor_slices((x[:held], y[:held])).batch(32)
    batches = [Batch(a.numpy(), b.numpy()) for a, b in whole]
    said = []
    found, clock = Alarms(said.append), InputClock()
    watching = callbacks(
        model, Settings(every=4, share=1.0), None, take(whole, 64), take(kept, 64), alarms=found,
        clock=clock, batch_at=lambda step: batches[(step - 1) % len(batches)],
    )
    fed = clock.around(wrap(whole) if wrap else whole)
    model.fit(fed, validation_data=kept, epochs=epochs, verbose=0, callbacks=watching)
    assert [one["code"] for one in found.facts] == [text.split()[1][:-1] for text in said]
    return {
        "alarms": [[one["code"][-3:], one["message"]] for one in found.facts],
        "finite": all(bool(np.isfinite(w).all()) for w in model.get_weights()),
    }

def slowly(dataset):
    def late(a, b):
        time.sleep(0.12)
        return a, b
    def shaped(a, b):
        return tf.ensure_shape(a, (None, 784)), tf.ensure_shape(b, (None,))
    called = lambda a, b: tf.numpy_function(late, [a, b], [tf.float32, tf.int64])
    return dataset.map(called).map(shaped)

def mlp(seed):
    layers = D(64, activation="relu"), L.Dropout(0.2), D(32, activation="relu"), D(10)
    return train(*layers, epochs=5, seed=seed)

def cnn(seed):
    return train(
        L.Reshape((28, 28, 1)), L.Conv2D(8, 3, activation="relu"), L.BatchNormalization(),
        L.MaxPooling2D(), L.Conv2D(16, 3, activation="relu"), L.BatchNormalization(),
        L.GlobalAveragePooling2D(), D(10), epochs=5, seed=seed,
    )

one = lambda: D(16, activation="relu", name="hidden")
big = K.initializers.RandomNormal(stddev=4.0, seed=1)
dark = K.initializers.Constant(-100.0)
bad = x.copy()
bad[200 + 32 * 5 + 7, 3] = np.nan
noise = np.random.default_rng(0).integers(0, 10, 300)
mean = K.losses.MeanSquaredError()
facts = {
    **{f"mlp {seed}": mlp(seed) for seed in range(2)},
    **{f"cnn {seed}": cnn(seed) for seed in range(2)},
    "gru": train(L.Reshape((28, 28)), L.GRU(16), D(10)),
    "regression": train(D(32, activation="relu"), D(1), y=x.mean(1), loss=mean),
    "vanish": train(*(D(16, activation="sigmoid", name=f"h_{k}") for k in range(14)), D(10)),
    "explode": train(*(D(32, activation="relu", kernel_initializer=big) for _ in range(4)), D(10)),
    "dead": train(D(32, activation="relu", name="hidden", bias_initializer=dark), D(10)),
    "item": train(one(), D(10), x=bad),
    "logarithm": train(one(), D(10), loss=lambda a, b: tf.math.log(b[:, 0] - 100.0)),
    "power": train(D(16), L.Lambda(lambda v: tf.exp(100 * v), name="power"), D(10)),
    "rate": train(one(), D(16, activation="relu"), D(10), rate=1e30),
    "overfit": train(D(256, activation="relu"), D(10), x=x[:300], y=noise, epochs=25, held=100),
    "slow": train(one(), D(10), wrap=slowly, epochs=2),
}
Path(folder, "facts.json").write_text(json.dumps(facts))
"""
HEALTHY = [*(f"{kind} {seed}" for kind in ("mlp", "cnn") for seed in range(2)), "gru", "regression"]
PLANTED = {
    "vanish": ("201", ("h_0/kernel", "vanish")),
    "explode": ("202", ("explode", "norm")),
    "dead": ("203", ("32 of 32 units of hidden",)),
    # Its activations or its kernel: what relu makes of NaN is a matter of the processor.
    "item": ("204", ("item 7 of the batch of step 6", "the first bad layer is hidden")),
    "logarithm": ("204", ("epoch 1, batch 1", "the loss of them is not")),
    "power": ("204", ("the first bad layer is power",)),
    "rate": ("204", ("from step 2 on", "the weights of step 0 are kept")),
    "overfit": ("205", ("on validation items it rose",)),
    "slow": ("207", ("training waits for its data",)),
}


@pytest.fixture(scope="module", params=GENERATIONS)
def trained(request: pytest.FixtureRequest, shared: Path, test_data: Path) -> dict[str, Any]:
    """What trainings with and without a planted fault said."""
    images = test_data / "fashion_mnist" / "fashion_train.npz"

    def make(part: Path) -> None:
        tensorflow_script(SCRIPT, part, request.param, images)

    folder = once(shared / f"alarms-{request.param}", make)
    found: dict[str, Any] = json.loads((folder / "facts.json").read_text())
    return found


def test_healthy_trainings_raise_no_alarm(trained: dict[str, Any]) -> None:
    assert {name: trained[name]["alarms"] for name in HEALTHY} == {name: [] for name in HEALTHY}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_raises_its_own_alarm_and_no_other(
    trained: dict[str, Any], fault: str
) -> None:
    code, words = PLANTED[fault]
    ((found, message),) = trained[fault]["alarms"]
    assert found == code
    assert all(word in message for word in words), message
    # Where the loss or weights were not numbers, the last good weights are kept.
    assert trained[fault]["finite"]


MODEL = """
import keras

def build():
    dark = keras.initializers.Constant(-100.0)
    model = keras.Sequential([
        keras.Input((8,)),
        keras.layers.Dense(16, activation="relu", bias_initializer=dark, name="hidden"),
        keras.layers.Dense(2),
    ])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    return model
"""
DATA = """
import numpy as np

def train():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 8)).astype("float32")
    return x, (x[:, 0] > 0).astype("int64")
"""


def test_an_alarm_is_told_at_once_and_again_from_the_store(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "data.py").write_text(DATA)
    (tmp_path / "edgekit.toml").write_text(
        'schema = 1\n[model]\nname = "dark"\nsource = "model.py:build"\n'
        '[data]\ntrain = "data.py:train"\n'
        "[train]\nbatch_size = 4\nepochs = 2\n"
        "[train.tensorboard]\nevery = 5\nshare = 1.0\n"
    )
    first = edgekit("train", "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "warning EK-NOTE-203: at step" in first.stderr
    again = edgekit("train", "--json", cwd=tmp_path)
    for done in (first, again):
        (advice,) = json.loads(done.stdout)["advice"]
        assert advice["code"] == "EK-NOTE-203"
        assert "16 of 16 units of hidden" in advice["message"]
    (logs,) = (tmp_path / "build" / "dark" / "logs").iterdir()
    assert list((logs / "train").glob("events.out.tfevents.*"))
