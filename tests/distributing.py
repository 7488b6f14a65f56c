"""A small training for the tests of distribution: its data, its model, its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data import from_file
from edgekit.project.train import TrainTable
from edgekit.store import Store
from edgekit.training.feed import Aside, Training
from edgekit.types import Preprocess

MODEL = """
import keras, tf_keras

def net(K):
    L = K.layers
    model = K.Sequential([
        L.InputLayer((8, 8, 1)), L.Conv2D(4, 3, activation="relu"), L.Flatten(),
        L.BatchNormalization(), L.Dense(10),
    ])
    rate = K.optimizers.schedules.CosineDecay(1e-2, 60)
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(K.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model

def keras3(): return net(keras)
def keras2(): return net(tf_keras)

def diverging(K):
    # A step is thirty times the one before it, away from where it should go.
    L = K.layers
    inputs = K.Input((8, 8, 1))
    outputs = L.Dense(1, name="far")(L.Flatten()(L.Rescaling(100.0)(inputs)))
    model = K.Model(inputs, outputs)
    model.compile(K.optimizers.SGD(5e-4), "mse")
    return model

def diverging3(): return diverging(keras)
def diverging2(): return diverging(tf_keras)
"""
# What Keras does with that model.
STEP = """
import tensorflow as tf

counted = tf.Variable(0)

def losses(y, logits):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.reshape(y, [-1]), logits)

def train_step(model, optimizer, batch):
    x, y = batch
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(losses(y, model(x, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    counted.assign_add(1)
    return {"loss": loss, "items": tf.cast(tf.shape(x)[0], tf.float32)}

def test_step(model, batch):
    x, y = batch
    return {"loss": losses(y, model(x, training=False))}
"""
OWN = {"loop": "steps.py:train_step", "validation_step": "steps.py:test_step"}
# The last of the 7 batches, of 21 items, and what is validated on cannot be halved.
ITEMS, HELD, BATCH, EPOCHS = 234, 21, 32, 4
STEPS = 7 * EPOCHS


def prepare(folder: Path) -> None:
    (folder / "model.py").write_text(MODEL)
    (folder / "steps.py").write_text(STEP)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ITEMS, 8, 8, 1)).astype("float32")
    np.savez(folder / "train.npz", x=x, y=(np.abs(x).mean((1, 2, 3)) * 1e4).astype(int) % 10)
    np.save(folder / "held.npy", np.arange(0, ITEMS, 11)[:HELD])


def training(folder: Path) -> Training:
    dataset, _ = from_file(folder / "train.npz", Store(folder / "store"))
    return Training(dataset, Preprocess(), EPOCHS, BATCH, 0, Aside(folder / "held.npy"))


def settings(strategy: str, **more: Any) -> TrainTable:
    return TrainTable(
        strategy=strategy,
        epochs=EPOCHS,
        deterministic=True,
        save_every=3,
        best="val_loss",
        **more,
    )
