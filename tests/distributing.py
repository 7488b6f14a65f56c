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
"""
# The last of the 7 batches, of 21 items, and what is validated on cannot be halved.
ITEMS, HELD, BATCH, EPOCHS = 234, 21, 32, 4
STEPS = 7 * EPOCHS


def prepare(folder: Path) -> None:
    (folder / "model.py").write_text(MODEL)
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
