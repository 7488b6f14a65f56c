"""Files that the quantization tests look at, made once for all test processes."""

from __future__ import annotations

from pathlib import Path

from forking import tensorflow_script

QUANTIZE = """
import json, sys
from pathlib import Path
import keras, numpy as np
from edgekit.converters.quantization import calibration, post_training
from edgekit.converters.tflite import convert
from edgekit.errors import EdgekitError
from edgekit.models.export import export_keras

folder = Path(sys.argv[1])
outcomes = {}

def place(name):
    made = folder / name
    made.mkdir(exist_ok=True)
    return made

keras.utils.set_random_seed(0)
# The signature's names sort otherwise than the graph's inputs come.
left, right = keras.Input((8, 8, 1), name="picture"), keras.Input((4,), name="extra")
h = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(left)
d = keras.layers.ReLU()(keras.layers.DepthwiseConv2D(3, padding="same")(h))
h = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()([h, d]))
h = keras.layers.Concatenate()([h, keras.layers.Dense(4)(right)])
o = keras.layers.Dense(10, activation="softmax", name="digit")(h)
network = keras.Model([left, right], [o, keras.layers.Dense(3, name="other")(h)])
export_keras(network, place("network"), True)
saved_model = folder / "network" / "saved_model"
random = np.random.default_rng(0)
np.save(folder / "picture.npy", random.random((40, 8, 8, 1), dtype=np.float32))
np.save(folder / "extra.npy", 3 * random.random((40, 4), dtype=np.float32))
np.save(folder / "one.npy", random.random((1, 4), dtype=np.float32))
feeds = {"picture": folder / "picture.npy", "extra": folder / "extra.npy"}
for precision in ("float32", "int8"):
    convert(saved_model, precision, feeds, place(precision))
model = folder / "float32" / "model.tflite"
facts = calibration.calibrate(model, feeds, place("calibrated"))
(folder / "facts.json").write_text(json.dumps(facts))

def outcome(name, work, *arguments, **settings):
    try:
        work(*arguments, **settings)
        outcomes[name] = ""
    except EdgekitError as error:
        outcomes[name] = f"{error.code} {error.message}"

calibrated = folder / "calibrated" / "calibrated.tflite"
quantize = post_training.quantize
first = next(name for kind, name in facts["operators"] if kind == "DEPTHWISE_CONV_2D")
outcome("same", quantize, calibrated, place("same"))
outcome("float-io", quantize, calibrated, place("float-io"), inputs="float32", outputs="float32")
outcome("uint8-io", quantize, calibrated, place("uint8-io"), inputs="uint8", outputs="uint8")
outcome("kept", quantize, calibrated, place("kept"), keep_float=[first])
outcome("per-tensor", quantize, calibrated, place("per-tensor"), per_channel=False)
outcome("unknown", quantize, calibrated, place("unknown"), keep_float=["nothing"])
missing, few = {"picture": feeds["picture"]}, {**feeds, "extra": folder / "one.npy"}
outcome("missing", calibration.calibrate, model, missing, place("missing"))
outcome("few", calibration.calibrate, model, few, place("few"))
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""


def make(folder: Path) -> None:
    """Fill ``folder``: a network of two inputs in float, calibrated, and quantized in many ways.

    ``<name>/model.tflite`` each; ``outcomes.json`` says by name how it went: nothing, or the error;
    ``facts.json`` is what calibration told.
    """
    tensorflow_script(QUANTIZE, folder)
