"""The losses of embeddings and of detectors: their formulas, what they refuse, what they reach."""

from __future__ import annotations

import itertools
import json
import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forking import tensorflow_script

from conftest import once

COMMON = """
import json, sys
from pathlib import Path
import keras, numpy as np, tensorflow as tf, tf_keras
from edgekit.data import Dataset
from edgekit.errors import EdgekitError
from edgekit.evaluation.boxes import BoxSpec, decoded
from edgekit.project.train import TrainTable
from edgekit.training import fit, loop
from edgekit.training.contrastive import few_pairs, paired_share, supervised_contrastive
from edgekit.training.feed import Aside, Training
from edgekit.training.heads import Head
from edgekit.training.task_figures import _callback, figure_of
from edgekit.training.watch.alarms import Alarms
from edgekit.training.set_prediction import overlap, set_prediction
from edgekit.types import Preprocess

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
fit.export_both = lambda *_, **__: {}
SIDE, COUNT = 8, 256
outcomes = {}

def squares():
    # One or two squares a picture, bright or grey, each in its half.
    x = np.zeros((COUNT, SIDE, SIDE, 1), np.float32)
    y = np.zeros((COUNT, 2, 5), np.float32)
    y[..., 0] = -1
    for item in range(COUNT):
        for half in range(rng.integers(1, 3)):
            kind, top, left = rng.integers(0, 2), 2 * rng.integers(0, 3), 4 * half
            x[item, top : top + 4, left : left + 4] = 1.0 if kind else 0.4
            y[item, half] = [kind, *np.array([left, top, left + 4, top + 4]) / SIDE]
    return x, y

X, Y = squares()
# Ten kinds of items that differ by their direction alone, in noise.
MEANS = rng.normal(size=(10, 16)).astype(np.float32)
KINDS = rng.integers(0, 10, COUNT)
SEEN = (MEANS[KINDS] * rng.uniform(0.5, 2, (COUNT, 1)) + rng.normal(0, 0.5, (COUNT, 16)))
np.save(folder / "apart.npy", np.arange(48))

def dataset(name, x, y):
    np.save(folder / f"{name} x.npy", x)
    np.save(folder / f"{name} y.npy", y)
    return Dataset(name, {"x": folder / f"{name} x.npy"}, folder / f"{name} y.npy", len(x), "", {})

(folder / "model.py").write_text('''
import keras, tf_keras

def detector(K, classes=2, candidates=4):
    L = K.layers
    picture = K.Input((8, 8, 1))
    seen = L.Dense(64, activation="relu")(L.Flatten()(picture))
    boxes = L.Dense(4 * candidates, activation="sigmoid")(seen)
    scores = L.Dense(classes * candidates)(seen)
    return K.Model(picture, [
        L.Reshape((candidates, 4), name="boxes")(boxes),
        L.Reshape((candidates, classes), name="scores")(scores)])

def vectors(K):
    L = K.layers
    samples = K.Input((16,))
    made = L.Dense(8)(L.Dense(32, activation="relu")(samples))
    return K.Model(samples, L.UnitNormalization()(made))

def detector3(): return detector(keras)
def detector2(): return detector(tf_keras)
def vectors3(): return vectors(keras)
def vectors2(): return vectors(tf_keras)
def one_class(): return detector(keras, 1)
def one_candidate(): return detector(keras, 2, 1)
def suppressing():
    picture = keras.Input((8, 8, 1))
    L = keras.layers
    flat = L.Flatten()(picture)
    four = L.Reshape((3, 4), name="boxes")(L.Dense(12)(flat))
    names = ("classes", "scores", "count")
    return keras.Model(picture, [four, *(
        L.Dense(width, name=name)(flat) for name, width in zip(names, (3, 3, 1)))])
def subclassed():
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = detector(keras)
        def call(self, x):
            return self.inner(x)
    return Two()
''')
CENTRES = BoxSpec(layout="cxcywh")

def training(data, epochs, boxes=CENTRES, augmentation=None):
    return Training(
        data, Preprocess(), epochs, 16, 0, Aside(folder / "apart.npy"), boxes=boxes,
        augmentation=augmentation)

def train(function, name, job, **said):
    held = {}
    fit._save = lambda model, path: held.update(model=model) or ""
    out = folder / name
    out.mkdir(exist_ok=True)
    settings = TrainTable(**{"learning_rate": {"start": 0.01}, **said})
    facts = fit.train(f"model.py:{function}", folder, job, out / "p", out, settings)
    rows = [line.split(",") for line in (out / "history.csv").read_text().splitlines()]
    weights = [np.asarray(one).tobytes().hex() for one in held["model"].get_weights()]
    figures = [dict(zip(rows[0], map(float, row))) for row in rows[1:]]
    names = [str(name) for name in held["model"].output_names]
    alarms = facts["alarms"]
    return {"rows": figures, "weights": weights, "outputs": names, "alarms": alarms, **facts}
"""
FORMULAS = """
labels, given = np.array([0, 1, 0, 2, 1, 0]), rng.normal(size=(6, 3)).astype(np.float32)
outcomes["contrastive"] = {
    "labels": labels.tolist(), "given": given.tolist(),
    "loss": supervised_contrastive(labels, given).numpy().tolist(),
    "scaled": supervised_contrastive(labels[:, None], given * 7).numpy().tolist(),
    "alone": supervised_contrastive(np.arange(6), given).numpy().tolist()}
draws = [rng.permutation(labels)[:3] for _ in range(4000)]
paired = [np.mean([(one == each).sum() > 1 for each in one]) for one in draws]
outcomes["paired"] = [paired_share(labels, 3), float(np.mean(paired))]
outcomes["few"] = few_pairs(np.repeat(np.arange(500), 4), 32).message
outcomes["enough"] = few_pairs(KINDS, 16) is None
pairs = np.array([
    [[0, 0, 2, 2], [1, 1, 3, 3]], [[0, 0, 1, 1], [2, 0, 3, 1]], [[2, 2, 0, 0], [0, 0, 2, 2]]])
ours, theirs = (tf.constant(pairs[:, k], tf.float32) for k in (0, 1))
outcomes["overlap"] = overlap(ours, theirs).numpy().tolist()

corners = np.sort(rng.uniform(size=(2, 4, 2, 2)), axis=2).reshape(2, 4, 4).astype(np.float32)
true = np.zeros((2, 3, 6), np.float32)
true[..., 0] = -1
true[..., 1:5] = np.sort(rng.uniform(size=(2, 3, 2, 2)), axis=2).reshape(2, 3, 4)
true[0, :2, 0], true[1, 1:, 0], true[1, 2, 5] = [1, 0], [1, 0], 1
scores = rng.normal(size=(2, 4, 2)).astype(np.float32)
chances = 1 / (1 + np.exp(-scores))
for name, kind, spec in (
    ("logits", scores, BoxSpec(layout="xyxy")),
    ("chances", chances, BoxSpec(layout="xyxy")),
    ("background", np.concatenate([scores, scores[..., :1]], -1), BoxSpec(background=True)),
):
    head = Head("boxes", spec, (8, 8), ("boxes", "scores"), name != "chances")
    given = np.concatenate([corners, kind], -1)
    loss = set_prediction(head)(true, given).numpy().tolist()
    outcomes[name] = {
        "true": true.tolist(), "corners": corners.tolist(), "scores": kind.tolist(), "loss": loss}
broken = np.full((1, 4, 6), np.nan, np.float32)
head = Head("boxes", BoxSpec(), (8, 8), ("boxes", "scores"), True)
outcomes["broken"] = bool(np.isnan(set_prediction(head)(true[:1], broken)).all())

alarms, logs = Alarms(), [{}, {}, {}]
plain = figure_of("embeddings", None)
chosen = figure_of("embeddings", None, "score")
for figure, row in ((plain, logs[0]), (chosen, logs[1])):
    value = lambda: figure.value(np.arange(5), rng.normal(size=(5, 3)))
    _callback(keras.Sequential(), figure, value, alarms).on_epoch_end(0, row)
value = lambda: plain.value(labels, np.eye(3)[labels])
_callback(keras.Sequential(), plain, value, alarms).on_epoch_end(0, logs[2])
outcomes["figures"] = [logs, [one["message"] for one in alarms.facts]]

# What is trained reads boxes as what is judged does.
anchors = rng.uniform(0.2, 0.8, (7, 4)).astype(np.float32)
raw = rng.uniform(0.2, 0.4, (1, 7, 4)).astype(np.float32)
one = rng.uniform(0.2, 0.8, (1, 7, 1)).astype(np.float32)
for name, kind, spec in (
    ("xyxy", "boxes", BoxSpec(layout="xyxy")), ("yxyx", "boxes", BoxSpec(layout="yxyx")),
    ("xywh", "boxes", BoxSpec(layout="xywh")), ("cxcywh", "boxes", BoxSpec(layout="cxcywh")),
    ("pixels", "boxes", BoxSpec(layout="cxcywh", pixels=True)),
    ("ssd", "ssd", BoxSpec(anchors=anchors)), ("yolo 5", "yolo", BoxSpec(layout="cxcywh")),
    ("yolo 8", "yolo", BoxSpec(layout="cxcywh")),
):
    single, newer = kind == "yolo", name == "yolo 8"
    head = Head(kind, spec, (8, 4), ("y",) if single else ("boxes", "scores"), False, newer)
    given = np.concatenate([raw, one, 1 - one] if name == "yolo 5" else [raw, one], -1)
    given = given.transpose(0, 2, 1) if newer else given
    judged = Head(kind, BoxSpec(**{**vars(spec), "score": 0.0, "iou": 1.0}), (8, 4), head.names,
                  False, newer).decoded(given)[0]
    boxes, likely = (np.asarray(each)[0] for each in head.read(tf.constant(given)))
    order = np.argsort(-likely[:, 0], kind="stable")
    judged = judged[judged[:, 0] >= 0]
    outcomes[f"read {name}"] = [
        np.concatenate([likely, boxes], 1)[order].tolist(), judged[:, [0, 2, 3, 4, 5]].tolist()]
"""
REFUSED = """
from edgekit.training.augment import Augmentation

def refused(name, function, x, y, boxes=CENTRES, augmentation=None, **said):
    job = training(dataset(name, x, y), 1, boxes, augmentation)
    try:
        train(function, name, job, **said)
        outcomes[name] = "accepted"
    except EdgekitError as error:
        outcomes[name] = str(error)

fit.loop.run = lambda *_, **__: loop.Outcome(())
last = np.concatenate([Y[..., 1:], Y[..., :1]], -1)
wrong = Y[..., [0, 3, 4, 1, 2]]
refused("class last", "detector3", X, last)
refused("pixels", "detector2", X, Y * np.array([1, 8, 8, 8, 8], np.float32))
refused("right before left", "detector3", X, wrong)
refused("no class", "detector3", X, Y[..., 1:])
refused("one class", "one_class", X, Y)
refused("one candidate", "one_candidate", X, Y)
refused("suppressing", "suppressing", X, Y)
refused("subclassed", "subclassed", X, Y)
refused("server", "detector2", X, Y, strategy="parameter_server")
flip = Augmentation(folder, layers=(("RandomBrightness", 0.1), ("RandomFlip", "horizontal")))
refused("flipped", "detector3", X, Y, augmentation=flip)
refused("unpaired", "vectors3", SEEN, np.arange(COUNT))
refused("large", "vectors3", SEEN, KINDS + (1 << 25))
"""
TRAINED = """
for name, epochs, job in (
    ("detector", 8, training(dataset("squares", X, Y), 8)),
    ("vectors", 6, training(dataset("kinds", SEEN.astype(np.float32), KINDS), 6)),
):
    for generation in sys.argv[2]:
        outcomes[name + generation] = train(name + generation, name + generation, job)
"""
# Whole, and killed at a step and gone on: each in a process of its own.
KILLED = """
import os, signal

def forked(function, name, job, step=None):
    child = os.fork()
    if child:
        return child
    saved = loop.Keeper.batch_ended
    def ended(self, epoch, batch):
        saved(self, epoch, batch)
        if step is not None and self.course.step >= step:
            os.kill(os.getpid(), signal.SIGKILL)
    loop.Keeper.batch_ended = ended
    found = train(function, name, job, deterministic=True, save_every=3)
    (folder / f"{name}.json").write_text(json.dumps(found))
    os._exit(0)

squares, kinds = dataset("squares", X, Y), dataset("kinds", SEEN.astype(np.float32), KINDS)
for function, epochs, data in (
    ("detector3", 8, squares), ("detector2", 8, squares), ("vectors2", 6, kinds),
):
    job = training(data, epochs)
    whole = forked(function, function, job)
    # One after the other: what was killed goes on.
    ends = [
        os.waitpid(forked(function, f"{function} cut", job, step), 0)[1] for step in (31, None)]
    ends.append(os.waitpid(whole, 0)[1])
    outcomes[f"{function} ends"] = ends
    for kind in (function, f"{function} cut"):
        outcomes[kind] = json.loads((folder / f"{kind}.json").read_text())
"""
SAVED = """
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""


@pytest.fixture(scope="session")
def losses(shared: Path) -> dict[str, Any]:
    """Values of the losses, what was refused, and a training of each by Keras 3."""

    def make(folder: Path) -> None:
        tensorflow_script(COMMON + FORMULAS + TRAINED + REFUSED + SAVED, folder, "3")

    return dict(json.loads((once(shared / "task-losses", make) / "outcomes.json").read_text()))


def test_embeddings_loss_is_the_supervised_contrastive_one(losses: dict[str, Any]) -> None:
    said = losses["contrastive"]
    labels, given = np.array(said["labels"]), np.array(said["given"])
    unit = given / np.linalg.norm(given, axis=1, keepdims=True)
    near = np.exp(unit @ unit.T / 0.1)
    wanted = []
    for item, label in enumerate(labels):
        others = [k for k in range(len(labels)) if k != item]
        alike = [k for k in others if labels[k] == label]
        shares = [-np.log(near[item, k] / near[item, others].sum()) for k in alike]
        wanted.append(np.mean(shares) if shares else 0.0)
    # Five of the six have another of their label.
    assert said["loss"] == pytest.approx(np.array(wanted) * 6 / 5, rel=1e-4)
    assert said["scaled"] == pytest.approx(said["loss"], rel=1e-4)
    assert said["alone"] == [0.0] * 6


def test_share_of_items_with_a_partner_is_that_of_random_batches(losses: dict[str, Any]) -> None:
    exact, drawn = losses["paired"]
    assert exact == pytest.approx(drawn, abs=0.02)
    assert "of a batch of 32 only 5% have another of their label" in losses["few"]
    assert losses["enough"]


def test_figure_without_a_value_is_told_and_no_epoch_is_the_best_by_it(
    losses: dict[str, Any],
) -> None:
    (plain, chosen, whole), told = losses["figures"]
    assert plain == {}
    assert math.isnan(chosen["score"])
    # One of six is alone of its label.
    assert whole == {"val_recall_at_1": pytest.approx(5 / 6)}
    assert told == [
        f"{name} cannot be computed in this training: recall_at_1: no two items have the same label"
        for name in ("val_recall_at_1", "score")
    ]


def test_overlap_is_generalised_iou(losses: dict[str, Any]) -> None:
    # A seventh less two of nine of the hull; nothing less a third; a box whose corners are swapped.
    assert losses["overlap"] == pytest.approx([1 / 7 - 2 / 9, -1 / 3, 1.0])


def reference(said: dict[str, Any], case: str) -> list[float]:
    """The least cost of all ways to match, and the loss of that one."""
    given = np.array(said["scores"])
    chance = given if case == "chances" else 1 / (1 + np.exp(-given))
    hit = -0.25 * (1 - chance) ** 2 * np.log(chance)
    missed = -0.75 * chance**2 * np.log(1 - chance)
    first = int(case == "background")
    total, losses = 0, []
    for picture, rows in enumerate(np.array(said["true"])):
        rows = rows[(rows[:, 0] >= 0) & (rows[:, 5] == 0)]
        total += len(rows)
        corners = np.array(said["corners"][picture])
        least, best = np.inf, 0.0
        for ways in itertools.permutations(range(len(corners)), len(rows)):
            cost, loss, wanted = 0.0, 0.0, np.zeros_like(chance[picture])
            wanted[:, 0] = first
            for row, at in zip(rows, ways, strict=True):
                kind = int(row[0]) + first
                placed = 5 * distance(corners[at], row[1:5]) - 2 * generalised(
                    corners[at], row[1:5]
                )
                cost += 2 * (hit - missed)[picture, at, kind] + placed
                loss += placed + 2
                wanted[at] = np.eye(wanted.shape[1])[kind]
            focal = (wanted * hit[picture] + (1 - wanted) * missed[picture]).sum()
            if cost < least:
                least, best = cost, loss + 2 * focal
        losses.append(best)
    return [one * len(losses) / total for one in losses]


def distance(ours: Any, theirs: Any) -> float:
    def centred(box: Any) -> Any:
        return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])

    return float(np.abs(centred(ours) - centred(theirs)).sum())


def generalised(ours: Any, theirs: Any) -> float:
    low, high = np.maximum(ours[:2], theirs[:2]), np.minimum(ours[2:], theirs[2:])
    shared = np.prod(np.clip(high - low, 0, None))
    union = np.prod(ours[2:] - ours[:2]) + np.prod(theirs[2:] - theirs[:2]) - shared
    hull = np.prod(np.maximum(ours[2:], theirs[2:]) - np.minimum(ours[:2], theirs[:2]))
    return float(shared / union - (hull - union) / hull)


@pytest.mark.parametrize("case", ["logits", "chances", "background"])
def test_detectors_loss_is_that_of_the_best_matching(losses: dict[str, Any], case: str) -> None:
    assert losses[case]["loss"] == pytest.approx(reference(losses[case], case), rel=1e-3)


def test_outputs_that_are_no_numbers_give_a_loss_that_is_none(losses: dict[str, Any]) -> None:
    assert losses["broken"]


@pytest.mark.parametrize(
    "head", ["xyxy", "yxyx", "xywh", "cxcywh", "pixels", "ssd", "yolo 5", "yolo 8"]
)
def test_boxes_are_trained_as_they_are_judged(losses: dict[str, Any], head: str) -> None:
    trained, judged = losses[f"read {head}"]
    assert np.array(trained) == pytest.approx(np.array(judged), abs=1e-6)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("class last", ("EK-DATA-065", "the first of the five is not a whole number")),
        ("pixels", ("EK-DATA-065", "shares of the picture, 0 to 1")),
        ("right before left", ("EK-DATA-065", "right of a box is left of its left")),
        ("no class", ("EK-DATA-065", "not floats [N, boxes, 5]")),
        ("one class", ("EK-DATA-065", "the head scores 1 classes, and a box is of class 1")),
        ("one candidate", ("EK-DATA-065", "has 2 boxes, and the head gives 1 candidates")),
        ("suppressing", ("EK-TRAIN-002", "non-maximum suppression has no gradient")),
        ("subclassed", ("EK-TRAIN-002", "keras.Model(inputs, [boxes, scores])")),
        ("server", ("EK-TRAIN-002", "parameter_server", "multi_worker")),
        ("flipped", ("EK-DATA-082", "RandomFlip moves what is in a picture", "detection")),
        ("unpaired", ("EK-DATA-088", "no two items to train on have the same label")),
        ("large", ("EK-DATA-088", "numpy.unique(y, return_inverse=True)[1]")),
    ],
)
def test_what_cannot_be_learned_is_refused(
    losses: dict[str, Any], case: str, words: tuple[str, ...]
) -> None:
    for word in words:
        assert word in losses[case]


def check_detector(found: dict[str, Any]) -> None:
    # Guessing places and classes finds next to nothing.
    first, last = found["rows"][0]["val_coco_map"], found["rows"][-1]["val_coco_map"]
    assert last > 0.3 > 2 * first
    assert found["rows"][-1]["val_loss"] < 0.6 * found["rows"][0]["val_loss"]
    assert found["trained"]["task"] == "detection"
    # The model that is left has its own outputs.
    assert found["outputs"] == ["boxes", "scores"]
    assert found["alarms"] == []


def check_vectors(found: dict[str, Any]) -> None:
    # One of ten kinds is right by chance.
    assert found["rows"][-1]["val_recall_at_1"] > 0.6
    assert found["trained"]["task"] == "embeddings"
    assert found["alarms"] == []


def test_a_detector_learns_boxes_and_classes(losses: dict[str, Any]) -> None:
    check_detector(losses["detector3"])


def test_embeddings_learn_which_items_belong_together(losses: dict[str, Any]) -> None:
    check_vectors(losses["vectors3"])


@pytest.mark.slow
def test_killed_trainings_of_both_generations_end_with_the_same_bits(tmp_path: Path) -> None:
    tensorflow_script(COMMON + KILLED + SAVED, tmp_path)
    found = json.loads((tmp_path / "outcomes.json").read_text())
    for name, check in (
        ("detector3", check_detector),
        ("detector2", check_detector),
        ("vectors2", check_vectors),
    ):
        cut, whole = found[f"{name} cut"], found[name]
        assert found[f"{name} ends"] == [signal.SIGKILL, 0, 0]
        check(whole)
        assert cut["trained"]["resumed"] > 0
        assert cut["weights"] == whole["weights"]
        assert cut["rows"] == whole["rows"]
