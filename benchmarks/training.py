"""Training against plain scripts: the pipeline against tf.data by hand, steps against Keras's fit.

All sides run in one process, in turns, on the same arrays.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from rows import Row

PIPELINE, STEPS = 0.90, 0.95
ROUNDS = 7

# Prints name, items a second by hand and by edgekit, of each round; of the pipeline as the clock on
# the wall has it, and a second of computing: on a machine that others use, the former is theirs.
MEASURE = """
import os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
from pathlib import Path
import keras, numpy as np, tensorflow as tf
from edgekit.data import Dataset
from edgekit.training.feed import Feed, Training
from edgekit.types import Preprocess

folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
COUNT, BATCH = 20_000, 64

def dataset(shape):
    rng = np.random.default_rng(0)
    np.save(folder / "x.npy", rng.integers(0, 256, (COUNT, *shape), np.uint8))
    np.save(folder / "y.npy", rng.integers(0, 10, COUNT))
    return Dataset("random", {"x": folder / "x.npy"}, folder / "y.npy", COUNT, "")

def network(shape):
    layers = keras.layers
    made = keras.Sequential([
        keras.Input(shape), layers.Conv2D(8, 3, strides=2, activation="relu"),
        layers.Conv2D(16, 3, strides=2, activation="relu"), layers.GlobalAveragePooling2D(),
        layers.Dense(10, activation="softmax"),
    ])
    made.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    return made

def scaled(x, y):
    return tf.cast(x, tf.float32) * (1 / 255), y

def in_memory(x, y):
    # Shuffled items of arrays that memory holds, batched, then scaled in parallel.
    items = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(COUNT, seed=0).batch(BATCH)
    return items.map(scaled, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

def gathered(x, y):
    # Shuffled numbers in batches, and the rows of each gathered at once.
    x, y = tf.constant(x), tf.constant(y)
    numbers = tf.data.Dataset.range(COUNT).shuffle(COUNT, seed=0).batch(BATCH)
    def rows(at):
        return scaled(tf.gather(x, at), tf.gather(y, at))
    return numbers.map(rows, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

def rates(batches):
    begin, computed, count = time.perf_counter(), time.process_time(), 0
    for x, _ in batches:
        count += len(x)
    return count / (time.perf_counter() - begin), count / (time.process_time() - computed)

def fit_rate(model, *arguments, **named):
    begin = time.perf_counter()
    model.fit(*arguments, epochs=1, verbose=0, **named)
    return COUNT / (time.perf_counter() - begin)

for shape in ((28, 28, 1), (96, 96, 3)):
    data = dataset(shape)
    model = network(shape)
    feed = Feed.of(model, Training(data, Preprocess(1 / 255), 1, BATCH, 0))
    x, y = np.load(folder / "x.npy"), np.load(folder / "y.npy")
    # As many epochs as take about a second.
    epochs = 6 if shape[0] == 28 else 2
    sides = {
        "slices": in_memory(x, y).repeat(epochs),
        "gather": gathered(x, y).repeat(epochs),
        "edgekit": feed.batches(0, epochs),
    }
    for number in range(rounds + 1):
        order = list(sides) if number % 2 else list(sides)[::-1]
        found = {name: rates(sides[name]) for name in order}
        for place, kind in enumerate(("wall", "pipeline") if number else ()):
            print(kind, shape[0], *[found[name][place] for name in sides], flush=True)
    if shape[0] == 28:
        floats = x.astype("float32") / 255
        for number in range(rounds + 1):
            turns = [
                lambda: fit_rate(model, floats, y, batch_size=BATCH, shuffle=True),
                lambda: fit_rate(model, feed.batches(0, 1)),
            ]
            if number % 2:
                plain, ours = turns[0](), turns[1]()
            else:
                ours, plain = turns[1](), turns[0]()
            if number:
                print("fit", shape[0], plain, ours, flush=True)
    del x, y
"""


def rows() -> Iterator[Row]:
    """The pipeline at least 0.90 of the better one by hand, steps at least 0.95 of plain Keras."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, folder, str(ROUNDS)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found: dict[tuple[str, str], list[list[float]]] = {}
    for line in done.stdout.splitlines():
        kind, side, *rates = line.split()
        found.setdefault((kind, side), []).append([float(rate) for rate in rates])
    for (kind, side), rounds in found.items():
        if kind == "wall":
            continue
        *hands, ours = (statistics.median(rates) for rates in zip(*rounds, strict=True))
        best = hands.index(max(hands))
        ratio = statistics.median(row[-1] / row[best] for row in rounds)
        bar = PIPELINE if kind == "pipeline" else STEPS
        wall = found.get(("wall", side), [])
        *clocked, own = (
            (statistics.median(rates) for rates in zip(*wall, strict=True)) if wall else (1, 1)
        )
        pipeline = (
            f"items a CPU second of the training's pipeline, {side}x{side} pixels in files"
            f" (median of {ROUNDS}: {ours:,.0f}); tf.data by hand on arrays in memory, the better"
            f" of two: {max(hands):,.0f}. By the clock: {own:,.0f} and {max(clocked):,.0f}"
        )
        fit = (
            f"items a second of `fit` on that pipeline, a small CNN (median of {ROUNDS}:"
            f" {ours:,.0f}); on float32 arrays in memory, as a plain script: {hands[0]:,.0f}"
        )
        yield Row(
            pipeline if kind == "pipeline" else fit,
            f"at least {bar} x",
            f"{ratio:.2f} x",
            ratio >= bar,
        )


if __name__ == "__main__":
    for row in rows():
        print(row.what, row.measured, row.kept, sep=" | ")
