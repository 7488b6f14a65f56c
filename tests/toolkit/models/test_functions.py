"""Models that a function of the user returns: trained, exported, saved, or refused."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import loading
import pytest

from conftest import edgekit, once
from edgekit.errors import WorkerError
from edgekit.process import Limits
from edgekit.training.fit import train
from edgekit.worker import Worker

SUBCLASSED = '''
from edgekit.data import from_file
from edgekit.models.export import saved_model
from edgekit.models.source import with_custom_objects
from edgekit.store import Store
from edgekit.training.feed import Training
from edgekit.training.fit import train
from edgekit.types import Model, Preprocess

Path("model.py").write_text("""
import keras, numpy as np, tensorflow as tf, tf_keras

class Own(keras.Model):
    def __init__(self, units=3, scale=None):
        super().__init__()
        self.hidden = keras.layers.Dense(4, activation="relu")
        self.head = keras.layers.Dense(units)
        self.scale = scale
    def call(self, x):
        return self.head(self.hidden(x))

class Own2(tf_keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = tf_keras.layers.Dense(3)
    def call(self, x):
        return self.dense(x)

def subclass(K, with_argument=False):
    model = Own2() if K is tf_keras else Own(scale=np.float32(2)) if with_argument else Own()
    model.compile("adam", K.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

def fresh3(): return subclass(keras)
def fresh2(): return subclass(tf_keras)
def odd3(): return subclass(keras, True)
def called3():
    model = subclass(keras); model(np.zeros((1, 4), "float32")); return model
def called2():
    model = subclass(tf_keras); model(np.zeros((1, 4), "float32")); return model

class Two(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)
    def call(self, inputs):
        return {"sum": self.dense(inputs["left"] + inputs["right"]), "left": inputs["left"]}
def two():
    model = Two()
    model({"left": np.zeros((1, 4), "float32"), "right": np.zeros((1, 4), "float32")})
    return model

class Pair(keras.Model):
    def call(self, pair):
        return [pair[0] + pair[1], pair[0] - pair[1]]
def pair():
    model = Pair()
    model([np.zeros((1, 4), "float32"), np.zeros((1, 4), "float32")])
    return model

def attend(x):
    return tf.matmul(tf.nn.softmax(tf.matmul(x, x, transpose_b=True)), x)
class Attention3(keras.layers.Layer):
    def call(self, x): return attend(x)
class Attention2(tf_keras.layers.Layer):
    def call(self, x): return attend(x)
def attentive(K, kind):
    i = K.Input((4,), name="steps")
    h = kind()(K.layers.Reshape((2, 2))(i))
    model = K.Model(i, K.layers.Dense(3)(K.layers.Flatten()(h)))
    model.compile("adam", K.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model
def attentive3(): return attentive(keras, Attention3)
def attentive2(): return attentive(tf_keras, Attention2)

def unbuilt():
    model = keras.Sequential([keras.layers.Dense(3)])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model

class Attend(keras.layers.Layer):
    def call(self, x):
        return tf.matmul(x, x, transpose_b=True)
def attending():
    i = keras.Input((5, 4), name="steps")
    h = keras.layers.Lambda(lambda t: t * 2.0)(Attend()(i))
    return keras.Model(i, keras.layers.Dense(2)(keras.layers.Flatten()(h)))
""")
rng = np.random.default_rng(0)
np.savez("train.npz", x=rng.normal(size=(40, 4)).astype("float32"), y=rng.integers(0, 3, 40))
dataset, _ = from_file(Path("train.npz"), Store(HERE / "store"))
training = Training(dataset, Preprocess(), 1, 8, 0)

def case(label, function, training):
    folder, partial = HERE / "trained" / label, HERE / "partial" / label
    folder.mkdir(parents=True); partial.mkdir(parents=True)
    try:
        facts = train(f"model.py:{function}", HERE, training, partial, folder)
    except EdgekitError as error:
        outcomes[label] = explained(error)
        return
    found = {key: facts[key] for key in ("inputs", "outputs", "generation", "not_saved")}
    found["saved"] = (folder / "model.keras").is_file()
    (folder / "float32").mkdir()
    convert(folder / "saved_model", "float32", None, folder / "float32")
    reference = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    feeds = feeds_of(facts["inputs"], 1, 8, 9)
    wanted = reference(**{name: tf.constant(value) for name, value in feeds.items()})
    answers = run_tflite(folder / "float32" / FILE, feeds)
    found["float32"] = max(float(np.abs(answers[n] - wanted[n].numpy()).max()) for n in wanted)
    model = Model(folder / "model.keras", "keras", facts["generation"], "", own=True)
    try:
        again = load(with_custom_objects(model, HERE / "model.py", HERE))
        found["reloaded"] = type(again).__name__
    except EdgekitError as error:
        found["reloaded"] = explained(error)
    outcomes[label] = found

trained = ("fresh3", "fresh2", "called3", "called2", "odd3", "unbuilt", "attentive3", "attentive2")
for function in trained:
    case(function, function, training)
for function in ("called3", "called2", "two", "pair", "attending"):
    case(function + " as it is", function, None)
for function in ("fresh3", "fresh2", "unbuilt"):
    case(function + " without data", function, None)
'''


@pytest.fixture(scope="session")
def subclassed(shared: Path) -> dict[str, Any]:
    """What training and exporting models of functions came to, by label."""
    folder = once(shared / "subclassed", lambda place: loading.run(place, SUBCLASSED))
    return loading.outcomes(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "label",
    [
        "fresh3",
        "fresh2",
        "called3",
        "called2",
        "odd3",
        "unbuilt",
        "attentive3",
        "attentive2",
        "called3 as it is",
        "called2 as it is",
        "two as it is",
        "pair as it is",
        "attending as it is",
    ],
)
def test_model_without_input_layers_trains_exports_and_converts(
    subclassed: dict[str, Any], label: str
) -> None:
    outcome = subclassed[label]
    assert outcome["float32"] < 1e-5
    for _, shape, dtype in outcome["inputs"]:
        assert shape[0] is None
        assert dtype == "float32"
    assert outcome["saved"] == (outcome["not_saved"] == "")


@pytest.mark.slow
def test_inputs_and_outputs_have_the_names_of_the_model_s_own_code(
    subclassed: dict[str, Any],
) -> None:
    def names(label: str, what: str) -> list[str]:
        return [name for name, _, _ in subclassed[label][what]]

    assert names("called3 as it is", "inputs") == ["x"]
    assert names("two as it is", "inputs") == ["left", "right"]
    assert names("two as it is", "outputs") == ["sum", "left"]
    assert names("pair as it is", "inputs") == ["pair_0", "pair_1"]


@pytest.mark.slow
def test_model_of_own_layers_and_lambdas_reloads_as_trusted(subclassed: dict[str, Any]) -> None:
    assert subclassed["attending as it is"]["reloaded"] == "Functional"
    assert subclassed["called2"]["reloaded"] == "Own2"
    assert subclassed["attentive3"]["reloaded"] == "Functional"
    assert subclassed["attentive2"]["reloaded"] == "Functional"


@pytest.mark.slow
@pytest.mark.parametrize("label", ["fresh3", "fresh2", "unbuilt"])
def test_model_that_was_never_called_says_the_way_on(
    subclassed: dict[str, Any], label: str
) -> None:
    outcome = subclassed[f"{label} without data"]
    assert outcome["error"] == "EK-MODEL-010"
    assert "call it once on a batch" in outcome["hint"]
    assert "keras.Input" in outcome["hint"]


PLANTED = """
import time
from edgekit.models import export, load
from edgekit.worker import at_most

def impatient():
    # So that importing them does not count.
    import keras, tf_keras
    load.SECONDS = export.SECONDS = 6

def hang():
    with at_most(1, "loading m.keras"):
        time.sleep(600)

def work_after():
    with at_most(1, "loading m.keras"):
        pass
    time.sleep(2)
    return "done"
"""
SLOW = """
import time, keras
class Slow(keras.layers.Layer):
    def call(self, x):
        time.sleep(600)
    def compute_output_shape(self, shape):
        return shape
def build():
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of functions that hang, which the worker can import too."""
    (tmp_path / "planted_bounds.py").write_text(PLANTED)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield importlib.import_module("planted_bounds")
    sys.modules.pop("planted_bounds", None)


def test_bounded_part_of_a_call_is_ended_when_it_hangs(planted: Any, tmp_path: Path) -> None:
    with Worker(tmp_path / "log.txt") as worker:
        assert worker.call(planted.work_after) == "done"
        with pytest.raises(WorkerError, match="EK-WORKER-002") as caught:
            worker.call(planted.hang)
        assert caught.value.message == "loading m.keras took longer than its limit of 1 s"


def test_bound_of_the_project_comes_before_the_part_s_own(planted: Any, tmp_path: Path) -> None:
    with Worker(tmp_path / "log.txt", limits=Limits(seconds=3)) as worker:
        with pytest.raises(WorkerError, match="EK-WORKER-002") as caught:
            worker.call(planted.hang)
        assert caught.value.message == "hang took longer than its limit of 3 s"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("    time.sleep(600)\n", "building model.py:build"),
        (
            "    i = keras.Input((4,))\n    return keras.Model(i, Slow()(i))\n",
            "exporting the model",
        ),
    ],
    ids=["function", "layer"],
)
def test_model_that_hangs_is_ended_and_named(
    planted: Any, tmp_path: Path, body: str, what: str
) -> None:
    (tmp_path / "model.py").write_text(SLOW + body)
    (tmp_path / "out").mkdir()
    with Worker(tmp_path / "log.txt") as worker:
        worker.call(planted.impatient)
        arguments = ("model.py:build", tmp_path, None, tmp_path / "part", tmp_path / "out")
        with pytest.raises(WorkerError, match="EK-WORKER-002") as caught:
            worker.call(train, *arguments)
    assert what in caught.value.message
    assert "[limits]" in caught.value.hint


@pytest.mark.slow
def test_architecture_with_own_layers_converts_by_options(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import keras\n"
        "class Twice(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return x * 2.0\n"
    )
    make = (
        "import keras, mine\n"
        "m = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), mine.Twice()])\n"
        "open('net.json', 'w').write(m.to_json()); m.save_weights('trained.weights.h5')\n"
    )
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True, capture_output=True)
    options = ("--weights", "trained.weights.h5", "--no-evaluate", "--precision", "float32")
    refused = edgekit("convert", "net.json", *options, cwd=tmp_path)
    assert refused.returncode == 2
    assert "EK-MODEL-013" in refused.stderr
    assert "Twice" in refused.stderr
    done = edgekit("convert", "net.json", *options, "--custom-objects", "mine.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build/net/float32/model.tflite").is_file()


@pytest.mark.slow
def test_imagenet_without_a_network_names_the_local_file(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import keras\n"
        "def build():\n"
        "    base = keras.applications.MobileNetV2((32, 32, 3), weights='imagenet',"
        " include_top=False)\n"
        "    return keras.Sequential([base, keras.layers.Flatten(), keras.layers.Dense(2)])\n"
    )
    done = edgekit(
        "convert",
        "model.py:build",
        "--no-evaluate",
        "--precision",
        "float32",
        cwd=tmp_path,
        KERAS_HOME=str(tmp_path / "empty"),
        https_proxy="http://127.0.0.1:9",
    )
    assert done.returncode == 2
    assert "EK-PROJECT-008" in done.stderr
    assert "weights='path/to/file.h5'" in done.stderr
