"""Killed while it recovers from compression, a training ends with the bits it would have had."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, random, signal, sys, threading, time
from pathlib import Path
import keras, numpy as np, tf_keras
from edgekit.compression import stage
from edgekit.compression.schemes import SCHEMES
from edgekit.data import Dataset
from edgekit.models.export import Names
from edgekit.project.compress import CompressTable, FinetuneTable
from edgekit.project.train import TrainTable
from edgekit.training.feed import Training
from edgekit.training.finetune import TrainingHooks, finetune, finetuning
from edgekit.training.seeds import deterministic
from edgekit.training.watch.settings import Settings, Watching
from edgekit.types import Model, Preprocess

folder, name, case = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
kill_at = int(sys.argv[4]) if len(sys.argv) > 4 else None
watched = case != "plain"
(folder / case).mkdir(exist_ok=True)

def net(K):
    keras.utils.set_random_seed(0)
    L = K.layers
    entry = L.InputLayer if K is tf_keras else K.Input
    return K.Sequential([
        entry((8, 8, 1), name="image"),
        L.Conv2D(4, 3, name="conv"), L.BatchNormalization(), L.ReLU(), L.Flatten(),
        L.Dropout(0.3), L.Dense(10, activation="softmax", name="out"),
    ])

rng = np.random.default_rng(0)
if not (folder / "x.npy").exists():
    np.save(folder / "x.npy", rng.normal(size=(203, 8, 8, 1)).astype("float32"))
    np.save(folder / "y.npy", rng.integers(0, 10, 203))
data = Dataset("random", {"image": folder / "x.npy"}, folder / "y.npy", 203, "")
training = Training(data, Preprocess(), 4, 16, 0)
table = FinetuneTable(distill={} if name == "distilled" else None)
settings = TrainTable(deterministic=True, save_every=3, clip_norm=1.0)
tuning = finetuning(table, settings, 4, 1e-3)
watching = Watching(Settings(every=4, share=1.0, items=32), folder / case / "logs")
watching = watching if watched else None

def killing():
    states = folder / case / "partial" / "states"
    while max((int(one.stem[-9:]) for one in states.glob("step-*.state")), default=0) < kill_at:
        time.sleep(0.001)
    time.sleep(random.Random(kill_at).uniform(0, 0.02))
    (folder / f"killed {kill_at}").touch()
    os.kill(os.getpid(), signal.SIGKILL)

if kill_at is not None:
    threading.Thread(target=killing, daemon=True).start()
partial = folder / case / "partial"
if name == "distilled":
    deterministic()
    teacher, model = net(keras), net(keras)
    score = lambda labels, answers: float((answers.argmax(1) == labels).mean())
    facts = finetune(
        model, tuning, training, teacher, TrainingHooks(score, watching=watching), partial, folder,
        None,
    )
else:
    net(tf_keras).save(folder / case / "model.h5")
    asked = CompressTable(prune={"sparsity": 0.5}, quantization_aware=True)
    work = stage.SchemeJob(
        name, asked.table_of(name),
        Model(folder / case / "model.h5", "h5", "keras2", "", own=True), (),
        (), Names((), ()),
    )
    scheme, samples = SCHEMES[name], (np.load(folder / "x.npy")[:64],)
    plan = scheme.plan(stage.load(work.model), work.table)
    recovery = stage.RecoveryTraining(training, tuning, "accuracy", folder, watching=watching)
    model, facts = stage._trained(scheme, work, plan, samples, recovery, partial, (None, None))
facts["weights"] = [np.asarray(w).tobytes().hex() for w in model.get_weights()]
facts["zeros"] = float(np.mean(np.asarray(model.get_layer("out").get_weights()[0]) == 0)) if (
    name == "prune") else None
logs = [str(one.relative_to(folder / case)) for one in (folder / case).rglob("events*")]
facts["logs"] = sorted({str(Path(one).parent) for one in logs})
(folder / f"{case}.json").write_text(json.dumps(facts))
"""


def trained(folder: Path, name: str, case: str, *kill_at: int) -> dict[str, Any]:
    tensorflow_script(SCRIPT, folder, name, case, *kill_at)
    found: dict[str, Any] = json.loads((folder / f"{case}.json").read_text())
    return found


@pytest.mark.parametrize("name", ["prune", "quantization_aware", "distilled"])
def test_recovery_killed_at_random_ends_with_the_same_bits(tmp_path: Path, name: str) -> None:
    whole = trained(tmp_path, name, "whole")
    # Every third step is saved; 13 steps are an epoch, of 4.
    for step in sorted(random.Random(name).sample(range(1, 45), 2 if name == "prune" else 1)):
        # What was killed has the status of it.
        with contextlib.suppress(AssertionError):
            trained(tmp_path, name, "cut", step)
    assert list(tmp_path.glob("killed *"))
    cut = trained(tmp_path, name, "cut")
    assert cut["scores"] == whole["scores"]
    assert len(cut["scores"]) == 4
    assert cut["weights"] == whole["weights"]
    if name == "prune":
        assert cut["zeros"] == pytest.approx(0.5, abs=0.01)
    if name != "quantization_aware":
        # Watching it left every bit as it was, in either generation.
        assert trained(tmp_path, name, "plain")["weights"] == whole["weights"]
    assert {"logs/train", "logs/validation"} <= set(whole["logs"])
