"""The settings of ``[train]``: what they make of a model, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script
from pydantic import ValidationError

from conftest import once
from edgekit.project.train import TrainTable

SETTINGS = """
import json, sys
from dataclasses import replace
from pathlib import Path
import keras, numpy as np, tensorflow as tf, tf_keras
from edgekit.data import Dataset
from edgekit.errors import EdgekitError
from edgekit.project.train import TrainTable
from edgekit.training import fit
from edgekit.training.compiling import compile_model, own_steps_at_once
from edgekit.evaluation.texts import TextSpec
from edgekit.training.feed import Aside, Feed, Training
from edgekit.training.texts import ctc
from edgekit.types import Preprocess

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
outcomes = {}
fit.export_both = lambda *_, **__: {}
(folder / "mine.py").write_text("def loss(y_true, y_pred):\\n    return (y_pred - y_true) ** 2\\n")
X = rng.normal(size=(64, 4)).astype("float32")

def dataset(name, y, x=X):
    np.save(folder / f"{name} x.npy", x)
    ys = y if isinstance(y, dict) else {"y": y}
    for key, array in ys.items():
        np.save(folder / f"{name} {key}.npy", array)
    beside = {key: folder / f"{name} {key}.npy" for key in ys if key != "y"}
    labels = folder / f"{name} y.npy" if "y" in ys else None
    return Dataset(name, {"x": folder / f"{name} x.npy"}, labels, len(x), "", beside)

def training(data, epochs=2, batch=16, aside=Aside()):
    return Training(data, Preprocess(), epochs, batch, 0, aside)

CLASSES = rng.integers(0, 3, 64)
classes = dataset("classes", CLASSES)

def dense(K, units=3, activation=None, compiled=True):
    model = K.Sequential([K.layers.InputLayer((4,)), K.layers.Dense(units, activation=activation)])
    if compiled:
        loss = K.losses.SparseCategoricalCrossentropy(from_logits=activation is None)
        model.compile(K.optimizers.SGD(0.5), loss, metrics=["accuracy"])
    return model

def compiled(model, data, **said):
    feed = Feed.of(model, training(data))
    return compile_model(model, feed, TrainTable(**said), 2, folder)

def refused(name, model, data, **said):
    try:
        compiled(model, data, **said)
        outcomes[name] = "accepted"
    except EdgekitError as error:
        outcomes[name] = str(error)

