"""Files that the converter made of the tests' models, once for all test processes."""

from __future__ import annotations

from pathlib import Path

from forking import tensorflow_script

CONVERT = """
import json, sys
from pathlib import Path
import keras, numpy as np, tf_keras
from edgekit.converters import flatbuffer
from edgekit.converters.precisions import PRECISIONS
from edgekit.converters.quantization import (
    calibration, edge_quantizer, editing, tensorflow_recipe, post_training,
)
from edgekit.converters.quantization.recipe import Rule
from edgekit.converters.tflite import FILE, convert
from edgekit.errors import EdgekitError
from edgekit.models.export import export_keras
from edgekit.types import Conversion

folder, models, digits = map(Path, sys.argv[1:])
x = np.load(digits / "train.npz")["x"].astype("float32") / 16
np.save(folder / "representative.npy", x[:100])
np.save(folder / "one.npy", x[:1])
np.save(folder / "none.npy", x[:0])

def exported(name, model):
    place = folder / name
    place.mkdir()
    export_keras(model, place, True)
    return place / "saved_model"

outcomes = {}

def outcome(label, work):
    place = folder / label
    place.mkdir(exist_ok=True)
    try:
        work(place)
        (place / FILE).rename(folder / f"{label}.tflite")
        outcomes[label] = ""
    except EdgekitError as error:
        outcomes[label] = error.code + " " + error.message

def converted(label, saved_model, precision, feed=None, **settings):
    files = feed and {name: folder / file for name, file in feed.items()}
    conversion = Conversion(**settings)
    outcome(label, lambda place: convert(saved_model, precision, files, place, conversion))

network = keras.saving.load_model(models / "keras3.keras", compile=False)
tiny = exported("tiny", network)
IMAGE = {"image": folder / "representative.npy"}
base = folder / "float32.tflite"
for precision, row in PRECISIONS.items():
    if row.configure:
        converted(precision, tiny, precision, {"image": "representative.npy"})
    elif row.rules:
        outcome(precision, lambda place: edge_quantizer.quantize(base, row.rules, {}, place))
converted("dynamic@tflite-2.14", tiny, "dynamic", per_channel_dense=False)
whole = {"granularity": "per-tensor"}
converted("int8@per-tensor", tiny, "int8", {"image": "representative.npy"}, **whole)

def by_edge_quantizer(label, *rules):
    outcome(label, lambda place: edge_quantizer.quantize(base, rules, IMAGE, place))

def by_tensorflow(label, *rules):
    ranges = folder / "ranges" / calibration.FILE
    outcome(label, lambda place: tensorflow_recipe.quantize(base, rules, ranges, True, place))

(folder / "ranges").mkdir()
calibration.calibrate(base, IMAGE, folder / "ranges")
softmax = Rule("float32", operator="SOFTMAX")
by_tensorflow("mixed", Rule("int8"), softmax)
by_tensorflow("mixed-later-wins", softmax, Rule("int8"))
first = Rule("float32", name="conv2d"), Rule("int8", name="conv2d_1_2")
by_tensorflow("mixed-by-name", Rule("int8"), *first)
by_tensorflow("mixed-nothing", Rule("float32"))
by_tensorflow("mixed-unknown", Rule("int8", operator="CONV_3D"))
by_tensorflow("mixed-no-match", Rule("int8", name="digti"))
by_edge_quantizer("mixed-int4", Rule("int8"), Rule("int4", operator="FULLY_CONNECTED"))
by_edge_quantizer("mixed-unable", Rule("int4", operator="SOFTMAX"))
by_edge_quantizer("quantizer-dynamic", Rule("dynamic"))

# As ai-edge-quantizer leaves it: version 1 on every operator.
stamp = edge_quantizer.stamp_versions
edge_quantizer.stamp_versions = lambda content: content
by_edge_quantizer("quantizer-raw", Rule("dynamic"))
edge_quantizer.stamp_versions = stamp
converted("int8-none", tiny, "int8")
converted("int8-empty", tiny, "int8", {"image": "none.npy"})
converted("int8-one", tiny, "int8", {"image": "one.npy"})

prelu = keras.saving.load_model(models / "prelu.keras", compile=False)
name = prelu.inputs[0].name
# At its first value, zero, the converter makes a ReLU of it.
layer = prelu.get_layer("odd")
layer.set_weights([np.full_like(layer.get_weights()[0], 0.25)])
converted("prelu-int8", exported("prelu", prelu), "int8", {name: "representative.npy"})

i = keras.Input((8, 8, 1), name="image")
h = keras.layers.ELU()(keras.layers.Conv2D(16, 3)(i))
elu = keras.Model(i, keras.layers.Dense(10)(keras.layers.Flatten()(h)))
converted("elu-int8", exported("elu", elu), "int8", {"image": "representative.npy"})

h = keras.layers.LayerNormalization()(keras.layers.Dense(8)(i))
h = keras.layers.Dense(8, activation="gelu")(keras.layers.GroupNormalization(2)(h))
squared = keras.layers.Dense(4)(keras.ops.square(keras.layers.Dense(4)(h)))
norms = keras.Model(i, {"squared": squared, "largest": keras.ops.argmax(squared, -1)})
norms = exported("norms", norms)
for precision in ("float32", "int8", "int8-float-io"):
    converted(f"norms-{precision}", norms, precision, {"image": "representative.npy"})
calibration.calibrate(folder / "norms-float32.tflite", IMAGE, folder / "norms")
ranges = folder / "norms" / calibration.FILE
negative = [step.name for step in editing.main_operators(editing.unpack(ranges.read_bytes()))
            if step.kind == "NEG"]
outcome("norms-kept", lambda place: post_training.quantize(ranges, place, keep_float=negative[:1]))

i = keras.Input((8, 8, 1), name="image", dtype="uint8")
h = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(i))
odds = keras.layers.Dense(3, name="odds")(keras.layers.Flatten()(h))
picture = exported("bytes", keras.Model(i, odds))
np.save(folder / "bytes.npy", (x[:100] * 255).astype("uint8"))
for precision in ("float32", "int8", "uint8-io"):
    converted(f"bytes-{precision}", picture, precision, {"image": "bytes.npy"})

i = keras.Input((8,), name="x")
sinh = exported("odd", keras.Model(i, keras.layers.Dense(2)(keras.ops.sinh(i))))
converted("custom-refused", sinh, "float32")
converted("custom-allowed", sinh, "float32", custom_operators=("Sinh",))
converted("custom-other", sinh, "float32", custom_operators=("Other",))

keras.utils.set_random_seed(1)
# Keras 2's LSTM becomes one fused operator with variables; Keras 3's does not.
i = tf_keras.Input((6, 4), name="steps")
lstm = tf_keras.Model(i, tf_keras.layers.Dense(3, name="score")(tf_keras.layers.LSTM(16)(i)))
converted("lstm", exported("stateful", lstm), "float32")
steps = np.random.default_rng(1).normal(size=(20, 6, 4)).astype("float32")
np.save(folder / "steps.npy", steps)
np.save(folder / "steps-score.npy", np.asarray(lstm(steps)))

test = np.load(digits / "test.npz")["x"][:100]
np.save(folder / "test.npy", test)
np.save(folder / "test-digit.npy", np.asarray(network(test.astype("float32") / 16)))
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""


def make(folder: Path, models: Path, digits: Path) -> None:
    """Fill ``folder``: a ``.tflite`` for each precision of the trained network, and odd ones.

    ``quantizer-raw.tflite`` is as ai-edge-quantizer writes it, ``quantizer-dynamic`` as edgekit
    does; ``mixed*`` are recipes.

    ``outcomes.json`` says by name how each conversion went: nothing, or the error. ``test.npy``
    holds 100 raw digits and ``test-digit.npy`` Keras's answers for them scaled by 1/16;
    ``steps.npy`` and ``steps-score.npy`` the same for ``lstm.tflite``, which keeps state.
    """
    tensorflow_script(CONVERT, folder, models, digits)
