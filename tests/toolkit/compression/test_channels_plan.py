"""What the planner counts, chooses, freezes and refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script

from conftest import once

PLANS = """
import json, sys
from dataclasses import asdict, replace
import keras, numpy as np, tf_keras
from edgekit.compression.channels import ChannelSettings, analyse, macs, plan, shrink, taylor
from edgekit.errors import CompressionError

L = keras.layers
outcomes = {}

def net(*layers, k=keras, shape=(12, 12, 3)):
    k.utils.set_random_seed(1)
    return k.Sequential([k.Input(shape), *layers])

def convs(k=keras):
    L = k.layers
    return net(L.Conv2D(32, 3, activation="relu", name="one"), L.Conv2D(64, 3, name="two"),
               L.BatchNormalization(name="norm"), L.ReLU(), L.Conv2D(32, 3, name="three"),
               L.GlobalAveragePooling2D(), L.Dense(4, name="head"), k=k)

def refused(name, act):
    try:
        act()
        outcomes[name] = {}
    except CompressionError as error:
        outcomes[name] = {"code": error.code, "message": error.message, "hint": error.hint}

def widths(chosen):
    return {g.name: g.after for g in chosen.groups if not g.frozen}

# Counted by hand in the tests.
shared = L.Conv2D(3, 3, padding="same", name="shared")
i = keras.Input((8, 8, 3), name="image")
h = shared(shared(i))
h = L.Conv2D(8, 3, strides=2, padding="same", name="conv")(h)
h = L.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(h)
h = L.SeparableConv2D(6, (1, 2), padding="same", depth_multiplier=2, name="separable")(h)
h = L.Conv2DTranspose(4, 3, strides=2, name="transposed")(h)
h = L.Conv2D(6, 1, groups=2, name="grouped")(h)
h = L.Dense(5, name="everywhere")(L.BatchNormalization(name="norm")(h))
o = L.Dense(7, name="flat")(L.Flatten()(h))
outcomes["macs"] = dict(macs(keras.Model(i, o)))
outcomes["macs sequence"] = dict(macs(net(L.Conv1D(5, 3, name="conv"), shape=(10, 2))))
outcomes["macs lstm"] = dict(macs(net(L.LSTM(4, name="lstm"), shape=(10, 2))))
outcomes["macs embedding"] = dict(macs(net(L.Embedding(9, 4, name="table"), shape=(10,))))

# What may not be cut, and why.
class Own(L.Layer):
    def call(self, x):
        return x * 2

class Conv2D(L.Conv2D):
    "A user's layer under a known name."

i = keras.Input((12, 12, 3), name="image")
def made(name, **options):
    return L.Conv2D(16, 3, padding="same", name=name, **options)
branches = [
    Own(name="own")(made("to_own")(i)),
    L.LayerNormalization(name="across")(made("to_norm")(i)),
    L.Conv2D(16, 1, groups=4, name="grouped")(made("to_grouped")(i)),
    L.Softmax(name="soft")(made("to_softmax")(i)),
    made("activated", activation="softmax")(i),
    made("free_function", activation=lambda x: x)(i),
    Conv2D(16, 1, name="mine")(made("to_mine")(i)),
    L.Reshape((12, 24, 8), name="split")(made("to_reshape")(i)),
    made("to_constant")(i) * np.ones(16, "float32"),
    L.BatchNormalization(axis=1, name="rows")(made("to_rows")(i)),
]
# keras.ops of the same names as layers; the mean over 12 channels looks like 12 columns.
twelve = L.Conv2D(12, 3, padding="same", name="to_mean")(i)
branches.append(L.Reshape((12, 12, 1))(keras.ops.average(twelve, axis=-1)))
branches.append(keras.ops.reshape(made("to_ops_reshape")(i), (-1, 12, 12, 16)))
tall = L.Concatenate(axis=1)([made("above")(i), made("below")(i)])
branches.append(tall)
heads = [L.Conv2D(2, 1, name=f"head_{n}")(b) for n, b in enumerate(branches)]
gate = L.Conv2D(1, 1, name="gate")(i)
heads.append(L.Conv2D(2, 1)(L.Multiply(name="attend")([made("attended")(i), gate])))
heads.append(L.Conv2D(2, 1)(L.Add()([L.Conv2D(3, 1, name="residual")(i), i])))
heads.append(L.Conv2D(2, 1)(L.Conv2D(6, 1, name="narrow")(i)))
frozen = keras.Model(i, heads)
chosen = plan(frozen, ChannelSettings(0.05))
outcomes["frozen"] = {p: g.frozen for g in chosen.groups for p in g.producers}
outcomes["rows"] = {row.name: asdict(row) for row in chosen.layers}
outcomes["coupled"] = [g.producers for g in chosen.groups if "above" in g.producers]
channels_first = keras.Input((16, 12, 12))
h = L.Conv2D(16, 3, data_format="channels_first", name="first")(channels_first)
outcomes["channels first"] = [g.frozen for g in analyse(keras.Model(channels_first, h))]