RATES = {
    "cosine": {"schedule": "cosine", "start": 0.1, "end": 0.01, "warm_up": 0.5},
    "exponential": {"schedule": "exponential", "start": 0.1, "factor": 0.5},
    "piecewise": {"schedule": "piecewise", "start": 0.1, "after": [1], "warm_up": 0.5},
    "constant": {"start": 0.1, "warm_up": 1},
}
# Single steps of many models: a graph of each takes longer to make than they do.
tf.config.run_functions_eagerly(True)
for K, name in ((keras, "keras3"), (tf_keras, "keras2")):
    mine = dense(K)
    mine.compile("sgd", "mean_squared_error", steps_per_execution=2)
    compiled(mine, classes, learning_rate=0.25)
    outcomes[f"{name} at once"] = [own_steps_at_once(mine), own_steps_at_once(dense(K))]
    model = dense(K)
    before = model.optimizer
    compiled(model, classes)
    outcomes[f"{name} untouched"] = model.optimizer is before
    compiled(model, classes, learning_rate=0.25, clip_norm=0.01)
    rate = float(np.asarray(model.optimizer.learning_rate))
    kept = [type(model.optimizer).__name__, rate, type(model.loss).__name__]
    outcomes[f"{name} changed"] = [*kept, model.optimizer.global_clipnorm]
    start = model.get_weights()
    model.fit(X, CLASSES, batch_size=64, verbose=0)
    moved = sum(float(((a - b) ** 2).sum()) for a, b in zip(start, model.get_weights()))
    outcomes[f"{name} moved"] = moved ** 0.5
    for label, table in RATES.items():
        compiled(model, classes, learning_rate=table)
        schedule = model.optimizer._learning_rate
        outcomes[f"{name} {label}"] = [float(np.asarray(schedule(step))) for step in range(8)]
    feed, _ = compiled(dense_model := dense(K), classes, label_smoothing=0.3)
    x, y = feed.rows(np.arange(64))
    loss = dense_model.evaluate(np.asarray(x), np.asarray(y), batch_size=64, verbose=0)[0]
    logits = np.asarray(dense_model(X), "float64")
    right = np.eye(3)[CLASSES] * 0.7 + 0.1
    wanted = -(right * (logits - np.log(np.exp(logits).sum(1, keepdims=True)))).sum(1).mean()
    outcomes[f"{name} smoothed"] = [loss, float(wanted)]
    refused(f"{name} optimizer", dense(K), classes, optimizer="adamm")
    refused(f"{name} loss", dense(K), classes, loss="mean_squared_eror")
    refused(f"{name} metric", dense(K), classes, metrics=["acuracy"])
    refused(f"{name} smoothed mine", dense(K), classes, loss="mine.py:loss", label_smoothing=0.1)

    def task(label, model, data, stated=None):
        feed = replace(Feed.of(model, training(data)), task=stated)
        _, found = compile_model(model, feed, TrainTable(), 2, folder)
        loss = model.loss
        kinds = {k: type(v).__name__ for k, v in loss.items()} if isinstance(loss, dict) else None
        outcomes[f"{name} {label}"] = [found, kinds or type(loss).__name__]
        logits = getattr(loss, "get_config", dict)().get("from_logits")
        outcomes[f"{name} {label} logits"] = logits

    free = {"compiled": False}
    masks = rng.integers(0, 3, (64, 2, 2))
    image = rng.normal(size=(64, 2, 2, 1)).astype("float32")
    pixels = K.Sequential([
        K.layers.InputLayer((2, 2, 1)), K.layers.Conv2D(3, 1, activation="softmax")
    ])
    inputs = K.Input((4,), name="x")
    two = K.Model(inputs, [
        K.layers.Dense(3, activation="softmax", name="kind")(inputs),
        K.layers.Dense(1, name="size")(inputs),
    ])
    several = {"kind": CLASSES, "size": X.sum(1)}
    task("softmax", dense(K, 3, "softmax", **free), classes)
    task("logits", dense(K, 3, **free), classes)
    task("one-hot", dense(K, 3, "softmax", **free), dataset("hot", np.eye(3)[CLASSES]))
    task("binary", dense(K, 1, "sigmoid", **free), dataset("binary", CLASSES % 2))
    labels = rng.integers(0, 2, (64, 3))
    task("labels", dense(K, 3, "sigmoid", **free), dataset("labels", labels))
    task("numbers", dense(K, 1, **free), dataset("numbers", X.sum(1)))
    task("masks", pixels, dataset("masks", masks, image))
    task("several", two, dataset("several", several))
    points = rng.normal(size=(64, 5, 2)).astype("float32")
    pointing = K.Sequential([
        K.layers.InputLayer((4,)), K.layers.Dense(10), K.layers.Reshape((5, 2))])
    task("keypoints", pointing, dataset("points", points))
    def speaking():
        return K.Sequential([K.layers.InputLayer((9, 4)), K.layers.Dense(4)])
    sounds = rng.normal(size=(64, 9, 4)).astype("float32")
    for label, y, spec in (
        ("words", np.array(["abc", "ca", "b", "ab"] * 16), TextSpec(tuple("abc"), "first")),
        ("tokens", np.tile([[1, 2, 3, -1], [3, 1, -1, -1]], (32, 1)), None),
        ("last", np.tile([[0, 1, 2, 3], [2, 0, 3, 3]], (32, 1)), TextSpec(blank="last")),
    ):
        asked = replace(training(dataset(label, y, sounds)), task="text", texts=spec)
        feed = Feed.of(spoken := speaking(), asked)
        feed, found = compile_model(spoken, feed, TrainTable(), 2, folder)
        x, y = (np.asarray(each) for each in feed.rows(np.arange(64)))
        score = np.asarray(spoken(x))
        # Keras has the blank first alone.
        first = label != "last"
        own = keras.losses.CTC()(
            np.where(y < 0, 0, y) if first else (y + 1) % 4,
            score if first else np.roll(score, 1, -1),
        )
        loss = float(np.mean(spoken.loss(y, score)))
        chances = float(np.mean(ctc(0 if first else 3, True)(y, keras.ops.softmax(score))))
        outcomes[f"{name} {label}"] = [found, loss, float(own), chances, y[:2].tolist()]
    refused(f"{name} no blank", speaking(), dataset("no blank", np.full((64, 2), 2), sounds))
    try:
        spec = TextSpec(tuple("abe"), "first")
        odd = dataset("odd", np.array(["ad"] * 64), sounds)
        Feed.of(speaking(), replace(training(odd), texts=spec))
    except EdgekitError as error:
        outcomes[f"{name} misspelt"] = str(error)
    class Own(K.Model):
        def call(self, x):
            return x
    try:
        spec = TextSpec(tuple("abc"), "first")
        words = dataset("own words", np.array(["ab"] * 64), sounds)
        Feed.of(Own(), replace(training(words), texts=spec))
    except EdgekitError as error:
        outcomes[f"{name} own"] = str(error)
    odd = (CLASSES == 0).astype(int)
    rebuilt = K.Sequential([K.layers.InputLayer((2, 2, 1)), K.layers.Conv2D(1, 1)])
    task("reconstruction", rebuilt, dataset("odd images", odd, image))
    task("stated", dense(K, 4, **free), dataset("odd", odd), "anomaly")
    many = K.Model(inputs, {
        "kind": K.layers.Dense(3, activation="softmax", name="kind")(inputs),
        "size": K.layers.Dense(1, name="size")(inputs),
        "marks": K.layers.Dense(3, activation="sigmoid", name="marks")(inputs),
    })
    task("many", many, dataset("many", {**several, "marks": labels}))
    unit = K.layers.UnitNormalization()(K.layers.Dense(3)(inputs))
    task("embeddings", K.Model(inputs, unit), classes)
    largest = (keras.ops if K is keras else tf).argmax
    refused(f"{name} argmax", K.Model(inputs, largest(K.layers.Dense(3)(inputs), -1)), classes)
    weighed = K.Model(inputs, [
        K.layers.Dense(3, activation="softmax", name="kind")(inputs),
        K.layers.Dense(1, name="size")(inputs),
    ])
    data = dataset("weighed", several)
    losses = {}
    for label, said in {"one": {}, "other": {"loss_weights": {"size": 3.0}}}.items():
        feed, _ = compiled(weighed, data, **said)
        found = weighed.evaluate(X, several, batch_size=64, verbose=0, return_dict=True)
        losses[label] = [found["loss"], found["kind_loss"], found["size_loss"]]
    outcomes[f"{name} weighed"] = losses
    refused(f"{name} stranger", weighed, data, loss_weights={"sise": 2.0})
    more = K.Model(inputs, [K.layers.Dense(3, name=n)(inputs) for n in ("kind", "size")])
    refused(f"{name} no loss", more, classes)

