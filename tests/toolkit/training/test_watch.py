"""What is watched of a training: logs that double nothing, at a bounded cost, without a trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script

from conftest import once

SCRIPT = """
import json, sys, time
from pathlib import Path
import keras, numpy as np, tensorflow as tf, tf_keras
from edgekit.training.watch.batch import take
from edgekit.training.watch.callbacks import callbacks
from edgekit.training.watch.clock import InputClock
from edgekit.training.watch.settings import Settings
from edgekit.training.watch import alarms, events
from edgekit.training.watch.budget import Budget
from edgekit.training.watch.steps import Look
from edgekit.training.watch.summaries import histogram, scalar

(folder,) = map(Path, sys.argv[1:])
rng = np.random.default_rng(0)
x = rng.normal(size=(160, 6, 6, 1)).astype("float32")
y = rng.integers(0, 3, 160)

def model(K):
    for one in (keras, tf_keras):
        one.utils.set_random_seed(1)
    L = K.layers
    made = K.Sequential([
        K.Input((6, 6, 1)), L.Conv2D(4, 3, activation="relu", name="conv"), L.BatchNormalization(),
        L.Dropout(0.3), L.Flatten(), L.Dense(3, name="out"),
    ])
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(K.optimizers.Adam(1e-2), loss, metrics=["accuracy"], jit_compile=False)
    return made

train = tf.data.Dataset.from_tensor_slices((x[:128], y[:128])).batch(16)
held = tf.data.Dataset.from_tensor_slices((x[128:], y[128:])).batch(16)

def fitted(K, logs=None, epochs=3, made=None):
    made = made or model(K)
    names = ("cat", "dog / puppy", "fish") if K is keras else ()
    watching = [] if logs is None else callbacks(
        made, Settings(every=4, share=1.0, items=32, class_names=names), logs, take(train, 32),
        take(held, 32),
    )
    made.fit(train, validation_data=held, epochs=epochs, verbose=0, callbacks=watching)
    return made

def steps(logs):
    found = {}
    for event in events.read(logs):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append(event.step)
    return found

def graphs(logs):
    return sum(bool(event.graph_def) for event in events.read(logs))

facts = {}
for K in (keras, tf_keras):
    logs = folder / K.__name__
    watched, plain = fitted(K, logs), fitted(K)
    weights = zip(watched.get_weights(), plain.get_weights())
    beside = [path.name for path in (logs / "validation").iterdir()]
    facts[K.__name__] = {
        "same": [a.tobytes() == b.tobytes() for a, b in weights],
        "train": steps(logs / "train"), "validation": steps(logs / "validation"),
        "graphs": graphs(logs / "train"),
        "files": sorted(name for name in beside if "tfevents" not in name),
        "metadata": (logs / "validation" / "metadata.tsv").read_text().splitlines(),
    }
    fitted(K, logs, epochs=2, made=watched)
    facts[K.__name__]["resumed"] = steps(logs / "train")
    facts[K.__name__]["graphs_resumed"] = graphs(logs / "train")

log = events.EventLog(folder / "cut", 0)
for step in (5, 10, 15):
    log.write(step, scalar("loss", step))
log.close()
(file,) = events.files(folder / "cut")
file.write_bytes(file.read_bytes()[:-7])
log = events.EventLog(folder / "cut", 5)
log.write(5, scalar("loss", 0.5), scalar("other", 0.5))
log.write(6, scalar("loss", 0.6))
facts["cut"] = steps(folder / "cut")

now = [0.0, 0.0]
budget = Budget(0.05, {"clock": lambda: now[0], "processors": lambda: now[1]}, least=0.5)
def passes(seconds, cores):
    now[:] = now[0] + seconds, now[1] + cores * seconds
# The first step took 20 s on one core, and so long is tracing the look expected to take.
passes(20.0, 1)
budget.expect("look", 1.0)
budget.expect("small", 0.02)
allowed = [budget.allows("look"), budget.allows("small")]
first = None
for _ in range(20000):
    passes(0.1, 1)
    if budget.allows("look"):
        first = first or budget.elapsed["clock"]
        with budget.look("look"):
            # It keeps two cores busy.
            passes(0.4 if "look" in budget._traced else 20.0, 2)
budget.forbid("small")
facts["budget"] = [allowed, first, budget.spent, budget.elapsed, budget.allows("small")]

clock = InputClock()
def slow(value):
    time.sleep(0.02)
    return value
sleepy = tf.data.Dataset.range(10).map(lambda v: tf.numpy_function(slow, [v], tf.int64))
values = [int(v) for v in clock.around(sleepy)]
facts["clock"] = [values, clock.waited]
(row,) = histogram("h", np.array([1.0, 2.0, np.nan, 3.0])).value
facts["histogram"] = tf.make_ndarray(row.tensor)[:, 2].sum() if hasattr(row, "tensor") else None

def look(gradients, weight=1.0, dead=0):
    return Look(1.0, {n: np.full((2, 2), weight) for n in gradients},
                {n: np.full((2, 2), g) for n, g in gradients.items()}, {"relu": dead}, {"relu": 10})
def named(found):
    return sorted(found)