# Budgets.
model = convs()
for name, settings in {
    "global": ChannelSettings(0.5), "uniform": ChannelSettings(0.5, allocation="uniform"),
    "much": ChannelSettings(0.9), "little": ChannelSettings(0.01),
    "sixteen": ChannelSettings(0.5, multiple=16), "one": ChannelSettings(0.5, multiple=1),
}.items():
    chosen = plan(model, settings)
    outcomes[f"budget {name}"] = {
        "removed": chosen.removed, "widths": widths(chosen), "lost": chosen.importance_lost,
        "real": sum(macs(shrink(model, chosen)).values()), "after": chosen.macs_after,
    }

# Importance: dead channels go first, and nothing is lost with them.
for k in (keras, tf_keras):
    model = convs(k)
    x = np.random.default_rng(0).normal(size=(40, 12, 12, 3)).astype("float32")
    y = np.arange(40) % 4
    dead = np.arange(64) % 2 == 1
    def loss(labels, answers):
        return k.losses.sparse_categorical_crossentropy(labels, answers, from_logits=True)
    norm, three = model.get_layer("norm"), model.get_layer("three")
    norm.gamma.assign(np.where(dead, 0, 1).astype("float32"))
    chosen = plan(model, ChannelSettings(0.3))
    outcomes[f"l1 {k.__name__}"] = {g.name: g.kept for g in chosen.groups}
    norm.gamma.assign(np.ones(64, "float32"))
    kernel = np.array(three.kernel)
    kernel[:, :, dead] = 0
    three.kernel.assign(kernel)
    scores = taylor(model, x, y, loss)
    settings = ChannelSettings(0.3, importance="taylor")
    chosen = plan(model, settings, gradients=scores)
    outcomes[f"taylor {k.__name__}"] = {
        "dead": float(scores["two"][dead].max()), "alive": float(scores["two"][~dead].min()),
        "kept": [g.kept for g in chosen.groups if g.name == "two"][0],
    }
    # By differences: the loss when what one channel gives to its readers is scaled.
    few = slice(0, 16)
    def value(scale):
        changed = kernel.copy()
        changed[:, :, 6] *= scale
        three.kernel.assign(changed)
        answers = model(x[few], training=False)
        return float(np.mean(np.asarray(loss(y[few], answers), dtype="float64")))
    slope = (value(1.05) - value(0.95)) / 0.1
    three.kernel.assign(kernel)
    outcomes[f"slope {k.__name__}"] = [
        float(taylor(model, x[few], y[few], loss)["two"][6]), abs(slope)
    ]