tf.config.run_functions_eagerly(False)
(folder / "model.py").write_text('''
import keras, tf_keras
def net(K):
    return K.Sequential([
        K.layers.InputLayer((4,)), K.layers.Dense(8, activation="relu"), K.layers.Dense(3)])
def keras3(): return net(keras)
def keras2(): return net(tf_keras)
''')

def train(function, name, **said):
    held = {}
    fit._save = lambda model, path: held.update(model=model) or ""
    out = folder / name
    out.mkdir()
    job = training(classes, said.pop("epochs", 3), aside=said.pop("aside", Aside()))
    try:
        facts = fit.train(
            f"model.py:{function}", folder, job, out / "p", out, TrainTable(**said))
    except EdgekitError as error:
        return None, str(error), None
    rows = [line.split(",") for line in (out / "history.csv").read_text().splitlines()]
    figures = [dict(zip(rows[0], map(float, row))) for row in rows[1:]]
    return held["model"], facts, figures

np.save(folder / "apart.npy", np.arange(16))
APART = Aside(folder / "apart.npy")
for name in ("keras3", "keras2"):
    model, facts, rows = train(
        name, f"{name} best", epochs=6, best="val_accuracy", early_stopping=True, aside=APART,
        learning_rate=0.3)
    x, y = X[:16], CLASSES[:16]
    model.compile(metrics=["accuracy"], loss=model.loss)
    again = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
    outcomes[f"{name} best"] = {"facts": facts["trained"], "rows": rows, "again": again}
    model, facts, rows = train(name, f"{name} average", ema=0.5)
    averages = model.optimizer._model_variables_moving_average
    outcomes[f"{name} average"] = all(
        np.array_equal(np.asarray(a), np.asarray(b))
        for a, b in zip(model.trainable_variables, averages))
    model, facts, rows = train(name, f"{name} half", epochs=1, mixed_precision="bfloat16")
    outcomes[f"{name} half"] = sorted({
        *(str(np.asarray(w).dtype) for w in model.get_weights()),
        *(np.asarray(model(X[:2])).dtype.name for _ in "1"),
    })
