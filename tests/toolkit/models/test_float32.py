"""Models in half precision, of either Keras: rebuilt with float32, proven the same, converted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forking import tensorflow_script

from conftest import once
from edgekit import Project, convert
from edgekit.errors import ModelError
from edgekit.models.float32 import prove
from edgekit.types import Report

MAKE = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, tf_keras, numpy as np
from pathlib import Path
from edgekit.models.export import export_both
folder, data = Path(sys.argv[1]), np.load(sys.argv[2])
x, y = data["x"].astype("float32") / 16, data["y"]

def policy(library, name):
    if library is keras:
        keras.config.set_dtype_policy(name)
    else:
        tf_keras.mixed_precision.set_global_policy(name)

def network(library, name, last="float32"):
    policy(library, name)
    library.utils.set_random_seed(1)
    L = library.layers
    i = library.Input((8, 8, 1), name="image")
    h = L.Conv2D(8, 3)(i)
    h = L.BatchNormalization()(h)
    h = L.ReLU()(h) * 2.0
    h = L.Dense(32, activation="relu")(L.Flatten()(h))
    m = library.Model(i, L.Dense(10, activation="softmax", name="digit", dtype=last)(h))
    m.compile("adam", "sparse_categorical_crossentropy")
    m.fit(x, y, epochs=4, batch_size=16, verbose=0)
    policy(library, "float32")
    return m

mixed = network(keras, "mixed_float16")
mixed.save(folder / "mixed.keras")
export_both(mixed, folder / "mixed", False)
answered = keras.Model(mixed.input, {"answer": keras.ops.argmax(mixed.output, -1)})
export_both(answered, folder / "answered", False)
ids = network(keras, "float32")
order = {"digit": keras.ops.argmax(ids.output, axis=1, keepdims=True),
         "least": keras.ops.argmin(ids.output, -1)}
keras.Model(ids.input, order).save(folder / "ids.keras")
mixed.layers[1].set_weights([w * 1.1 for w in mixed.layers[1].get_weights()])
export_both(mixed, folder / "other", False)
strange = keras.Model(mixed.input, {"answer": keras.ops.argmin(mixed.output, -1)})
export_both(strange, folder / "strange", False)
network(tf_keras, "mixed_bfloat16", last=None).save(folder / "brain.h5")
L = keras.layers
half = L.Dense(16, dtype="float16")
keras.Sequential([keras.Input((8, 8, 1), dtype="float16"), L.Flatten(), half,
                  L.Dense(10, activation="softmax")]).save(folder / "single.keras")
"""


@pytest.fixture(scope="session")
def halves(shared: Path, digits: Path) -> Path:
    """``mixed.keras``, ``brain.h5`` (bfloat16), ``single.keras``, and SavedModels of the first.

    ``ids.keras`` is a float32 model that gives the place of the largest, and of the least.
    """

    def make(folder: Path) -> None:
        tensorflow_script(MAKE, folder, digits / "train.npz")

    return once(shared / "halves", make)


def run(model: Path, items: Path, output: Path, *precisions: str, judged: str = "") -> Report:
    table: dict[str, Any] = {
        "model": {"source": str(model)},
        "data": {"evaluate": str(items), "preprocess": {"scale": "1/16"}},
        "convert": {"precisions": list(precisions)},
        "evaluate": {"output": judged} if judged else {},
    }
    return convert(Project.parse(table, output))