# Latency: a device whose kernels compute 16 channels at a time, and where "one" costs nothing.
model = convs()
asked = []
def staircase(chosen):
    asked.append(widths(chosen))
    tiles = {name: -(-width // 16) for name, width in widths(chosen).items()}
    return 1e5 * (1 + tiles["two"] * tiles["three"] + 0.1 * tiles["two"])
chosen = plan(model, ChannelSettings(0.5, objective="latency"), cost=staircase)
outcomes["latency"] = {
    "widths": widths(chosen), "asked": len(asked), "distinct": len({str(w) for w in asked}),
    "removed": chosen.removed, "before": chosen.nanoseconds_before,
    "after": chosen.nanoseconds_after, "unmeasured": staircase(plan(model, ChannelSettings(0.5))),
}
many = net(*[L.Conv2D(16, 1) for _ in range(40)])
asked = []
chosen = plan(many, ChannelSettings(0.3, objective="latency"),
              cost=lambda p: asked.append(p) or float(p.macs_after))
outcomes["latency many"] = len(asked)

# Refusals.
class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3)
    def call(self, x):
        return self.dense(x)

half = ChannelSettings(0.5)
refused("subclassed", lambda: analyse(Subclassed()))
refused("tf_keras subclassed", lambda: analyse(type("Own", (tf_keras.Model,), {})()))
refused("unbuilt", lambda: macs(keras.Sequential([L.Conv2D(8, 3)])))
refused("open size", lambda: plan(net(L.Conv2D(16, 3, name="open"), shape=(None, None, 3)), half))
small = net(L.Conv2D(8, 3, name="small"), L.Conv2D(4, 3, name="last"))
refused("nothing", lambda: plan(small, half))
refused("too much", lambda: plan(convs(), ChannelSettings(0.99)))
refused("no gradients", lambda: plan(convs(), ChannelSettings(0.5, importance="taylor")))
refused("no cost", lambda: plan(convs(), ChannelSettings(0.5, objective="latency")))
refused("other plan", lambda: shrink(convs(), plan(many, ChannelSettings(0.3))))
for name, value in {"macs": 1.0, "multiple": 0, "importance": "l2", "allocation": "some",
                    "objective": "size"}.items():
    refused(f"setting {name}", lambda: ChannelSettings(**{"macs": 0.5, name: value}))
refused("setting both",
        lambda: ChannelSettings(0.5, allocation="uniform", objective="latency"))
stiff = net(L.Conv2D(16, 3, name="stiff", kernel_initializer=keras.initializers.Constant(
    np.zeros((3, 3, 3, 16), "float32"))), L.Conv2D(2, 3))
refused("initializer", lambda: shrink(stiff, plan(stiff, half)))

# Planted: a layer that answers by more than its configuration and weights.
class Secret(L.Layer):
    factor = 1.0
    def call(self, x):
        return x * self.factor
secret = net(L.Conv2D(16, 3), L.Conv2D(8, 3), Secret(name="secret"), L.Conv2D(2, 1))
secret.get_layer("secret").factor = 3.0
weights = secret.get_weights()
refused("secret", lambda: shrink(secret, plan(secret, ChannelSettings(0.4))))
outcomes["secret unchanged"] = all(
    (a == b).all() for a, b in zip(weights, secret.get_weights())
)
# ... and one that keeps what it computes from its weights, rightly carried over.
# Inputs by name, and a Reshape that is called on two shapes.
for k in (keras, tf_keras):
    L, feeds = k.layers, {"a": k.Input((6, 6, 3), name="a"), "b": k.Input((6, 3, 3), name="b")}
    flat = L.Reshape((-1,), name="flat")
    ends = [flat(L.Conv2D(16, 1)(feed)) for feed in feeds.values()]
    model = k.Model(feeds, L.Dense(3)(L.Concatenate()(ends)))
    refused(f"by name {k.__name__}", lambda: shrink(model, plan(model, half)))
L = keras.layers
known = net(L.Normalization(name="known"), L.Conv2D(16, 3), L.Conv2D(2, 3))
known.get_layer("known").adapt(np.random.default_rng(0).normal(5, 3, size=(9, 12, 12, 3)))
refused("normalization", lambda: shrink(known, plan(known, half)))
open(sys.argv[1], "w").write(json.dumps(outcomes))
"""


@pytest.fixture(scope="session")
def plans(shared: Path) -> dict[str, Any]:
    """By name of a case: what the planner made of it, or its refusal."""

    def make(folder: Path) -> None:
        tensorflow_script(PLANS, folder / "outcomes.json")

    return dict(json.loads((once(shared / "channels-plans", make) / "outcomes.json").read_text()))


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        ("shared", 2 * (8 * 8) * (3 * 3) * 3 * 3),  # called twice
        ("conv", (4 * 4) * (3 * 3) * 3 * 8),
        ("depthwise", (2 * 2) * (3 * 3) * 8 * 2),
        ("separable", (2 * 2) * 2 * 16 * 2 + (2 * 2) * 32 * 6),
        ("transposed", (2 * 2) * (3 * 3) * 6 * 4),  # each input pixel is spread by the kernel
        ("grouped", (5 * 5) * (4 // 2) * 6),
        ("everywhere", (5 * 5) * 6 * 5),
        ("flat", 5 * 5 * 5 * 7),
    ],
)
def test_multiply_accumulates_are_those_counted_by_hand(
    plans: dict[str, Any], layer: str, count: int
) -> None:
    assert plans["macs"][layer] == count
    assert "norm" not in plans["macs"]


def test_multiply_accumulates_of_sequences_count_every_step(plans: dict[str, Any]) -> None:
    assert plans["macs sequence"] == {"conv": 8 * 3 * 2 * 5}
    assert plans["macs lstm"] == {"lstm": 10 * (2 + 4) * 4 * 4}
    assert plans["macs embedding"] == {"table": 0}


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("to_own", "flows into 'own' (Own): not a layer of Keras"),
        ("to_norm", "flows into 'across' (LayerNormalization)"),
        ("to_grouped", "flows into 'grouped' (Conv2D): a convolution of 4 groups"),
        ("to_softmax", "flows into 'soft' (Softmax)"),
        ("activated", "passes the activation 'softmax' of 'activated' (Conv2D)"),
        ("free_function", "passes the activation '<lambda> of your own'"),
        ("to_mine", "flows into 'mine' (Conv2D): not Keras's Conv2D"),
        ("to_reshape", "flows into 'split' (Reshape): from [None, 12, 12, 16]"),
        ("to_constant", "one side is a constant array"),
        ("to_rows", "flows into 'rows' (BatchNormalization): it normalises along axis 1"),
        ("to_mean", "flows into 'average' (Average)"),
        ("to_ops_reshape", "flows into 'reshape"),
        ("gate", "is spread over the channels of 'attend' (Multiply)"),
        ("residual", "comes from the model's input 'image'"),
        ("narrow", "has 6 channels, and 8 is the least kept"),
        ("head_0", "is an output of the model"),
    ],
)
def test_channels_stay_for_a_reason_that_names_the_layer(
    plans: dict[str, Any], layer: str, reason: str
) -> None:
    assert reason in plans["frozen"][layer]
    row = plans["rows"][layer]
    assert reason in row["reason"]
    assert row["channels_before"] == row["channels_after"]


def test_channels_that_only_known_layers_see_can_go(plans: dict[str, Any]) -> None:
    assert plans["frozen"]["attended"] == ""
    assert plans["coupled"] == [["above", "below"]]
    assert plans["frozen"]["above"] == ""


def test_channels_first_is_not_cut(plans: dict[str, Any]) -> None:
    assert all(plans["channels first"])
    assert any("channels_first" in reason for reason in plans["channels first"])


@pytest.mark.parametrize(
    ("budget", "share", "multiple"),
    [
        ("global", 0.5, 8),
        ("uniform", 0.5, 8),
        ("much", 0.9, 8),
        ("little", 0.01, 8),
        ("sixteen", 0.5, 16),
        ("one", 0.5, 1),
    ],
)
def test_plan_removes_what_was_asked_for(
    plans: dict[str, Any], budget: str, share: float, multiple: int
) -> None:
    found = plans[f"budget {budget}"]
    assert found["removed"] >= share
    assert found["real"] == found["after"]
    whole = {"one": 32, "two": 64, "three": 32}
    for group, width in found["widths"].items():
        assert width % multiple == 0
        assert width >= max(multiple, whole[group] / 8)


def test_plan_removes_little_more_than_asked_for(plans: dict[str, Any]) -> None:
    assert plans["budget one"]["removed"] < 0.51
    # One block of the least layer that suffices.
    assert sum(plans["budget little"]["widths"].values()) == 32 + 64 + 32 - 8


def test_uniform_plan_keeps_one_ratio(plans: dict[str, Any]) -> None:
    # 0.65 of 32, 64 and 32, rounded to multiples of 8.
    assert plans["budget uniform"]["widths"] == {"one": 24, "two": 40, "three": 24}


def test_global_plan_loses_less_than_the_uniform_one(plans: dict[str, Any]) -> None:
    assert plans["budget global"]["lost"] <= plans["budget uniform"]["lost"]


@pytest.mark.parametrize("generation", ["keras", "tf_keras"])
def test_filters_that_batch_norm_silences_go_first(plans: dict[str, Any], generation: str) -> None:
    kept = plans[f"l1 {generation}"]["two"]
    assert len(kept) < 64
    dead = [channel for channel in kept if channel % 2]
    assert len(dead) == max(0, len(kept) - 32)


@pytest.mark.parametrize("generation", ["keras", "tf_keras"])
def test_channels_that_nothing_reads_go_first_by_taylor(
    plans: dict[str, Any], generation: str
) -> None:
    found = plans[f"taylor {generation}"]
    assert found["dead"] == 0 < found["alive"]
    assert len([channel for channel in found["kept"] if channel % 2]) == max(
        0, len(found["kept"]) - 32
    )


@pytest.mark.parametrize("generation", ["keras", "tf_keras"])
def test_taylor_importance_is_the_slope_of_the_loss(plans: dict[str, Any], generation: str) -> None:
    got, slope = plans[f"slope {generation}"]
    assert math.isclose(got, slope, rel_tol=0.05)


def test_latency_plan_cuts_whole_tiles_where_they_pay(plans: dict[str, Any]) -> None:
    found = plans["latency"]
    assert found["removed"] >= 0.5
    assert found["after"] < found["before"]
    assert found["after"] <= found["unmeasured"]
    assert all(found["widths"][group] % 16 == 0 for group in ("two", "three"))


def test_latency_plan_measures_few_candidates_each_once(plans: dict[str, Any]) -> None:
    assert plans["latency"]["asked"] == plans["latency"]["distinct"]
    assert plans["latency"]["asked"] <= 24
    assert plans["latency many"] <= 24


@pytest.mark.parametrize(
    ("case", "code", "words"),
    [
        ("subclassed", "021", ["Subclassed", "subclassed model"]),
        ("tf_keras subclassed", "021", ["Own"]),
        ("unbuilt", "021", ["no input shape yet"]),
        ("open size", "022", ["'open' (Conv2D)"]),
        ("nothing", "023", ["small: has 8 channels", "last: is an output"]),
        ("too much", "024", ["99%", "is the most", "head: is an output"]),
        ("initializer", "025", ["sequential"]),
        ("other plan", "026", ["another model"]),
        ("no gradients", "027", ["taylor"]),
        ("no cost", "027", ["latency"]),
        ("secret", "028", ["gives other outputs"]),
        ("setting macs", "020", ["macs = 1.0"]),
        ("setting multiple", "020", ["multiple = 0"]),
        ("setting importance", "020", ["'l2'"]),
        ("setting allocation", "020", ["'some'"]),
        ("setting objective", "020", ["'size'"]),
        ("setting both", "020", ["latency", "uniform"]),
    ],
)
def test_refusal_says_what_and_where(
    plans: dict[str, Any], case: str, code: str, words: list[str]
) -> None:
    found = plans[case]
    assert found.get("code") == f"EK-COMPRESS-{code}", found
    said = found["message"] + found["hint"]
    assert found["hint"]
    assert all(word in said for word in words), said


def test_failed_cut_leaves_the_model_as_it_was(plans: dict[str, Any]) -> None:
    assert plans["secret unchanged"]


@pytest.mark.parametrize("case", ["normalization", "by name keras", "by name tf_keras"])
def test_unusual_model_is_cut(plans: dict[str, Any], case: str) -> None:
    assert plans[case] == {}
