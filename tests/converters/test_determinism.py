"""The same model gives the same bytes; what a file computes is told from how it is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgekit.converters import flatbuffer
from edgekit.targets.runners.probe import probe_model

TWICE = """
import sys
from pathlib import Path
import keras, numpy as np
from edgekit.converters.tflite import convert
from edgekit.models.export import export_keras

folder = Path(sys.argv[1])
keras.utils.set_random_seed(1)
layers = keras.layers
image, other = keras.Input((8, 8, 3), name="image"), keras.Input((6, 4), name="series")
h = layers.DepthwiseConv2D(3, activation="relu")(layers.Conv2D(8, 3, activation="relu")(image))
h = layers.Concatenate()([layers.Flatten()(h), layers.Flatten()(other)])
two = keras.Model([image, other], [layers.Dense(4, name="a")(h), layers.Dense(2, name="b")(h)])
loop = keras.Model(other, layers.Dense(3)(layers.LSTM(8)(other)))
rng = np.random.default_rng(0)
shapes = {"image": (8, 8, 3), "series": (6, 4)}
for name, shape in shapes.items():
    np.save(folder / f"{name}.npy", rng.normal(size=(20, *shape)).astype("float32"))
feeds = {name: folder / f"{name}.npy" for name in shapes}
for name, model, precisions in (
    ("two", two, ("float32", "float16", "dynamic", "int8")), ("loop", loop, ("float32", "dynamic")),
):
    export_keras(model, folder / name, False)
    for precision in precisions:
        place = folder / name / precision
        place.mkdir()
        convert(folder / name / "saved_model", precision, feeds, place)
"""


@pytest.mark.slow
def test_converting_gives_the_same_bytes_in_two_processes(tmp_path: Path) -> None:
    script = tmp_path / "twice.py"
    script.write_text(TWICE)
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        subprocess.run(
            [sys.executable, script, tmp_path / seed],
            env={**os.environ, "PYTHONHASHSEED": seed, "TF_USE_LEGACY_KERAS": "0"},
            check=True,
            capture_output=True,
            timeout=300,
        )
    files = sorted((tmp_path / "1").rglob("*.tflite"))
    assert len(files) == 6
    for file in files:
        other = tmp_path / "2" / file.relative_to(tmp_path / "1")
        assert file.read_bytes() == other.read_bytes(), file


def rebuilt(**changes: object) -> flatbuffer.TFLiteFile:
    """The probe model with its first tensor changed, packed anew."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(probe_model(), 0))
    for name, value in changes.items():
        setattr(model.subgraphs[0].tensors[0], name, value)
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), b"TFL3")
    return flatbuffer.parse(bytes(builder.Output()), "probe")


def test_semantic_hash_is_the_same_when_only_names_differ() -> None:
    plain, named = rebuilt(), rebuilt(name=b"another")
    assert plain != named
    assert flatbuffer.semantic_hash(plain) == flatbuffer.semantic_hash(named)


@pytest.mark.parametrize(
    "change", [{"shape": [1, 5]}, {"type": 9}, {"isVariable": True}, {"shapeSignature": [-1, 4]}]
)
def test_semantic_hash_differs_when_what_is_computed_differs(change: dict[str, object]) -> None:
    assert flatbuffer.semantic_hash(rebuilt()) != flatbuffer.semantic_hash(rebuilt(**change))
