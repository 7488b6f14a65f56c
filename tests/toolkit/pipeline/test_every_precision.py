"""From the command line: crashes that name their layer, garbage that is caught, Flex."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forking import tensorflow_script

from conftest import Run, answer, edgekit, once
from edgekit.converters.quantization import edge_quantizer
from edgekit.pipeline import Options, convert
from edgekit.project import Project
from edgekit.types import Silent, Status

BUILD = """
import sys, keras
L, folder = keras.layers, sys.argv[1]
i = keras.Input((8, 8, 1), name="image")
def head(h):
    return L.Dense(10, activation="softmax", name="digit")(h)
keras.Model(i, head(L.GRU(32, name="reader")(L.Reshape((8, 8))(i)))).save(f"{folder}/gru.keras")
flat = L.Flatten()(i)
h = keras.ops.cast(keras.ops.fft((flat, keras.ops.zeros_like(flat)))[0], "float32")
keras.Model(i, head(h)).save(f"{folder}/fft.keras")
"""
PLANTED = """
from edgekit.converters.quantization import edge_quantizer

def quantize(*arguments):
    # As ai-edge-quantizer leaves the file: version 1 on every operator.
    edge_quantizer.stamp_versions = lambda content: content
    return edge_quantizer.quantize(*arguments)
"""


@pytest.fixture(scope="session")
def odd(shared: Path) -> Path:
    """``gru.keras``, and ``fft.keras``, which needs operators of TensorFlow's own."""

    def make(folder: Path) -> None:
        tensorflow_script(BUILD, folder)

    return once(shared / "odd-precisions", make)


def run(
    folder: Path, model: Path, digits: Path, *options: str, command: Run = edgekit
) -> tuple[int, Any]:
    done = command(
        "convert",
        model,
        "--data",
        digits / "test.npz",
        "--rescale",
        "1/16",
        "--no-evaluate",
        "--json",
        *options,
        cwd=folder,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def problems(report: Any) -> dict[str, str]:
    return {one["precision"]: one["problem"] for one in report["candidates"]}


@pytest.mark.slow
def test_gru_in_int8_names_its_layer_and_the_others_come_out(
    tmp_path: Path, odd: Path, digits: Path
) -> None:
    code, report = run(tmp_path, odd / "gru.keras", digits)
    found = problems(report)
    assert found.pop("int8").startswith("EK-CONVERT-006 at int8 TensorFlow's converter was ended")
    (int8,) = [one for one in report["candidates"] if one["precision"] == "int8"]
    assert "'reader' (GRU)" in int8["problem"]
    assert "--unroll" in int8["problem"]
    assert found == {"float32": "", "float16": "", "dynamic": ""}
    assert (tmp_path / "build/gru/dynamic@tflite-2.14/model.tflite").is_file()
    assert code == 0


@pytest.mark.slow
@pytest.mark.usefixtures("lent_worker")
def test_model_that_needs_flex_is_refused_by_operator_or_unavailable(
    tmp_path: Path, odd: Path, digits: Path
) -> None:
    asked = ("--precision", "float32")
    code, report = run(tmp_path, odd / "fft.keras", digits, *asked, command=answer)
    said = problems(report)["float32"]
    assert said.startswith("EK-CONVERT-007 the model needs TensorFlow operators that TFLite lacks")
    assert "FFT" in said
    assert "--flex" in said
    assert code == 5
    code, report = run(tmp_path, odd / "fft.keras", digits, *asked, "--flex", command=answer)
    (one,) = report["candidates"]
    assert one["problem"].startswith("unavailable, because it holds TensorFlow's operators")
    assert (one["status"], code) == ("unavailable", 3)
    assert (tmp_path / "build/fft/float32/model.tflite").is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("untimed")
def test_garbage_on_an_old_runtime_is_caught(
    tmp_path: Path, models: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tflite_runtime")
    (tmp_path / "planted_quantizer.py").write_text(PLANTED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    import planted_quantizer

    monkeypatch.setattr(edge_quantizer, "quantize", planted_quantizer.quantize)
    table = {
        "model": {"source": str(models / "keras3.keras")},
        "data": {"evaluate": str(digits / "test.npz"), "preprocess": {"scale": "1/16"}},
        "convert": {"precisions": ["mixed"], "mixed": [{"precision": "dynamic"}]},
    }
    report = convert(Project.parse(table, tmp_path), Options(output=tmp_path), Silent())
    (one,) = report.candidates
    found = {result.runtime: result for result in one.evaluation.runtimes}
    assert found["litert"].status is Status.PASSED
    assert found["tflite-runtime"].status is Status.INCOMPATIBLE
    assert found["tflite-runtime"].message.startswith("its answers are worse")
    assert [target.candidate for target in report.targets] == [None]


def test_precision_without_its_quantizer_says_how_to_get_it(
    tmp_path: Path, models: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.errors import DeviceError

    monkeypatch.setattr(edge_quantizer, "installed", lambda: False)
    table = {
        "model": {"source": str(models / "keras3.keras")},
        "data": {"evaluate": str(digits / "test.npz")},
        "convert": {"precisions": ["float32", "int4"]},
    }
    with pytest.raises(DeviceError) as caught:
        convert(Project.parse(table, tmp_path), Options(output=tmp_path), Silent())
    assert caught.value.code == "EK-CONVERT-010"
    assert "pip install 'edgekit[quantizer]'" in caught.value.message


def test_mixed_without_a_recipe_is_refused(tmp_path: Path, models: Path, digits: Path) -> None:
    done = answer(
        "convert",
        models / "keras3.keras",
        "--data",
        digits / "test.npz",
        "--precision",
        "mixed",
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "EK-PROJECT-014" in done.stderr


@pytest.mark.parametrize(
    ("dtype", "zero", "expected"),
    [("uint8", 128, [128, 192, 255, 255]), ("int16", 0, [0, 64, 128, 256])],
)
def test_integer_inputs_are_fed_by_their_own_scale(
    dtype: str, zero: int, expected: list[int]
) -> None:
    from edgekit.targets.runners import python_runner

    info = python_runner.TensorInfo(0, (1, 4), dtype, 1 / 128, zero)
    raw = np.array([[0.0, 0.5, 1.0, 2.0]], np.float32)
    assert python_runner.encode(raw, info, {}).tolist() == [expected]
    assert python_runner.decode(np.array([zero], dtype), info).tolist() == [0.0]
