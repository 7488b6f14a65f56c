"""The batches of a training: each item once an epoch, seeded, restorable at any step, streamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script

from conftest import once

FEED = """
import json, sys
from pathlib import Path
import keras, numpy as np, tensorflow as tf, tf_keras
from edgekit.data import Dataset
from edgekit.data.preprocessing import apply
from edgekit.errors import EdgekitError
from edgekit.training.feed import Feed, Training
from edgekit.types import Preprocess, TensorSpec

(folder,) = map(Path, sys.argv[1:])

def dataset(**arrays):
    files = {}
    for name, array in arrays.items():
        files[name] = folder / f"{name}.npy"
        np.save(files[name], array)
    labels = files.pop("y", None)
    beside = {name: files.pop(name) for name in ("left", "right") if name in files}
    return Dataset("d", files, labels, len(array), "", beside)

def training(data, preprocess=Preprocess(), batch=8, seed=3):
    return Training(data, preprocess, 2, batch, seed)

def seen(batches):
    return [(np.asarray(x), np.asarray(y)) for x, y in batches]

numbers = np.arange(37, dtype="float32")[:, None]
plain = dataset(x=numbers, y=np.arange(37))
one = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
feed = Feed.of(one, training(plain))
whole = seen(feed.batches(0, 3))
epochs = [np.concatenate([y for _, y in whole[5 * e : 5 * e + 5]]) for e in range(3)]
again, other = (seen(Feed.of(one, training(plain, seed=s)).batches(0, 3)) for s in (3, 4))
tails = []
for step in (1, 5, 7, 14):
    tails.append(all(
        a.tobytes() == c.tobytes() and b.tobytes() == d.tobytes()
        for (a, b), (c, d) in zip(whole[step:], seen(feed.batches(step, 3)), strict=True)
    ))
held = Feed.of(one, training(plain), held_out=7)
trained_on = np.concatenate([y for _, y in seen(held.batches(0, 1))])
held_out = np.concatenate([y for _, y in seen(held.validation())])
facts = {
    "sizes": [len(y) for _, y in whole],
    "steps": feed.steps_per_epoch,
    "epochs": [sorted(e.tolist()) for e in epochs],
    "orders": len({tuple(e) for e in [*epochs, np.arange(37)]}),
    "paired": all((x[:, 0] == y).all() for x, y in whole),
    "again": all((b == d).all() for (_, b), (_, d) in zip(whole, again)),
    "other_seed": all((b == d).all() for (_, b), (_, d) in zip(whole, other)),
    "tails": tails,
    "ended": len(seen(feed.batches(15, 3))),
    "trained_on": sorted(trained_on.tolist()), "held_out": held_out.tolist(),
    "no_validation": feed.validation() is None,
}

left, right = keras.Input((2,), name="left"), keras.Input((3,), name="right", dtype="int32")
both = keras.layers.Concatenate()([left, keras.layers.Rescaling(1.0)(right)])
outputs = [keras.layers.Dense(1, name="near")(both), keras.layers.Dense(1, name="far")(both)]
two = keras.Model([left, right], outputs)
rng = np.random.default_rng(0)
arrays = {"left": rng.normal(size=(9, 2)), "right": rng.integers(0, 9, (9, 3))}
files = dataset(**arrays, near=np.arange(9.0), far=np.arange(9))
several = Dataset(
    "d", {n: folder / f"{n}.npy" for n in arrays}, None, 9, "",
    {n: folder / f"{n}.npy" for n in ("near", "far")},
)
(a, b), y = next(iter(Feed.of(two, training(several, batch=9)).batches(0, 1)))
order = y["far"].numpy()
facts["several"] = {
    "shapes": [a.shape.as_list(), b.shape.as_list()], "dtypes": [a.dtype.name, b.dtype.name],
    "rows": bool((b.numpy() == arrays["right"][order]).all()),
    "labels": {n: [v.dtype.name, bool((v.numpy() == order).all())] for n, v in y.items()},
}

