"""Small weights, id inputs and lookups: what a precision can be of them is what counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script

from conftest import once
from edgekit import Project, convert
from edgekit.api import Options
from edgekit.converters import flatbuffer
from edgekit.converters.quantization.editing import with_builtin_codes
from edgekit.types import Report

MAKE = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
from pathlib import Path
folder = Path(sys.argv[1])
keras.utils.set_random_seed(0)
L = keras.layers
r = np.random.default_rng(0)
def solved(model, x):
    # Labels that the last layer tells apart, and its weights by least squares: as good as training,
    # without its seconds.
    *_, dense = model.layers
    hidden = np.asarray(keras.Model(model.inputs, dense.input)(x), "float64")
    feature = hidden[:, hidden.var(axis=0).argmax()]
    y = (feature > np.median(feature)).astype("int64")
    wanted = 6.0 * np.eye(2)[y] - 3.0
    found, *_ = np.linalg.lstsq(np.c_[hidden, np.ones(len(x))], wanted, rcond=None)
    dense.set_weights([found[:-1], found[-1]])
    assert (np.asarray(model(x)).argmax(1) == y).mean() > 0.9
    return y
x = r.integers(0, 60, (300, 12)).astype("int32")
i = keras.Input((12,), dtype="int32", name="ids")
table = L.Embedding(60, 24)
h = L.GlobalAveragePooling1D()(table(i))
m = keras.Model(i, L.Dense(2, activation="softmax")(L.Dense(48, activation="relu")(h)))
table.set_weights([np.outer(np.linspace(-1, 1, 60), np.ones(24)) + r.normal(0, 0.1, (60, 24))])
y = solved(m, x)
m.save(folder / "ids.keras"); np.savez(folder / "ids.npz", ids=x, y=y)
x = r.normal(size=(300, 16, 2)).astype("float32")
m = keras.Sequential([keras.Input((16, 2)), L.Conv1D(8, 3, padding="causal", dilation_rate=2),
                      L.ReLU(), L.GlobalAveragePooling1D(), L.Dense(2, activation="softmax")])
y = solved(m, x)
wide = keras.Sequential([keras.Input((4,)), L.Dense(1500, activation="relu"), L.Dense(2)])
wide.save(folder / "wide.keras"); np.savez(folder / "wide.npz", x=x[:, :2].reshape(300, 4))
z, a = keras.Input((4,), name="z_left"), keras.Input((4,), name="a_right")
h, g = L.Dense(32, activation="relu")(z), L.Dense(32, activation="relu")(a)
outputs = [L.Dense(32, name=n)(one) for n, one in (("zeta", h), ("alpha", g), ("mid", h - g))]
keras.Model([z, a], outputs).save(folder / "order.keras")
np.savez(folder / "order.npz", **{n: r.normal(size=(40, 4)).astype("float32")
                                  for n in ("z_left", "a_right")})
m.save(folder / "small.keras"); np.savez(folder / "small.npz", x=x, y=y)
"""

pytestmark = pytest.mark.usefixtures("untimed", "lent_worker")


@pytest.fixture(scope="session")
def small(shared: Path) -> Path:
    """``ids.keras`` (an embedding of 1,440 weights) and ``small.keras``, with their items."""

    def make(folder: Path) -> None:
        tensorflow_script(MAKE, folder)

    return once(shared / "small-and-ids", make)


def run(folder: Path, name: str, output: Path, *precisions: str) -> Report:
    table: dict[str, Any] = {
        "model": {"source": str(folder / f"{name}.keras")},
        "data": {"evaluate": str(folder / f"{name}.npz")},
        "convert": {"precisions": list(precisions)},
    }
    return convert(Project.parse(table, output))


