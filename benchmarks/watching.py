"""Whole trainings: against a plain Keras script, what watching costs, resuming, memory.

By CPU time, of all threads: the clock of a shared machine is others'.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from rows import Row

STEPS, WATCHED, RESUMED, MEMORY = 0.95, 1.05, 3.0, 1.1
ROUNDS = 3

COMMON = """
import json, os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
from pathlib import Path
import keras, numpy as np, tensorflow as tf
from edgekit.data import Dataset
from edgekit.project.train import TrainTable
from edgekit.training import loop
from edgekit.training.feed import Training
from edgekit.training.fit import Job, fit
from edgekit.training.watch.alarms import Alarms
from edgekit.training.watch.settings import Settings, Watching
from edgekit.types import Preprocess

folder, BATCH = Path(sys.argv[1]), 64

def dataset(count):
    if not (folder / f"y{count}.npy").exists():
        rng = np.random.default_rng(0)
        x = np.lib.format.open_memmap(
            folder / f"x{count}.npy", "w+", np.uint8, (count, 28, 28, 1))
        for at in range(0, count, 10_000):
            x[at : at + 10_000] = rng.integers(0, 256, (min(10_000, count), 28, 28, 1), np.uint8)
        np.save(folder / f"y{count}.npy", rng.integers(0, 10, count))
    return Dataset("random", {"x": folder / f"x{count}.npy"}, folder / f"y{count}.npy", count, "")

def network():
    L = keras.layers
    made = keras.Sequential([
        keras.Input((28, 28, 1)), L.Conv2D(8, 3, strides=2, activation="relu"),
        L.Conv2D(16, 3, strides=2, activation="relu"), L.GlobalAveragePooling2D(),
        L.Dense(10, activation="softmax"),
    ])
    made.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    return made

def ours(name, count, epochs, watching=None):
    training = Training(dataset(count), Preprocess(1 / 255), epochs, BATCH, 0)
    job = Job(folder, training, TrainTable(epochs=epochs), folder / name, watching)
    fit(network(), job, Alarms(), None)
"""
# Prints CPU seconds of a plain script, of a training, and of a watched one, of each round.
COST = (
    COMMON
    + """
COUNT, EPOCHS, rounds = 20_000, int(sys.argv[3]), int(sys.argv[2])
data = dataset(COUNT)
x, y = (np.load(folder / f"{name}{COUNT}.npy") for name in "xy")

def plain(_):
    model = network()
    model.fit(x.astype("float32") / 255, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)

def watched(number):
    ours(f"watched {number}", COUNT, EPOCHS, Watching(Settings(), folder / f"logs {number}"))

sides = {"plain": plain, "ours": lambda n: ours(f"ours {n}", COUNT, EPOCHS), "watched": watched}
for number in range(rounds):
    taken = {}
    for name in list(sides)[:: 1 if number % 2 else -1]:
        begin = time.process_time()
        sides[name](number)
        taken[name] = time.process_time() - begin
    print(json.dumps(taken), flush=True)
"""
)
# Ends at a step without a word, or prints the CPU seconds until the first step after that.
RESUME = (
    COMMON
    + """
begin, ended = time.process_time(), loop.Keeper.batch_ended
def stopping(self, epoch, batch):
    ended(self, epoch, batch)
    if sys.argv[2] == "stop" and self.course.step > 100:
        os._exit(0)
    if sys.argv[2] == "resume":
        print(json.dumps([self.course.step, time.process_time() - begin]), flush=True)
        os._exit(0)
loop.Keeper.batch_ended = stopping
training = Training(dataset(20_000), Preprocess(1 / 255), 2, BATCH, 0)
job = Job(folder, training, TrainTable(save_every=50), folder / "resumed", None)
begin = time.process_time()
fit(network(), job, Alarms(), None)
"""
)
# Prints the bytes of memory that are not of a file, after an epoch's first steps.
HELD = (
    COMMON
    + """
count = int(sys.argv[2])
dataset(count)
ended = loop.Keeper.batch_ended
def stopping(self, epoch, batch):
    ended(self, epoch, batch)
    if self.course.step >= 250:
        status = Path("/proc/self/status").read_text()
        print(json.dumps(1024 * int(status.split("RssAnon:")[1].split()[0])), flush=True)
        os._exit(0)
loop.Keeper.batch_ended = stopping
ours(f"held {count}", count, 1)
"""
)


def _run(code: str, *arguments: object) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def rows(epochs: int = 30) -> Iterator[Row]:
    """Steps against plain Keras, the cost of watching, the time to resume, memory by items."""
    with tempfile.TemporaryDirectory() as folder:
        rounds = _run(COST, folder, ROUNDS, epochs)
        steps = statistics.median(one["plain"] / one["ours"] for one in rounds)
        seconds = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
        yield Row(
            f"steps a CPU second of a whole training, a small CNN of {313 * epochs:,} steps"
            f" ({seconds['ours']:.1f} s, with tracing); the same model in a plain Keras script:"
            f" {seconds['plain']:.1f} s (median of {ROUNDS})",
            f"at least {STEPS} x",
            f"{steps:.2f} x",
            steps >= STEPS,
        )
        cost = statistics.median(one["watched"] / one["ours"] for one in rounds)
        yield Row(
            "CPU time of the same training watched, as by default, against unwatched"
            f" ({seconds['watched']:.1f} s, median of {ROUNDS})",
            f"at most {WATCHED} x",
            f"{cost:.3f} x",
            cost <= WATCHED,
        )
        _run(RESUME, folder, "stop")
        ((step, resumed),) = _run(RESUME, folder, "resume")
        yield Row(
            f"CPU seconds from the imports to the end of the first steps of a training that was"
            f" killed, with tracing (went on to step {step})",
            f"at most {RESUMED:.0f} s",
            f"{resumed:.1f} s",
            resumed <= RESUMED,
        )
        few, many = (_run(HELD, folder, count)[0] for count in (20_000, 400_000))
        yield Row(
            "memory of a training that is not of a file, of 400,000 items against 20,000"
            f" ({many / 1e6:,.0f} MB, the items are 314 MB)",
            f"at most {MEMORY} x",
            f"{many / few:.2f} x",
            many <= MEMORY * few,
        )


if __name__ == "__main__":
    for row in rows():
        print(row.what, row.measured, row.kept, sep=" | ", flush=True)
