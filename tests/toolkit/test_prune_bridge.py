"""Pruning: Keras 3 models cross to tf_keras and answer alike, or are refused by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import once

CROSS = """
import json, sys
import keras, numpy as np
from edgekit.compression.bridge import prove_equal, to_tf_keras
from edgekit.errors import CompressionError

L = keras.layers
keras.utils.set_random_seed(1)

def image(build):
    i = keras.Input((8, 8, 2), name="image")
    return keras.Model(i, build(i))

def sequential(*layers):
    return keras.Sequential([keras.Input((8, 8, 2)), *layers])

def head(h):
    return L.Dense(3, activation="softmax")(L.Flatten()(h))

def shared():
    conv = L.Conv2D(2, 3, padding="same", name="twice")
    return image(lambda i: head(L.Add()([conv(i), conv(conv(i))])))

def two_inputs():
    a, b = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    return keras.Model([a, b], L.Dense(2)(L.Add()([L.Dense(4)(a), b])))

def two_outputs():
    i = keras.Input((4,))
    h = L.Dense(4)(i)
    return keras.Model(i, [L.Dense(2, name="one")(h), L.Dense(3, name="two")(h)])

def nested():
    inner = image(lambda i: L.Conv2D(2, 3, padding="same")(i))
    inner.name = "inside"
    return image(lambda i: head(inner(i)))

class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3)
    def call(self, x):
        return self.dense(x)

def subclassed():
    model = Own()
    model(np.zeros((1, 4), "float32"))
    return model

class Dense(L.Dense):
    "A user's layer under a known name."

def trained_bn():
    model = image(lambda i: head(L.BatchNormalization(scale=False)(L.Conv2D(4, 3)(i))))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 2, w.shape).astype("float32") for w in model.get_weights()])
    return model

def conv(**options):
    return lambda: sequential(L.Conv2D(4, 3, name="convolution", **options), L.Flatten())

def layer(*layers):
    return lambda: sequential(L.Conv2D(4, 3), *layers)

def renormed():
    # As a newer Keras writes it; the oldest one here has no such argument.
    model = sequential(L.BatchNormalization(name="renormed"))
    one = model.get_layer("renormed")
    config = {**one.get_config(), "renorm": True}
    one.get_config = lambda: config
    return model

def activation(name):
    return lambda: sequential(L.Conv2D(4, 3), L.Activation(name, name="active"), L.Flatten())

MODELS = {
    "batch normalization": trained_bn,
    "bn settings": layer(L.BatchNormalization(momentum=0.7, epsilon=0.1, center=False)),
    "bn renorm": renormed,
    "conv options": conv(strides=2, padding="same", dilation_rate=1, groups=2, use_bias=False,
                         kernel_regularizer="l2", kernel_constraint="max_norm"),
    "conv dilated": conv(dilation_rate=2, kernel_initializer=keras.initializers.HeNormal(3)),
    "conv frozen": conv(trainable=False),
    "dropout": lambda: sequential(L.Dropout(0.5, seed=1), L.Flatten(), L.Dense(4), L.Dropout(0.2)),
    "average pooling": layer(L.AveragePooling2D(2, strides=1, padding="same"), L.Flatten()),
    "max pooling": layer(L.MaxPooling2D(3, strides=2, padding="same"), L.Flatten()),
    "global average": layer(L.GlobalAveragePooling2D()),
    "global average kept": layer(L.GlobalAveragePooling2D(keepdims=True)),
    "global max": layer(L.GlobalMaxPooling2D()),
    "leaky relu": layer(L.LeakyReLU(negative_slope=0.05)),
    "leaky relu default": layer(L.LeakyReLU()),
    "relu arguments": layer(L.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2)),
    "elu": layer(L.ELU(alpha=0.5)),
    "softmax": layer(L.Softmax(axis=1)),
    "shared": shared, "two inputs": two_inputs, "two outputs": two_outputs,
    "nested": nested, "subclassed": subclassed,
    "own layer": lambda: sequential(L.Flatten(), Dense(3, name="own")),
    "constant added": lambda: image(lambda i: head(L.Conv2D(2, 3)(i) + 1.0)),
    "tensors multiplied": lambda: image(lambda i: head(i * L.Conv2D(2, 3, padding="same")(i))),
    "op": lambda: image(lambda i: head(keras.ops.relu(L.Conv2D(2, 3)(i)))),
    "training": lambda: image(
        lambda i: head(L.BatchNormalization(name="batch")(i, training=True))
    ),
    "activation layer": lambda: sequential(
        L.Flatten(), L.Dense(3, activation=L.LeakyReLU(), name="odd")
    ),
    "lora": lambda: sequential(L.Flatten(), L.Dense(3, lora_rank=2, name="low")),
    **{f"activation {name}": activation(name) for name in (
        "relu", "relu6", "softmax", "gelu", "leaky_relu", "silu", "hard_sigmoid", "hard_silu",
    )},
}

