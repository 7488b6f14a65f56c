"""Recurrent layers without their loop: the same answers, and int8 that calibrates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script

from conftest import edgekit, once

SCRIPT = """
import json, sys
from pathlib import Path
import keras, tf_keras, numpy as np
from edgekit.converters import flatbuffer
from edgekit.converters.tflite import FILE, convert
from edgekit.errors import EdgekitError
from edgekit.models.export import export
from edgekit.types import Model

folder = Path(sys.argv[1])
series = np.random.default_rng(0).normal(size=(20, 6, 4)).astype("float32")
np.save(folder / "series.npy", series)
outcomes = {}

def answers(file):
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()
    runner, found = interpreter.get_signature_runner(), []
    for one in series:
        interpreter.reset_all_variables()
        found.append(next(iter(runner(series=one[None]).values()))[0])
    return np.array(found)

def exported(label, path, generation, unrolled):
    place = folder / f"{label}-{unrolled}"
    place.mkdir()
    export(Model(path, "h5", generation, "0" * 64), place, False, unrolled=unrolled)
    convert(place / "saved_model", "float32", None, place)
    return place

for k, generation in ((keras, "keras3"), (tf_keras, "keras2")):
    layers = k.layers
    k.utils.set_random_seed(1)
    kinds = {
        "lstm": layers.LSTM(8), "gru": layers.GRU(8, return_sequences=True),
        "bidirectional": layers.Bidirectional(layers.GRU(8)),
    }
    for name, layer in kinds.items():
        label = f"{generation}-{name}"
        taken = k.Input((6, 4), name="series")
        path = folder / f"{label}.h5"
        k.Model(taken, layers.Dense(2)(layer(taken))).save(path)
        rolled = exported(label, path, generation, True)
        plain = exported(label, path, generation, False)
        difference = float(np.abs(answers(rolled / FILE) - answers(plain / FILE)).max())
        loops = [o.name for o in flatbuffer.read(rolled / FILE).operators if o.name == "WHILE"]
        convert(rolled / "saved_model", "int8", {"series": folder / "series.npy"}, rolled)
        floats = flatbuffer.read(rolled / FILE).float_operators
        outcomes[label] = [difference, loops, list(floats)]

free = keras.Input((None, 4), name="series")
keras.Model(free, keras.layers.GRU(3, name="counter")(free)).save(folder / "free.h5")
try:
    exported("free", folder / "free.h5", "keras3", True)
except EdgekitError as error:
    outcomes["free"] = str(error)
(folder / "outcomes.json").write_text(json.dumps(outcomes))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def outcomes(shared: Path) -> dict[str, Any]:
    def make(folder: Path) -> None:
        (folder / "script.py").write_text(SCRIPT)
        tensorflow_script(folder / "script.py", folder)

    return dict(json.loads((once(shared / "unrolled", make) / "outcomes.json").read_text()))


@pytest.mark.parametrize("layer", ["lstm", "gru", "bidirectional"])
@pytest.mark.parametrize("generation", ["keras3", "keras2"])
def test_unrolled_layers_answer_alike_and_calibrate(
    outcomes: dict[str, Any], generation: str, layer: str
) -> None:
    difference, loops, floats = outcomes[f"{generation}-{layer}"]
    assert difference < 1e-6
    assert loops == []
    # The first step splits a constant, which the quantizer leaves float in some runs.
    assert {name.split()[0] for name in floats} <= {"SPLIT", "DEQUANTIZE"}


def test_unroll_names_the_layer_whose_steps_are_free(outcomes: dict[str, Any]) -> None:
    assert "EK-MODEL-020" in outcomes["free"]
    assert "counter cannot be unrolled" in outcomes["free"]


def test_unroll_is_refused_when_the_model_has_no_layers(models: Path, tmp_path: Path) -> None:
    done = edgekit(
        "convert",
        models / "saved_model",
        "--unroll",
        "--no-evaluate",
        "--precision",
        "float32",
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "it has no layers to unroll" in done.stderr
