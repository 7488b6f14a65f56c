"""Calibrating once and quantizing many times, against TensorFlow's converter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quantizing
from ai_edge_litert.interpreter import Interpreter

from conftest import once
from edgekit.converters import flatbuffer


@pytest.fixture(scope="session")
def quantized(shared: Path) -> Path:
    return once(shared / "quantized", quantizing.make)


def outcome(folder: Path, name: str) -> str:
    return str(json.loads((folder / "outcomes.json").read_text())[name])


def answers(path: Path, feeds: dict[str, Any]) -> dict[str, Any]:
    runner = Interpreter(model_path=str(path)).get_signature_runner()
    count = len(next(iter(feeds.values())))
    rows = [
        {
            name: out.copy()
            for name, out in runner(
                **{name: array[at : at + 1] for name, array in feeds.items()}
            ).items()
        }
        for at in range(count)
    ]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def per_channel(path: Path) -> set[str]:
    """The kinds of operators whose weights have a scale for each channel."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    sizes = [len(t["quantization_parameters"]["scales"]) for t in interpreter.get_tensor_details()]
    weights = [t for t, n in zip(interpreter.get_tensor_details(), sizes, strict=True) if n > 1]
    return {
        "dense" if len(tensor["shape"]) == 2 else "conv"
        for tensor in weights
        if tensor["dtype"] is np.int8
    }


def test_int8_answers_bit_for_bit_as_the_converters_own(quantized: Path) -> None:
    random = np.random.default_rng(1)
    feeds = {
        "picture": random.integers(-128, 128, (40, 8, 8, 1)).astype(np.int8),
        "extra": random.integers(-128, 128, (40, 4)).astype(np.int8),
    }
    ours = answers(quantized / "same" / "model.tflite", feeds)
    theirs = answers(quantized / "int8" / "model.tflite", feeds)
    assert ours.keys() == theirs.keys() == {"digit", "other"}
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array)
        assert len(np.unique(array)) > 10


@pytest.mark.parametrize(
    ("name", "dtype"), [("same", "INT8"), ("float-io", "FLOAT32"), ("uint8-io", "UINT8")]
)
def test_edges_have_the_dtype_asked_for(quantized: Path, name: str, dtype: str) -> None:
    file = flatbuffer.read(quantized / name / "model.tflite")
    assert {tensor.dtype for tensor in (*file.inputs, *file.outputs)} == {dtype}
    # Whatever the edges are, everything between them computes in int8.
    computing = [one for one in file.float_operators if not one.startswith("DEQUANTIZE")]
    assert computing == []


@pytest.mark.parametrize(
    ("name", "kinds"), [("same", {"conv", "dense"}), ("per-tensor", {"dense"})]
)
def test_scales_are_as_fine_as_asked_for(quantized: Path, name: str, kinds: set[str]) -> None:
    assert per_channel(quantized / name / "model.tflite") == kinds


def test_an_operator_kept_in_float_is_the_only_one(quantized: Path) -> None:
    file = flatbuffer.read(quantized / "kept" / "model.tflite")
    kinds = [one.split()[0] for one in file.float_operators]
    assert kinds == ["DEQUANTIZE", "DEPTHWISE_CONV_2D"]


def test_calibration_lists_the_operators_and_counts_the_items(quantized: Path) -> None:
    facts = json.loads((quantized / "facts.json").read_text())
    assert facts["items"] == 40
    kinds = {kind for kind, _ in facts["operators"]}
    assert kinds == {
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "ADD",
        "MEAN",
        "CONCATENATION",
        "FULLY_CONNECTED",
        "SOFTMAX",
    }


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unknown", "EK-CONVERT-033 no operator of the model makes a tensor called 'nothing'"),
        ("missing", "EK-CONVERT-031 there are no representative items for the input 'extra'"),
        ("few", "EK-CONVERT-002 quantizing needs a representative dataset; 1 items are not enough"),
    ],
)
def test_what_cannot_be_quantized_is_refused(quantized: Path, name: str, says: str) -> None:
    assert outcome(quantized, name) == says