def crossed(build):
    try:
        model = build()
        twin = to_tf_keras(model)
        return {"difference": prove_equal(model, twin, None), "module": type(twin).__module__}
    except CompressionError as error:
        return {"code": error.code, "message": error.message}

outcomes = {name: crossed(build) for name, build in MODELS.items()}

# Planted faults: in one weight of the twin, and a NaN in it.
for name, fault in (("fault", 0.05), ("nan", float("nan"))):
    model = trained_bn()
    twin = to_tf_keras(model)
    weights = twin.get_weights()
    weights[0][0, 0, 0, 0] += fault
    twin.set_weights(weights)
    try:
        outcomes[name] = {"difference": prove_equal(model, twin, None)}
    except CompressionError as error:
        outcomes[name] = {"code": error.code, "message": error.message}

# A fault that only real items show: the twin's ReLU is cut above what random items reach.
model = sequential(L.ReLU(), L.Flatten())
twin = to_tf_keras(sequential(L.ReLU(max_value=100.0), L.Flatten()))
samples = np.full((3, 8, 8, 2), 200, "float32")
outcomes["unseen"] = {"difference": prove_equal(model, twin, None)}
try:
    outcomes["seen"] = {"difference": prove_equal(model, twin, samples)}
except CompressionError as error:
    outcomes["seen"] = {"code": error.code, "message": error.message}
open(sys.argv[1], "w").write(json.dumps(outcomes))
"""

PRUNE = """
import json, sys
from pathlib import Path
import numpy as np, tensorflow as tf
from edgekit.compression.prune import Plan, prune
from edgekit.data import Dataset
from edgekit.errors import EdgekitError
from edgekit.models.export import Names
from edgekit.models.source import identify
from edgekit.training.fit import Training
from edgekit.types import Preprocess

folder, models, digits = map(Path, sys.argv[1:])
train, test = np.load(digits / "train.npz"), np.load(digits / "test.npz")
np.save(folder / "x.npy", train["x"])
np.save(folder / "y.npy", train["y"])
np.save(folder / "samples.npy", train["x"][:50].astype("float32") / 16)
dataset = Dataset("digits", {"x": folder / "x.npy"}, folder / "y.npy", len(train["y"]), "")
training = Training(dataset, Preprocess(1 / 16), epochs=2, batch_size=32, seed=1)
x, y = test["x"].astype("float32") / 16, test["y"]
names = Names(("image",), ("digit",))
outcomes = {}

def pruned(name, file, sparsity, schedule, epochs, samples="samples.npy"):
    place = folder / name
    place.mkdir()
    try:
        facts = dict(prune(identify(models / file), Plan(sparsity, schedule, epochs),
                           training if epochs else None, folder / samples, place, names))
    except EdgekitError as error:
        outcomes[name] = {"code": error.code, "message": error.message}
        return
    call = tf.saved_model.load(str(place / "saved_model")).signatures["evaluate"]
    answers = call(image=tf.constant(x))["digit"].numpy()
    facts["accuracy"] = float(np.mean(answers.argmax(1) == y))
    outcomes[name] = facts

for generation in ("keras3", "keras2"):
    pruned(f"{generation} 0.85 one-shot", f"{generation}.keras", 0.85, "constant", 0)
    pruned(f"{generation} 0.85 tuned", f"{generation}.keras", 0.85, "polynomial", 2)
pruned("keras3 0.5 tuned", "keras3.keras", 0.5, "constant", 1)
pruned("keras3 0.3 one-shot", "keras3.h5", 0.3, "constant", 0)
pruned("keras3 0 one-shot", "keras3.keras", 0.0, "constant", 0)
pruned("two inputs", "two_inputs.keras", 0.5, "constant", 0)
pruned("prelu", "prelu.keras", 0.5, "constant", 0)
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""

