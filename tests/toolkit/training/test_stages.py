"""Stages of a training: what each trains, how they follow each other, and how they resume."""

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

# A base that holds batch normalization lies within the model, as those of keras.applications do.
MODEL = """
import keras, tf_keras

def net(K):
    L = K.layers
    image = K.Input((8, 8, 1))
    inner = L.Conv2D(4, 3, activation="relu", name="first")(image)
    inner = L.BatchNormalization(name="norm")(inner)
    inner = L.Conv2D(4, 3, activation="relu", name="second")(inner)
    base = K.Model(image, inner, name="base")
    outer = K.Input((8, 8, 1))
    found = L.Dropout(0.3)(L.Flatten()(base(outer)))
    model = K.Model(outer, L.Dense(10, name="head")(found))
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(K.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
    return model

def keras3(): return net(keras)
def keras2(): return net(tf_keras)
"""
STAGED = """
from edgekit.errors import EdgekitError
from edgekit.training import stages

def values(model):
    return {w.path if hasattr(w, "path") else w.name: np.asarray(w).copy() for w in model.weights}

seen = []
def keep(model, path):
    weights["last"] = [np.asarray(w).tobytes().hex() for w in model.get_weights()]
    weights["model"] = model
    return ""
fit._save = keep

STAGES = [
    {"name": "head", "trainable": "head", "epochs": 2, "learning_rate": 0.01},
    {"trainable": ["base/second", "head"], "epochs": 2, "learning_rate": 0.001},
    {"trainable": "all", "epochs": 1, "optimizer": "sgd", "freeze_batch_norm": True},
]
run = loop.run
def spied(model, *rest):
    before = values(model)
    outcome = run(model, *rest)
    after = values(model)
    # Keras 3 numbers models of a process, and their weights with them.
    moved = sorted({name.split("/")[-2] for name in after if (before[name] != after[name]).any()})
    optimizer = model.optimizer
    seen.append([moved, type(optimizer).__name__, float(np.asarray(optimizer.learning_rate)),
                 int(np.asarray(optimizer.iterations)), outcome.resumed])
    return outcome
loop.run = spied

def train(function, name, aside=(), **said):
    out = folder / name
    out.mkdir(exist_ok=True)
    said = {"deterministic": True, "save_every": EVERY, "stage": STAGES, **said}
    settings = TrainTable.model_validate(said)
    training = Training(dataset, Preprocess(), settings.all_epochs, BATCH, 0, *aside)
    seen.clear()
    facts = fit.train(f"model.py:{function}", folder, training, out / "partial", out, settings)
    history = (out / "history.csv").read_text()
    return {"weights": weights["last"], "history": history, "trained": facts["trained"],
            "seen": list(seen)}

outcomes = {}

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

def border(function, name):
    # After the last state of a stage, before the first step of the next.
    saved = fit.recompile
    def fall(*rest):
        if (folder / name / "partial/states/stage-1/step-000000026.state").exists():
            raise KeyboardInterrupt
        saved(*rest)
    fit.recompile = fall
    try:
        train(function, name)
    except KeyboardInterrupt:
        pass
    fit.recompile = saved

for function in ("keras3", "keras2"):
    outcomes[function] = train(function, f"{function} whole")
    falling(function, f"{function} cut", (4, 41, 56))
    outcomes[f"{function} cut"] = train(function, f"{function} cut")
    border(function, f"{function} border")
    outcomes[f"{function} border"] = train(function, f"{function} border")
    refused = {}
    for label, table in {
        "unknown": {"trainable": "haed", "epochs": 1},
        "nothing": {"trainable": "flatten*", "epochs": 1},
    }.items():
        try:
            train(function, "refused", stage=[table])
        except EdgekitError as error:
            refused[label] = str(error)
    outcomes[f"{function} refused"] = refused
    model = fit.build(f"model.py:{function}", folder)
    for label, trainable in {"last": 1, "last two": 4, "base": "base", "inner": "first"}.items():
        table = TrainTable.model_validate({"stage": [{"trainable": trainable, "epochs": 1}]})
        (stage,) = stages.stages_of(table, 1)
        stages.freeze(model, stage)
        # So many weights are trained.
        outcomes[f"{function} {label}"] = len(model.trainable_weights)
from edgekit.training.feed import Aside
np.save(folder / "apart.npy", np.arange(40))
best = [{"trainable": "head", "epochs": 4, "learning_rate": 0.05},
        {"trainable": "all", "epochs": 3, "learning_rate": 5.0, "optimizer": "sgd"}]
chosen = {"best": "val_loss", "early_stopping": {"patience": 2}, "ema": 0.5}
apart = (Aside(folder / "apart.npy"),)
outcomes["best"] = train("keras3", "best", apart, stage=best, **chosen)
model = weights["model"]
x, y = np.load(folder / "train.npz")["x"][:40], np.load(folder / "train.npz")["y"][:40]
outcomes["best"]["again"] = float(model.evaluate(x, y, verbose=0, return_dict=True)["loss"])
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""
# As docs/training.md shows it, but smaller; the base's weights are those of a local file.
APPLICATION = """
import keras, tf_keras