def test_ids_stay_integers_and_a_lookup_is_no_arithmetic(small: Path, tmp_path: Path) -> None:
    report = run(small, "ids", tmp_path, "dynamic", "int8")
    assert {one.precision: one.problem for one in report.candidates} == {"dynamic": "", "int8": ""}
    (int8,) = [one for one in report.candidates if one.precision == "int8"]
    assert int8.path is not None
    assert [tensor.dtype for tensor in flatbuffer.read(int8.path).inputs] == ["INT32"]
    assert report.verdict.exit_code == 0


def test_weights_under_1024_elements_are_quantized_the_other_way(
    small: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ai_edge_quantizer")
    report = run(small, "small", tmp_path, "dynamic")
    (one,) = report.candidates
    assert (one.problem, report.verdict.exit_code) == ("", 0)
    assert one.path is not None
    assert "INT8" in flatbuffer.read(one.path).weights
    # Executed where it goes, so that a kernel that reads it wrongly would be seen.
    assert all(found.status.value != "incompatible" for found in one.evaluation.runtimes)
    (said,) = [advice.message for advice in report.advice if advice.code == "EK-NOTE-041"]
    assert "fewer than 1,024 elements" in said


def test_a_file_of_scales_is_said_to_be_one(small: Path, tmp_path: Path) -> None:
    table = {
        "model": {"source": str(small / "wide.keras")},
        "data": {"representative": {"from": str(small / "wide.npz")}},
        "convert": {"precisions": ["int8", "dynamic"]},
    }
    report = convert(Project.parse(table, tmp_path), Options(evaluate=False))
    candidate, dynamic = report.candidates
    assert candidate.path is not None
    # 1,500 outputs and 2: a scale and a zero point each, of weights and of biases.
    wanted = flatbuffer.read(candidate.path).scale_bytes
    assert 1500 * 12 <= wanted <= 2 * 1502 * 12
    (found,) = [advice for advice in report.advice if advice.code == "EK-NOTE-044"]
    assert f"{wanted:,} of the {candidate.bytes:,} bytes of int8" in found.message
    # Larger than the other that was made: what would do instead is said with its size.
    assert dynamic.bytes < candidate.bytes
    assert f"({dynamic.id} has {dynamic.bytes:,})" in found.message
    assert found.severity == "warning"


def test_operators_in_the_old_field_alone_are_put_where_readers_look(
    converted: Path, tmp_path: Path
) -> None:
    from edgekit.converters import tflite
    from edgekit.converters.quantization.editing import pack, unpack

    model = unpack((converted / "float32.tflite").read_bytes())
    for code in model.operatorCodes:
        code.builtinCode = 0
    old = tmp_path / "old.tflite"
    old.write_bytes(pack(model))
    assert with_builtin_codes(old.read_bytes()) != old.read_bytes()
    tflite.convert_float(old, "dynamic", None, tmp_path)
    assert "INT8" in flatbuffer.read(tmp_path / "model.tflite").weights
    new = (tmp_path / "model.tflite").read_bytes()
    assert with_builtin_codes(new) == new


def test_inputs_and_outputs_come_in_the_models_own_order(small: Path, tmp_path: Path) -> None:
    """Whoever reads by position, as much code does, meets the output that Keras gives there."""
    table: dict[str, Any] = {
        "model": {"source": str(small / "order.keras")},
        "data": {"representative": {"from": str(small / "order.npz"), "samples": 40}},
        "convert": {"precisions": ["float32", "float16", "dynamic", "int8"]},
    }
    report = convert(Project.parse(table, tmp_path), Options(evaluate=False))
    for candidate in report.candidates:
        assert candidate.path is not None, candidate.problem
        file = flatbuffer.read(candidate.path)
        (signature,) = file.signatures
        for names, found in (
            (["z_left", "a_right"], [tensor.index for tensor in file.inputs]),
            (["zeta", "alpha", "mid"], [tensor.index for tensor in file.outputs]),
        ):
            known = signature.inputs if "z_left" in names else signature.outputs
            assert [known[name] for name in names] == found, candidate.id