ALIKE = [
    "batch normalization", "bn settings", "conv options", "conv dilated", "conv frozen", "dropout",
    "average pooling", "max pooling", "global average", "global average kept", "global max",
    "leaky relu", "leaky relu default", "relu arguments", "elu", "softmax", "shared", "two inputs",
    "two outputs", "activation relu", "activation relu6", "activation softmax", "activation gelu",
    "activation leaky_relu", "activation silu",
]  # fmt: skip
REFUSED = {
    "bn renorm": ("EK-COMPRESS-004", ["'renormed'", "renorm"]),
    "nested": ("EK-COMPRESS-002", ["'inside'", "Functional"]),
    "subclassed": ("EK-COMPRESS-001", ["Own"]),
    "own layer": ("EK-COMPRESS-002", ["'own'", "Dense"]),
    "constant added": ("EK-COMPRESS-002", ["'add", "Add"]),
    "tensors multiplied": ("EK-COMPRESS-002", ["Multiply"]),
    "op": ("EK-COMPRESS-002", ["Relu"]),
    "training": ("EK-COMPRESS-004", ["'batch'", "training"]),
    "activation layer": ("EK-COMPRESS-004", ["'odd'", "activation"]),
    "lora": ("EK-COMPRESS-004", ["'low'", "lora_rank"]),
    "activation hard_sigmoid": ("EK-COMPRESS-004", ["'active'", "hard_sigmoid"]),
    "activation hard_silu": ("EK-COMPRESS-004", ["'active'", "hard_silu"]),
}
PRUNED = [
    "keras3 0.85 one-shot", "keras3 0.85 tuned", "keras2 0.85 one-shot", "keras2 0.85 tuned",
    "keras3 0.5 tuned", "keras3 0.3 one-shot", "keras3 0 one-shot",
]  # fmt: skip


@pytest.fixture(scope="session")
def crossed(shared: Path) -> dict[str, Any]:
    """By name of a model: the twins' difference, or the refusal."""

    def make(folder: Path) -> None:
        run(CROSS, folder / "outcomes.json")

    return dict(json.loads((once(shared / "crossed", make) / "outcomes.json").read_text()))


@pytest.fixture(scope="session")
def pruned(shared: Path, models: Path, digits: Path) -> dict[str, Any]:
    """By name of a pruning: its facts and the pruned model's accuracy, or the refusal."""

    def make(folder: Path) -> None:
        run(PRUNE, folder, models, digits)

    return dict(json.loads((once(shared / "pruned", make) / "outcomes.json").read_text()))


def run(code: str, *arguments: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("name", ALIKE)
def test_twin_answers_alike(crossed: dict[str, Any], name: str) -> None:
    assert "difference" in crossed[name], crossed[name]
    assert crossed[name]["difference"] < 1e-5
    assert crossed[name]["module"].startswith("tf_keras.")


@pytest.mark.parametrize("name", REFUSED)
def test_model_that_cannot_cross_is_refused_by_name(crossed: dict[str, Any], name: str) -> None:
    code, words = REFUSED[name]
    assert crossed[name].get("code") == code, crossed[name]
    assert all(word in crossed[name]["message"] for word in words), crossed[name]


def test_every_model_tried_is_judged(crossed: dict[str, Any]) -> None:
    assert set(crossed) == {*ALIKE, *REFUSED, "fault", "nan", "unseen", "seen"}


@pytest.mark.parametrize("fault", ["fault", "nan", "seen"])
def test_proof_fails_when_the_twin_is_not_the_same_model(
    crossed: dict[str, Any], fault: str
) -> None:
    assert crossed[fault].get("code") == "EK-COMPRESS-003", crossed[fault]


def test_proof_needs_real_items_to_see_some_faults(crossed: dict[str, Any]) -> None:
    assert crossed["unseen"]["difference"] < 1e-5


@pytest.mark.parametrize("name", PRUNED)
def test_pruning_achieves_the_sparsity_that_was_asked_for(
    pruned: dict[str, Any], name: str
) -> None:
    wanted = float(name.split()[1])
    facts = pruned[name]
    assert len(facts["layers"]) == 3
    assert all(abs(share - wanted) < 0.02 for _, share in facts["layers"]), facts
    assert abs(facts["achieved"] - wanted) < 0.02
    assert facts["finetuned"] == name.endswith("tuned")
    assert facts["bridge_difference"] < 1e-5


@pytest.mark.parametrize("generation", ["keras3", "keras2"])
def test_tuning_wins_back_what_pruning_costs(pruned: dict[str, Any], generation: str) -> None:
    one_shot, tuned = (
        pruned[f"{generation} 0.85 {how}"]["accuracy"] for how in ("one-shot", "tuned")
    )
    assert tuned > one_shot + 0.1
    assert tuned > 0.8


def test_pruning_nothing_changes_nothing(pruned: dict[str, Any]) -> None:
    facts = pruned["keras3 0 one-shot"]
    assert facts["achieved"] < 0.01
    assert facts["accuracy"] > 0.88


@pytest.mark.parametrize(("name", "kind"), [("two inputs", "Concatenate"), ("prelu", "PReLU")])
def test_pruning_refuses_a_layer_that_it_does_not_know(
    pruned: dict[str, Any], name: str, kind: str
) -> None:
    assert pruned[name]["code"] == "EK-COMPRESS-002"
    assert kind in pruned[name]["message"]
