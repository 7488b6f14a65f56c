"""What an output ends in is seen in the SavedModel and in the file, as each Keras writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script
from tflite_files import G, N, T, build

from edgekit.converters import flatbuffer
from edgekit.converters.last_operators import last_operators

MODELS = """
import json, sys
from pathlib import Path
import keras, tensorflow as tf, tf_keras
from edgekit.models.output_activation import output_activations

def normed(K):
    x = K.Input((4,))
    return K.Model(x, K.layers.UnitNormalization()(K.layers.Dense(3)(x)))
def scaled():
    x = keras.Input((4,))
    return keras.Model(x, keras.ops.normalize(keras.layers.Dense(3)(x)))
MODELS = {
    "keras": normed(keras),
    "tf_keras": normed(tf_keras),
    "ops": scaled(),
    "tf": lambda x: tf.math.l2_normalize(x, axis=-1),
    "turned": lambda x: tf.math.rsqrt(tf.reduce_sum(x * x, -1, keepdims=True)) * x,
    "divided": lambda x: x / tf.norm(x, axis=-1, keepdims=True),
    "by its mean": lambda x: x / tf.sqrt(tf.reduce_mean(x * x, -1, keepdims=True)),
    "doubled": lambda x: x * 2.0,
    "times a sum": lambda x: x * tf.reduce_sum(x, -1, keepdims=True),
    "keras dense": keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]),
}
last = {}
for name, model in MODELS.items():
    def call(x, model=model):
        return {"y": model(x)}
    function = tf.function(call, input_signature=[tf.TensorSpec((1, 4), name="x")])
    concrete = function.get_concrete_function()
    last[name] = output_activations(concrete)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], function)
    (Path(sys.argv[1]) / f"{name}.tflite").write_bytes(converter.convert())
(Path(sys.argv[1]) / "last.json").write_text(json.dumps(last))
"""
NORMED = ("keras", "tf_keras", "ops", "tf", "turned", "divided")
OTHERS = ("by its mean", "doubled", "times a sum", "keras dense")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ends")
    tensorflow_script(MODELS, folder)
    return folder


@pytest.mark.parametrize("name", [*NORMED, *OTHERS])
def test_vectors_of_length_one_are_known_in_the_model_and_in_its_file(
    made: Path, name: str
) -> None:
    last: dict[str, Any] = json.loads((made / "last.json").read_text())
    expected = "unit norm" if name in NORMED else ""
    assert list(last[name].values()) == [expected]
    file = flatbuffer.read(made / f"{name}.tflite")
    assert list(last_operators(file).values()) == [expected]


@pytest.mark.hostile
@pytest.mark.parametrize(
    "nodes",
    [
        [N("RESHAPE", ["y"], ["y"], 1)],
        [N("SUM", ["a"], ["a"], 1), N("MUL", ["x", "a"], ["y"], 1)],
        [N("RESHAPE", [], ["y"], 1)],
        [N("SUM", [], ["a"], 1), N("MUL", ["x", "a"], ["y"], 1)],
        [N("DIV", [], ["y"], 1)],
    ],
    ids=["circle", "circle of a norm", "nothing", "norm of nothing", "quotient of nothing"],
)
def test_file_whose_operators_go_in_a_circle_or_read_nothing_is_looked_at_in_the_end(
    nodes: list[N],
) -> None:
    tensors = [T(name, [1, 4]) for name in "xay"]
    content = build(G(tensors, nodes, ["x"], ["y"], "serving_default"))
    assert dict(last_operators(flatbuffer.parse(content, "planted"))) == {"y": ""}