_, outcomes["no figure"], _ = train("keras3", "no figure", best="val_accuracy", epochs=1)
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""
GENERATIONS = pytest.mark.parametrize("generation", ["keras3", "keras2"])


@pytest.fixture(scope="session")
def settings(shared: Path) -> dict[str, Any]:
    """What each setting made of a small model of both generations."""

    def make(folder: Path) -> None:
        tensorflow_script(SETTINGS, folder)

    return dict(json.loads((once(shared / "train-settings", make) / "outcomes.json").read_text()))


@GENERATIONS
def test_compiled_model_stays_as_it_was_but_for_what_is_said(
    settings: dict[str, Any], generation: str
) -> None:
    assert settings[f"{generation} untouched"]
    assert settings[f"{generation} changed"] == ["SGD", 0.25, "SparseCategoricalCrossentropy", 0.01]
    # One step of SGD moves the weights by the rate times the clipped norm.
    assert settings[f"{generation} moved"] == pytest.approx(0.25 * 0.01, rel=1e-3)


@GENERATIONS
def test_batches_of_a_call_are_the_models_own_where_it_says_so(
    settings: dict[str, Any], generation: str
) -> None:
    # Compiled again with another rate; and a model that says nothing.
    assert settings[f"{generation} at once"] == [2, None]


@GENERATIONS
def test_learning_rate_follows_its_schedule_by_steps(
    settings: dict[str, Any], generation: str
) -> None:
    # Two epochs of four steps.
    fall = [0.01 + 0.09 * (1 + math.cos(math.pi * k / 6)) / 2 for k in range(6)]
    assert settings[f"{generation} cosine"] == pytest.approx([0, 0.05, *fall], abs=1e-6)
    wanted = [0.1 * 0.5 ** (k / 4) for k in range(8)]
    assert settings[f"{generation} exponential"] == pytest.approx(wanted, abs=1e-6)
    wanted = [0, 0.05, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01]
    assert settings[f"{generation} piecewise"] == pytest.approx(wanted, abs=1e-6)
    wanted = [0, 0.025, 0.05, 0.075, 0.1, 0.1, 0.1, 0.1]
    assert settings[f"{generation} constant"] == pytest.approx(wanted, abs=1e-6)


@GENERATIONS
def test_label_smoothing_is_that_of_the_formula(settings: dict[str, Any], generation: str) -> None:
    loss, wanted = settings[f"{generation} smoothed"]
    assert loss == pytest.approx(wanted, rel=1e-4)