def base(K, weights):
    return K.applications.MobileNet(
        (32, 32, 1), alpha=0.25, include_top=False, weights=weights, pooling="avg")

def net(K):
    image = K.Input((32, 32, 1), name="image")
    found = base(K, f"{K.__name__}.weights.h5")(image, training=False)
    return K.Model(image, K.layers.Dense(10, activation="softmax", name="head")(found))

def keras3(): return net(keras)
def keras2(): return net(tf_keras)
"""
TRANSFERRED = """
import os
os.chdir(folder)
rng = np.random.default_rng(0)
x = rng.normal(size=(32, 32, 32, 1)).astype("float32")
np.savez("large.npz", x=x, y=rng.integers(0, 10, 32))
dataset, _ = from_file(folder / "large.npz", Store(folder / "store"))
from edgekit.usercode import import_file
module = import_file(folder / "model.py", folder, "model.py")
outcomes = {}
run = loop.run
for function, K in (("keras3", module.keras), ("keras2", module.tf_keras)):
    pretrained = module.base(K, None)
    pretrained.save_weights(f"{K.__name__}.weights.h5")
    first = pretrained.get_weights()
    kept = []
    def spied(model, *rest):
        outcome = run(model, *rest)
        moved = [getattr(w, "path", w.name).split("/")[-2] for w, before in
                 zip(model.layers[1].weights, first) if not np.array_equal(before, np.asarray(w))]
        kept.append(sorted(set(moved)))
        return outcome
    loop.run = spied
    stage = [{"trainable": "head", "epochs": 1},
             {"trainable": ["head", "conv_pw_13*"], "epochs": 1, "learning_rate": 1e-4}]
    settings = TrainTable.model_validate({"stage": stage})
    training = Training(dataset, Preprocess(), 2, 32, 0)
    facts = fit.train(f"model.py:{function}", folder, training, folder / function, folder, settings)
    outcomes[function] = {"moved": kept, "task": facts["trained"]["task"]}
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""
GENERATIONS = pytest.mark.parametrize("generation", ["keras3", "keras2"])
STEPS = 13


@pytest.fixture(scope="session")
def staged(shared: Path) -> dict[str, Any]:
    """Weights, history and what moved by case, of trainings in stages of both generations."""

    def make(folder: Path) -> None:
        prepare(folder, MODEL)
        tensorflow_script(TRAIN + STAGED, folder)

    return dict(json.loads((once(shared / "staged", make) / "outcomes.json").read_text()))


@pytest.mark.slow
@GENERATIONS
def test_stage_moves_what_it_trains_and_nothing_else(
    staged: dict[str, Any], generation: str
) -> None:
    head, more, everything = staged[generation]["seen"]
    # The statistics of a frozen batch normalization stay as they were, too.
    assert head[0] == ["head"]
    assert more[0] == ["head", "second"]
    assert everything[0] == ["first", "head", "second"]
    stages = staged[generation]["trained"]["stages"]
    assert [one["epochs"] for one in stages] == [2, 2, 1]
    assert stages[0]["trained"] == 64 * 10 + 10


