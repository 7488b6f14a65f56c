"""Reading ``.tflite`` files: what they hold, and that no damaged file gives a traceback."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from edgekit.converters import flatbuffer
from edgekit.errors import ModelError
from edgekit.targets.runners.probe import probe_model


def test_read_tells_what_the_probe_holds(tmp_path: Path) -> None:
    path = tmp_path / "probe.tflite"
    path.write_bytes(probe_model())
    file = flatbuffer.read(path)
    (x,), (y,) = file.inputs, file.outputs
    assert (x.name, x.dtype, x.shape, x.scale) == ("x", "FLOAT32", (1, 4), 0.0)
    assert (y.name, y.dtype, y.shape) == ("y", "FLOAT32", (1, 4))
    assert [(o.name, o.version, o.count) for o in file.operators] == [("ADD", 1, 1)]
    assert file.float_operators == ("ADD (y)",)
    assert (dict(file.weights), file.stateful, dict(file.signature_outputs)) == ({}, False, {})


def test_read_tells_what_the_converter_wrote(converted: Path) -> None:
    file = flatbuffer.read(converted / "int8.tflite")
    (image,), (digit,) = file.inputs, file.outputs
    assert (image.shape, image.dtype) == ((1, 8, 8, 1), "INT8")
    assert (digit.shape, digit.dtype) == ((1, 10), "INT8")
    # A softmax in int8 has this step by TFLite's quantization specification.
    assert digit.scale == 1 / 256
    assert set(file.signature_outputs) == {"digit"}
    assert file.signature_outputs["digit"] == digit
    counted = {operator.name: operator.count for operator in file.operators}
    assert counted["CONV_2D"] == 2
    assert {"ADD", "FULLY_CONNECTED", "MAX_POOL_2D", "SOFTMAX"} <= set(counted)
    assert file.float_operators == ()
    assert file.weights["INT8"] >= 3 * 3 * 16 * 16 + 256 * 10
    assert not file.stateful


def test_read_sees_variables(converted: Path) -> None:
    assert flatbuffer.read(converted / "lstm.tflite").stateful


@pytest.mark.parametrize(
    "content",
    [b"", b"TFL3", b"\x00" * 15, b"\x00" * 1000, b"PK\x03\x04" * 20, b"\xff\xff\xff\x7fTFL3" * 8],
    ids=["empty", "short", "zeros", "more zeros", "zip", "far root"],
)
def test_read_refuses_what_is_no_tflite_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        flatbuffer.read(path)
    assert caught.value.code == "EK-MODEL-003"
    assert str(path) in caught.value.message


def readable(path: Path) -> bool:
    """Whether a file reads; anything but an EK-MODEL-003 on the way is an error of ours."""
    try:
        flatbuffer.read(path)
    except ModelError as error:
        if error.code != "EK-MODEL-003":
            raise
        return False
    return True


@pytest.mark.parametrize("name", ["int8", "float32"])
def test_read_survives_truncated_and_mutated_files(
    converted: Path, tmp_path: Path, name: str
) -> None:
    whole = (converted / f"{name}.tflite").read_bytes()
    path, rng, begin = tmp_path / "damaged.tflite", np.random.default_rng(11), time.process_time()
    cut = []
    for length in rng.integers(0, len(whole), 200):
        path.write_bytes(whole[:length])
        cut.append(readable(path))
    for number in range(200):
        content = bytearray(whole)
        # One byte, or several at once; anywhere, or in the structure before and after the weights.
        for at in rng.integers(0, len(whole) if number % 2 else 400, 1 + number % 8):
            content[at] = rng.integers(256)
        path.write_bytes(bytes(content))
        readable(path)
    assert sum(cut) < 20
    assert time.process_time() - begin < 5


def test_read_survives_published_files(test_data: Path) -> None:
    paths = sorted(
        [*test_data.glob("bad_tflite/*.tflite"), *test_data.glob("misc_tflite/*.tflite")]
    )
    assert len(paths) > 20
    found = {path.name: readable(path) for path in paths}
    damaged = {name for name, fine in found.items() if not fine}
    empty = {"0_subgraphs.tflite", "no_subgraphs.tflite"}
    assert damaged == {"invalid_model.tflite", "test_model_broken.tflite"} | empty