@GENERATIONS
@pytest.mark.parametrize(
    ("case", "task", "loss", "logits"),
    [
        ("softmax", "classification", "SparseCategoricalCrossentropy", False),
        ("logits", "classification", "SparseCategoricalCrossentropy", True),
        ("one-hot", "classification", "CategoricalCrossentropy", False),
        ("binary", "classification", "BinaryCrossentropy", False),
        ("labels", "multi-label", "BinaryCrossentropy", False),
        ("numbers", "regression", "MeanSquaredError", None),
        ("masks", "segmentation", "SparseCategoricalCrossentropy", False),
        ("keypoints", "regression", "MeanSquaredError", None),
        ("embeddings", "embeddings", "function", None),
        ("reconstruction", "anomaly", "MeanSquaredError", None),
        ("stated", "anomaly", "MeanSquaredError", None),
    ],
)
def test_uncompiled_model_gets_the_usual_loss_of_its_task(
    settings: dict[str, Any],
    generation: str,
    case: str,
    task: str,
    loss: str,
    logits: bool | None,
) -> None:
    assert settings[f"{generation} {case}"] == [task, loss]
    assert settings[f"{generation} {case} logits"] is logits


@GENERATIONS
@pytest.mark.parametrize(
    ("case", "numbers"),
    [
        ("words", [[1, 2, 3], [3, 1, -1]]),
        ("tokens", [[1, 2, 3, -1], [3, 1, -1, -1]]),
        ("last", [[0, 1, 2, 3], [2, 0, 3, 3]]),
    ],
)
def test_texts_are_trained_by_ctc(
    settings: dict[str, Any], generation: str, case: str, numbers: list[list[int]]
) -> None:
    task, loss, of_keras, of_chances, labels = settings[f"{generation} {case}"]
    assert task == "text"
    assert labels == numbers
    assert loss == pytest.approx(of_keras, rel=1e-4)
    assert of_chances == pytest.approx(of_keras, rel=1e-4)


@GENERATIONS
def test_texts_that_cannot_be_trained_on_are_told(
    settings: dict[str, Any], generation: str
) -> None:
    assert "neither labels nor alphabet tell which output" in settings[f"{generation} no blank"]
    assert "not known before it is called" in settings[f"{generation} own"]
    assert "the alphabet has no 'd', which item 0 has: 'ad'" in settings[f"{generation} misspelt"]


@GENERATIONS
def test_each_of_several_outputs_gets_a_loss_of_its_own(
    settings: dict[str, Any], generation: str
) -> None:
    task, losses = settings[f"{generation} several"]
    assert task == "classification, regression"
    assert losses == {"kind": "SparseCategoricalCrossentropy", "size": "MeanSquaredError"}
    assert "EK-TRAIN-002" in settings[f"{generation} no loss"]
    assert "kind, size" in settings[f"{generation} no loss"]
    task, losses = settings[f"{generation} many"]
    assert set(task.split(", ")) == {"classification", "regression", "multi-label"}
    assert losses["marks"] == "BinaryCrossentropy"


@GENERATIONS
def test_losses_of_several_outputs_are_weighed(settings: dict[str, Any], generation: str) -> None:
    found = settings[f"{generation} weighed"]
    for label, weight in (("one", 1), ("other", 3)):
        both, kind, size = found[label]
        assert both == pytest.approx(kind + weight * size, rel=1e-4)


@GENERATIONS
def test_task_without_a_usual_loss_says_why_and_what_is_needed(
    settings: dict[str, Any], generation: str
) -> None:
    said = settings[f"{generation} argmax"]
    assert "EK-TRAIN-002" in said
    assert "class numbers has no gradient" in said
    assert "train the model that ends before argmax" in said
    assert "[train] loop" in said