class Named(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
    def call(self, inputs):
        return self.dense(inputs["a"]) + self.dense(inputs["b"])

named = dataset(a=np.ones((4, 2), "float32"), b=np.zeros((4, 2), "float32"), y=np.arange(4.0))
model = Named()
x, y = next(iter(Feed.of(model, training(named)).batches(0, 1)))
facts["named"] = {"names": sorted(x), "built": model.built, "label": y.dtype.name}

pictures = rng.integers(0, 256, (11, 4, 4, 3)).astype("uint8")
facts["scaled"] = []
for scale, offset in ((1 / 255, 0.0), ((0.017, 0.0175, 0.0171), (-2.1, -2.0, -1.8))):
    spec = Preprocess(scale, offset)
    colour = tf_keras.Sequential([tf_keras.Input((4, 4, 3)), tf_keras.layers.Flatten()])
    data = training(dataset(x=pictures, y=np.arange(11)), spec, 4)
    wanted = apply(pictures, TensorSpec("x", (None, 4, 4, 3), "float32"), spec)
    facts["scaled"].append(all(
        x.tobytes() == wanted[y].tobytes() for x, y in seen(Feed.of(colour, data).batches(0, 1))
    ))

def held():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024

# A sparse file of 64 GB takes no disk, and no memory of this host would hold it.
with open(folder / "big.npy", "wb") as file:
    header = {"descr": "|u1", "fortran_order": False, "shape": (1 << 20, 1 << 16)}
    np.lib.format.write_array_header_1_0(file, header)
    file.truncate(file.tell() + (1 << 36))
np.save(folder / "few.npy", np.zeros(1 << 20, "int64"))
big = Dataset("d", {"x": folder / "big.npy"}, folder / "few.npy", 1 << 20, "")
wide = keras.Sequential([keras.Input((1 << 16,)), keras.layers.Dense(1)])
stream = Feed.of(wide, training(big, Preprocess(1 / 255), 16)).batches(0, 1)
sizes = [held() for at, _ in zip(range(200), stream) if at >= 20]
facts["grown"] = max(sizes) - sizes[0]

texts = np.array(["a"] * 37)
for name, labels in (("unlabelled", {}), ("texts", {"y": texts})):
    broken = dataset(x=numbers, **labels)
    try:
        Feed.of(one, training(broken))
    except EdgekitError as error:
        facts[name] = error.code
(folder / "facts.json").write_text(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def fed(shared: Path) -> dict[str, Any]:
    folder = once(shared / "feed", lambda at: tensorflow_script(FEED, at))
    return dict(json.loads((folder / "facts.json").read_text()))


def test_every_epoch_has_each_item_once_in_an_order_of_its_own(fed: dict[str, Any]) -> None:
    assert fed["epochs"] == [list(range(37))] * 3
    assert fed["orders"] == 4
    assert fed["paired"]
    assert fed["steps"] == 5
    assert fed["sizes"] == [8, 8, 8, 8, 5] * 3


def test_order_is_of_the_seed_alone(fed: dict[str, Any]) -> None:
    assert fed["again"]
    assert not fed["other_seed"]


def test_training_goes_on_from_any_step_with_the_same_bytes(fed: dict[str, Any]) -> None:
    assert fed["tails"] == [True] * 4
    assert fed["ended"] == 0


def test_items_held_out_are_not_trained_on(fed: dict[str, Any]) -> None:
    assert len(fed["held_out"]) == 7
    assert sorted(fed["trained_on"] + fed["held_out"]) == list(range(37))
    assert fed["no_validation"]


def test_several_inputs_and_outputs_come_in_the_models_structure(fed: dict[str, Any]) -> None:
    assert fed["several"] == {
        "shapes": [[9, 2], [9, 3]],
        "dtypes": ["float32", "int32"],
        "rows": True,
        "labels": {"near": ["float32", True], "far": ["int64", True]},
    }
    assert fed["named"] == {"names": ["a", "b"], "built": True, "label": "float32"}


def test_items_are_scaled_as_they_are_everywhere(fed: dict[str, Any]) -> None:
    assert fed["scaled"] == [True, True]


def test_data_larger_than_memory_is_streamed(fed: dict[str, Any]) -> None:
    # A batch is 4 MB, and 180 of them went by.
    assert fed["grown"] < 100


def test_labels_that_cannot_train_are_refused(fed: dict[str, Any]) -> None:
    assert (fed["unlabelled"], fed["texts"]) == ("EK-DATA-005", "EK-DATA-009")