@pytest.mark.slow
@pytest.mark.usefixtures("untimed", "lent_worker")
@pytest.mark.parametrize(
    ("name", "policies", "precisions"),
    [
        ("mixed.keras", ("mixed_float16",), ("float32", "int8")),
        ("brain.h5", ("mixed_bfloat16",), ("int8",)),
        ("single.keras", ("float16",), ("float32",)),
    ],
)
def test_a_model_in_half_precision_converts_and_keeps_its_accuracy(
    halves: Path,
    digits: Path,
    tmp_path: Path,
    name: str,
    policies: tuple[str, ...],
    precisions: tuple[str, ...],
) -> None:
    report = run(halves / name, digits / "test.npz", tmp_path, *precisions)
    assert report.reference.policies == policies
    assert {spec.dtype for spec in report.reference.inputs} == {"float32"}
    for candidate in report.candidates:
        assert candidate.problem == ""
        assert abs(candidate.evaluation.drop["accuracy"].value or 0.0) < 0.03
    assert report.verdict.exit_code == 0
    (said,) = [advice.message for advice in report.advice if advice.code == "EK-NOTE-040"]
    assert policies[0] in said
    assert "judged by the model as trained" in said
    if len(precisions) > 1:
        assert "real items" in said or "real ones" in said


def test_the_twin_is_proven_on_random_and_real_items(
    halves: Path, digits: Path, tmp_path: Path, started_worker: Any
) -> None:
    np.save(tmp_path / "x.npy", np.load(digits / "test.npz")["x"][:16].astype("float32") / 16)
    original, twin = halves / "mixed/saved_model", halves / "mixed/float32/saved_model"
    found = started_worker.call(
        prove, original, twin, ("mixed_float16",), {"image": tmp_path / "x.npy"}
    )
    # Half precision is not exact, and is within what rounding explains.
    assert 0 < found.random < found.tolerance < 0.04
    assert found.items == 16
    assert found.real is not None
    assert 0 < found.real < found.tolerance


def test_classes_that_half_precision_answers_are_proven_by_their_share(
    halves: Path, started_worker: Any
) -> None:
    policies = ("mixed_float16",)
    original, twin = (halves / "answered" / place for place in ("saved_model", "float32"))
    found = started_worker.call(prove, original, twin / "saved_model", policies, {})
    assert 0 <= found.random <= 0.25
    with pytest.raises(ModelError) as raised:
        started_worker.call(prove, original, halves / "strange/float32/saved_model", policies, {})
    assert raised.value.code == "EK-MODEL-041"


@pytest.mark.usefixtures("untimed", "lent_worker")
def test_a_model_that_ends_in_argmax_of_keras_3_converts(
    halves: Path, digits: Path, tmp_path: Path
) -> None:
    items = digits / "test.npz"
    report = run(halves / "ids.keras", items, tmp_path, "float32", "int8", judged="digit")
    assert [one.problem for one in report.candidates] == ["", ""]
    assert report.verdict.exit_code == 0
    assert report.candidates[0].evaluation.drop["accuracy"].value == 0
    (said,) = [advice.message for advice in report.advice if advice.code == "EK-NOTE-090"]
    assert "argmax and argmin" in said


def test_a_saved_model_with_argmax_of_keras_3_names_the_way_on() -> None:
    from edgekit.converters import flex

    found = flex.refusal("TF Select ops: BitwiseAnd\nDetails:\n\ttf.BitwiseAnd(tensor<i32>)")
    assert found is not None
    assert "argmax" in found.hint
    assert ".keras or .h5" in found.hint


def test_a_twin_with_other_weights_is_refused(halves: Path, started_worker: Any) -> None:
    original, other = halves / "mixed/saved_model", halves / "other/float32/saved_model"
    with pytest.raises(ModelError) as raised:
        started_worker.call(prove, original, other, ("mixed_float16",), {})
    assert raised.value.code == "EK-MODEL-041"
    assert "float32 policy" in raised.value.hint


def test_half_precision_in_a_saved_model_names_the_way_on() -> None:
    from edgekit.converters import flex

    listed = "TF Select ops: Conv2D\nDetails:\n\ttf.Conv2D(tensor<1x8x8x1xf16>, tensor<3xf16>)"
    found = flex.refusal(listed)
    assert found is not None
    assert "half precision" in found.message
    assert ".keras or .h5" in found.hint
    whole = flex.refusal(listed.replace("xf16", "xf32"))
    assert whole is not None
    assert "half precision" not in whole.message