@GENERATIONS
def test_weights_of_the_best_epoch_are_kept(settings: dict[str, Any], generation: str) -> None:
    found = settings[f"{generation} best"]
    scores = [row["val_accuracy"] for row in found["rows"]]
    best = found["facts"]["best_epoch"]
    assert scores[best - 1] == max(scores)
    assert found["again"] == pytest.approx(max(scores))
    assert found["facts"]["epochs"] == len(scores)


@GENERATIONS
def test_averages_are_what_is_left(settings: dict[str, Any], generation: str) -> None:
    assert settings[f"{generation} average"]


@GENERATIONS
def test_half_precision_leaves_a_float32_model(settings: dict[str, Any], generation: str) -> None:
    assert settings[f"{generation} half"] == ["float32"]


@GENERATIONS
@pytest.mark.parametrize(
    ("case", "code", "words"),
    [
        ("optimizer", "EK-TRAIN-001", "did you mean 'adam"),
        ("loss", "EK-TRAIN-001", "did you mean 'mean_squared_error'"),
        ("metric", "EK-TRAIN-001", "did you mean 'accuracy'"),
        ("stranger", "EK-TRAIN-001", "did you mean 'size'"),
        ("smoothed mine", "EK-TRAIN-003", "label_smoothing"),
    ],
)
def test_setting_that_keras_does_not_know_is_named(
    settings: dict[str, Any], generation: str, case: str, code: str, words: str
) -> None:
    assert code in settings[f"{generation} {case}"]
    assert words in settings[f"{generation} {case}"]


def test_figure_that_no_epoch_has_is_named_with_those_it_has(settings: dict[str, Any]) -> None:
    assert "EK-TRAIN-004" in settings["no figure"]
    assert "it has accuracy, loss" in settings["no figure"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"learning_rate": {"schedule": "piecewise"}}, "takes after"),
        ({"learning_rate": {"schedule": "piecewise", "after": [3, 1]}}, "rising"),
        ({"learning_rate": {"schedule": "cosine", "factor": 0.5}}, "takes no factor"),
        ({"learning_rate": {"end": 0.1}}, "only the cosine"),
        ({"learning_rate": {"schedule": "cosine", "start": 0.1, "end": 1}}, "end is above start"),
        ({"learning_rate": -1}, "greater than 0"),
        ({"best": "val_mine"}, "best_is"),
        ({"best_is": "highest"}, "name best"),
        ({"ema": 1.0}, "less than 1"),
        ({"mixed_precision": "float8"}, "float16"),
    ],
)
def test_wrong_value_is_refused_with_the_reason(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainTable.model_validate(table)
    assert words in str(caught.value)


def test_short_forms_are_taken() -> None:
    table = TrainTable.model_validate({"learning_rate": 0.1, "ema": True, "early_stopping": True})
    assert table.learning_rate is not None
    assert table.learning_rate.start == 0.1
    assert (table.ema, table.figure, table.higher) == (0.99, "val_loss", False)
    assert TrainTable(best="val_accuracy").higher


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"strategy": "miror"}, "there is no strategy 'miror'"),
        ({"strategy": "mirored"}, "did you mean 'mirrored'"),
        ({"workers": 2}, "takes no workers"),
        ({"strategy": "parameter_server", "loop": "steps.py:step"}, "its workers share no batch"),
        ({"strategy": "central_storage", "loop": "steps.py:step"}, "proven on mirrored weights"),
        ({"strategy": "tpu", "loop": "steps.py:step"}, "mirrored and multi_worker do"),
        ({"strategy": "multi_worker", "replicas": 2}, "takes no replicas"),
        ({"strategy": "mirrored", "tpu": "local"}, "takes no tpu"),
        ({"strategy": "multi_worker", "workers": 0}, "greater than or equal to 1"),
    ],
)
def test_strategy_and_its_keys_that_do_not_fit_are_refused(table: Any, said: str) -> None:
    with pytest.raises(ValidationError) as error:
        TrainTable(**table)
    assert said in str(error.value)
