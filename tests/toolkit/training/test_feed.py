"""The batches of a training: each item once an epoch, seeded, restorable at any step, streamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script

from conftest import once

FEED = '''
import json, sys
from dataclasses import replace
from pathlib import Path
import keras, numpy as np, tensorflow as tf, tf_keras
from edgekit.data import Dataset
from edgekit.data.preprocessing import apply
from edgekit.errors import EdgekitError
from edgekit.training.augment import Augmentation
from edgekit.training.feed import Aside, Feed, Training, Weights
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

files = dataset(x=numbers, y=np.arange(37) % 3)
np.save(folder / "aside.npy", np.array([2, 5, 36]))
np.save(folder / "many.npy", np.arange(37.0))
files = replace(files, beside={"many": folder / "many.npy"})
aside = Training(
    files, Preprocess(), 2, 8, 3, Aside(folder / "aside.npy"), Weights("many", (1.0, 2.0, 0.0)),
)
feed = Feed.of(one, aside)
weighed = [tuple(map(np.asarray, batch)) for batch in feed.batches(0, 1)]
facts["weights"] = all(
    (w == x[:, 0] * np.array([1, 2, 0])[y]).all() and w.dtype == np.float32 for x, y, w in weighed
)
facts["aside"] = sorted({*range(37)} - {int(v) for x, *_ in weighed for v in x[:, 0]})
facts["validated"] = [np.asarray(x)[:, 0].astype(int).tolist() for x, _ in feed.validation()]
own = Training(files, Preprocess(), 2, 8, 3, Aside(dataset=plain))
facts["own"] = [Feed.of(one, own).count, sum(len(y) for _, y in Feed.of(one, own).validation())]

(folder / "mine.py").write_text("""
import keras, tf_keras


def layers():
    L = keras.layers
    return keras.Sequential([L.RandomRotation(0.2, seed=1), L.Dropout(0.3, seed=1)])


def other():
    return tf_keras.layers.RandomFlip()


def bigger():
    return keras.layers.ZeroPadding2D()


""")
bytes_of = Dataset("d", {"x": folder / "p.npy"}, folder / "l.npy", 24, "")
np.save(folder / "p.npy", rng.integers(0, 256, (24, 8, 8, 3)).astype("uint8"))
np.save(folder / "l.npy", np.arange(24))
raw = keras.Sequential([keras.Input((8, 8, 3), dtype="uint8"), keras.layers.Rescaling(1.0)])
named = Augmentation(folder, layers=(
    ("RandomFlip", "horizontal"),
    ("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.2}),
))
facts["changed"], pictures = [], np.load(folder / "p.npy")
for augmentation in (named, Augmentation(folder, "mine.py:layers")):
    told = Training(bytes_of, Preprocess(), 2, 8, 3, Aside(), Weights(), augmentation)
    feed = Feed.of(raw, told, 8)
    batches = seen(feed.batches(0, 2))
    again = seen(Feed.of(raw, told, 8).batches(3, 2))
    epochs = [{int(b): a.tobytes() for x, y in half for a, b in zip(x, y)}
              for half in (batches[:2], batches[2:])]
    facts["changed"].append({
        "dtype": str(batches[0][0].dtype),
        "unchanged": sum(epochs[0][b] == pictures[b].tobytes() for b in epochs[0]),
        "resumed": all(a.tobytes() == c.tobytes() for (a, _), (c, _) in zip(batches[3:], again)),
        "same_in_both": sum(epochs[0][b] == epochs[1][b] for b in epochs[0]),
        "validation": all((x == pictures[y]).all() for x, y in seen(feed.validation())),
    })
facts["refused"] = {}
for name in ("other", "bigger"):
    told = Training(
        bytes_of, Preprocess(), 2, 8, 3, augmentation=Augmentation(folder, f"mine.py:{name}")
    )
    try:
        Feed.of(raw, told)
    except EdgekitError as error:
        facts["refused"][name] = error.message

facts["odd"] = []
for odd in (np.asfortranarray(rng.normal(size=(19, 3))), rng.normal(size=(19, 3)).astype(">f4")):
    flat = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    data = training(dataset(x=odd, y=np.arange(19)))
    batches = seen(Feed.of(flat, data).batches(0, 1))
    facts["odd"].append(all((x == odd.astype("float32")[y]).all() for x, y in batches))

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
sizes = [held() for at, _ in zip(range(70), stream) if at >= 10]
facts["grown"] = max(sizes) - sizes[0]

texts = np.array(["a"] * 37)
for name, labels in (("unlabelled", {}), ("texts", {"y": texts})):
    broken = dataset(x=numbers, **labels)
    try:
        Feed.of(one, training(broken))
    except EdgekitError as error:
        facts[name] = error.code
(folder / "facts.json").write_text(json.dumps(facts))
'''


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


def test_arrays_in_an_order_of_their_own_are_read(fed: dict[str, Any]) -> None:
    assert fed["odd"] == [True, True]


def test_data_larger_than_memory_is_streamed(fed: dict[str, Any]) -> None:
    # A batch is 4 MB, and 60 of them went by.
    assert fed["grown"] < 100


def test_items_set_aside_by_the_project_are_validated_on_alone(fed: dict[str, Any]) -> None:
    assert fed["aside"] == [2, 5, 36]
    assert fed["validated"] == [[2, 5, 36]]
    assert fed["own"] == [37, 37]


def test_items_weigh_as_their_column_and_class_say(fed: dict[str, Any]) -> None:
    assert fed["weights"]


def test_random_changes_are_those_of_the_step(fed: dict[str, Any]) -> None:
    for changed in fed["changed"]:
        assert changed["dtype"] == "uint8"
        assert changed["resumed"]
        # Shifts by a fraction of a pixel leave hardly any of sixteen pictures as it was.
        assert changed["unchanged"] <= 2
        assert changed["same_in_both"] <= 2
        assert changed["validation"]


def test_layers_that_cannot_change_items_are_refused(fed: dict[str, Any]) -> None:
    assert "mine.py:other gave tf_keras" in fed["refused"]["other"]
    assert "makes [10, 10, 3] of items shaped [8, 8, 3]" in fed["refused"]["bigger"]


def test_labels_that_cannot_train_are_refused(fed: dict[str, Any]) -> None:
    assert (fed["unlabelled"], fed["texts"]) == ("EK-DATA-005", "EK-DATA-009")