@pytest.mark.slow
@GENERATIONS
def test_each_stage_has_its_own_optimizer_from_its_first_step_on(
    staged: dict[str, Any], generation: str
) -> None:
    head, more, everything = staged[generation]["seen"]
    assert head[1:4] == ["Adam", pytest.approx(0.01), 2 * STEPS]
    assert more[1:4] == ["Adam", pytest.approx(0.001), 2 * STEPS]
    assert everything[1:4] == ["SGD", pytest.approx(0.001), STEPS]


@pytest.mark.slow
@GENERATIONS
@pytest.mark.parametrize("case", ["cut", "border"])
def test_training_cut_off_around_a_stage_ends_with_the_same_bits(
    staged: dict[str, Any], generation: str, case: str
) -> None:
    whole, cut = staged[generation], staged[f"{generation} {case}"]
    assert whole["trained"]["resumed"] == 0
    assert cut["trained"]["resumed"] == {"cut": 4 * STEPS + 2, "border": 2 * STEPS}[case]
    assert cut["weights"] == whole["weights"]
    assert cut["history"] == whole["history"]


@pytest.mark.slow
@GENERATIONS
def test_history_says_the_stage_of_each_epoch(staged: dict[str, Any], generation: str) -> None:
    head, *rows = (line.split(",") for line in staged[generation]["history"].splitlines())
    assert head[:2] == ["epoch", "stage"]
    assert [row[:2] for row in rows] == [["1", "1"], ["2", "1"], ["3", "2"], ["4", "2"], ["5", "3"]]


@pytest.mark.slow
@GENERATIONS
@pytest.mark.parametrize(
    ("case", "words"),
    [("unknown", "did you mean 'head'"), ("nothing", "layers without weights")],
)
def test_stage_that_trains_nothing_is_refused_with_the_layers_there_are(
    staged: dict[str, Any], generation: str, case: str, words: str
) -> None:
    said = staged[f"{generation} refused"][case]
    assert "EK-TRAIN-005" in said
    assert words in said
    if case == "unknown":
        assert "base/norm" in said


@pytest.mark.slow
@GENERATIONS
@pytest.mark.parametrize(
    ("case", "weights"), [("last", 2), ("last two", 4), ("base", 6), ("inner", 2)]
)
def test_layers_are_named_counted_or_those_of_a_base(
    staged: dict[str, Any], generation: str, case: str, weights: int
) -> None:
    assert staged[f"{generation} {case}"] == weights


@pytest.mark.slow
def test_stage_ends_early_and_the_best_epoch_of_all_is_kept(staged: dict[str, Any]) -> None:
    found = staged["best"]
    head, *rows = (line.split(",") for line in found["history"].splitlines())
    losses = [float(row[head.index("val_loss")]) for row in rows]
    best = found["trained"]["best_epoch"]
    assert losses[best - 1] == min(losses)
    # A rate of 5 makes nothing better: what the first stage came to is kept.
    assert rows[best - 1][1] == "1"
    assert rows[-1][1] == "2"
    assert found["again"] == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.slow
def test_base_of_keras_applications_is_frozen_and_then_unfrozen(tmp_path: Path) -> None:
    prepare(tmp_path, APPLICATION)
    tensorflow_script(TRAIN + TRANSFERRED, tmp_path)
    found = json.loads((tmp_path / "outcomes.json").read_text())
    for generation in ("keras3", "keras2"):
        frozen, unfrozen = found[generation]["moved"]
        # Its batch normalization has statistics that a training step would move.
        assert frozen == []
        # Of weights that were never trained nothing gets through to the convolution before.
        assert unfrozen == ["conv_pw_13_bn"]
        assert found[generation]["task"] == "classification"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"epochs": 3, "stage": [{"epochs": 1}]}, "leave out that of [train]"),
        ({"stage": [{}]}, "epochs"),
        ({"stage": [{"epochs": 1, "trainable": 0}]}, "greater than or equal to 1"),
    ],
)
def test_wrong_stage_is_refused(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainTable.model_validate(table)
    assert words in str(caught.value)