facts["rules"] = {
    "vanishing": named(alarms.vanishing(look({"a": 1e-9, "b": 1.0}))),
    "learning": named(alarms.vanishing(look({"a": 1e-4, "b": 1.0}))),
    "converged": named(alarms.vanishing(look({"a": 1e-12, "b": 1e-11}))),
    "exploding": named(alarms.exploding(look({"a": 1e5, "b": 1.0}))),
    "infinite": named(alarms.exploding(look({"a": np.inf, "b": 1.0}))),
    "large": named(alarms.exploding(look({"a": 50.0, "b": 1.0}))),
    "dead": named(alarms.dying(look({"a": 1.0}, dead=9))),
    "some dead": named(alarms.dying(look({"a": 1.0}, dead=8))),
}
said = {
    "overfits": alarms.overfitting([2, 1.5, 1.2, 1, .8, .6], [2, 1.7, 2.1, 2.2, 2.3, 2.4]),
    "best kept": alarms.overfitting([2, 1.5, 1.2, 1, .8, .6], [2, 1.7, 2.1, 2.2, 2.3, 2.4], True),
    "gets better": alarms.overfitting([2, 1.5, 1.2, 1, .8, .6], [2, 1.7, 1.6, 1.5, 1.4, 1.3]),
    "noise": alarms.overfitting([2, 1.5, 1.2, 1, .8, .6], [2, 1.5, 1.6, 1.55, 1.6, 1.5]),
    "one bad epoch": alarms.overfitting([2, 1.5, 1.2, 1, .8, .6], [2, 1.5, 1.5, 1.6, 1.6, 2.4]),
    "starves": alarms.starving(6.0, 10.0, 100), "waits a little": alarms.starving(2.0, 10.0, 100),
    "just began": alarms.starving(6.0, 10.0, 20), "short": alarms.starving(0.9, 1.0, 100),
}
facts["said"] = {n: a and f"{a.severity}: {a.message}" for n, a in said.items()}
(folder / "facts.json").write_text(json.dumps(facts, default=float))
"""


@pytest.fixture(scope="module")
def facts(shared: Path) -> dict[str, Any]:
    """What a watched training, its logs and the rules of alarms came to."""
    folder = once(shared / "watched", lambda part: tensorflow_script(SCRIPT, part))
    found: dict[str, Any] = json.loads((folder / "facts.json").read_text())
    return found


@pytest.mark.parametrize("generation", ["keras", "tf_keras"])
def test_a_watched_training_ends_with_the_very_weights_of_an_unwatched_one(
    facts: dict[str, Any], generation: str
) -> None:
    assert facts[generation]["same"]
    assert all(facts[generation]["same"])


@pytest.mark.parametrize("generation", ["keras", "tf_keras"])
def test_logs_hold_figures_of_both_runs_histograms_and_one_graph(
    facts: dict[str, Any], generation: str
) -> None:
    found = facts[generation]
    scalars = {"loss", "accuracy", "learning_rate", "steps_per_second", "sparsity"}
    assert scalars <= set(found["train"])
    assert found["train"]["loss"] == found["validation"]["loss"] == [8, 16, 24]
    kernel = "conv/kernel"
    assert found["train"][f"weights/{kernel}"] == found["train"][f"gradients/{kernel}"]
    assert found["train"][f"weights/{kernel}"] == [1, 5, 9, 13, 17, 21, 24]
    names = {"keras": ["cat", "dog / puppy", "fish"], "tf_keras": ["0", "1", "2"]}[generation]
    curves = {"keras": {"cat", "dog _ puppy", "fish"}, "tf_keras": {"class_0", "class_2"}}
    assert {"worst", *curves[generation]} <= set(found["validation"])
    assert {word for row in found["metadata"][1:] for word in row.split("\t")} <= set(names)
    assert found["graphs"] == 1
    assert found["files"] == ["metadata.tsv", "projector_config.pbtxt", "sprite.png", "tensors.tsv"]


@pytest.mark.parametrize("generation", ["keras", "tf_keras"])
def test_a_resumed_training_appends_to_its_logs_and_doubles_nothing(
    facts: dict[str, Any], generation: str
) -> None:
    found = facts[generation]
    assert found["resumed"]["loss"] == [8, 16, 24, 32, 40]
    assert all(len(steps) == len(set(steps)) for steps in found["resumed"].values())
    assert found["graphs_resumed"] == 1


def test_what_was_logged_after_the_state_resumed_from_is_dropped(facts: dict[str, Any]) -> None:
    assert facts["cut"] == {"loss": [5, 6], "other": [5]}


def test_looks_keep_to_their_share_and_the_first_waits_for_it_too(facts: dict[str, Any]) -> None:
    allowed, first, spent, elapsed, forbidden = facts["budget"]
    # Half a second is there for the shortest training, and not the 20 s of tracing.
    assert allowed == [False, True]
    assert first == pytest.approx(400, abs=1)
    assert 0.04 * elapsed["processors"] < spent["processors"] <= 0.05 * elapsed["processors"] + 0.8
    assert spent["clock"] == pytest.approx(spent["processors"] / 2)
    assert not forbidden


def test_seconds_waited_for_data_are_counted_and_batches_stay_the_same(
    facts: dict[str, Any],
) -> None:
    values, waited = facts["clock"]
    assert values == list(range(10))
    assert waited >= 0.2


def test_a_histogram_leaves_out_what_is_not_finite(facts: dict[str, Any]) -> None:
    assert facts["histogram"] == 3


def test_rules_name_what_is_wrong_and_are_silent_on_what_is_not(facts: dict[str, Any]) -> None:
    assert facts["rules"] == {
        "vanishing": ["a"],
        "learning": [],
        "converged": [],
        "exploding": ["a"],
        "infinite": ["a"],
        "large": [],
        "dead": ["relu"],
        "some dead": [],
    }
    said = facts["said"]
    overfits, kept = said.pop("overfits"), said.pop("best kept")
    assert overfits.startswith("warning: the model overfits: since epoch 2")
    assert kept == f"{overfits}; the weights of the best epoch are kept".replace("warning", "info")
    assert "6 of 10 s in 100 steps (60%)" in said.pop("starves")
    assert set(said.values()) == {None}
