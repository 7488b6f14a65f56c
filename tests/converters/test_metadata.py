"""TFLite Metadata: written into real files, read back, and no answer changed by it."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rewriting import rewrite

from edgekit.contracts.runner import typed
from edgekit.converters import flatbuffer
from edgekit.converters.metadata import (
    ModelFacts,
    TensorFacts,
    add_metadata,
    normalisation,
    read_metadata,
)
from edgekit.errors import ConversionError, ModelError
from edgekit.process import Limits
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Preprocess

LABELS = tuple("0123456789")
FACTS = ModelFacts(
    name="digits",
    description="Handwritten digits",
    version="1.2",
    author="A. N. Author",
    license="Apache-2.0",
    inputs=(TensorFacts("image", "A digit", (0.0,), (16.0,), (0.0,), (1.0,), "GRAYSCALE", 8, 8),),
    outputs=(TensorFacts("output_0", "Scores", minimum=(0.0,), maximum=(1.0,), labels=LABELS),),
)
PROBE = ModelFacts("probe", inputs=(TensorFacts("x"),), outputs=(TensorFacts("y"),))


def described(model: Path) -> ModelFacts:
    """FACTS with the output named as in the model."""
    (name,) = flatbuffer.read(model).signature_outputs
    return replace(FACTS, outputs=(replace(FACTS.outputs[0], name=name),))


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int8"])
def test_facts_come_back_as_they_were_written(converted: Path, precision: str) -> None:
    model = converted / f"{precision}.tflite"
    assert read_metadata(add_metadata(model.read_bytes(), described(model))) == described(model)


@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_answers_are_the_same_to_the_bit(
    converted: Path, tmp_path: Path, precision: str, runtime: str
) -> None:
    if runtime == "tflite-runtime":
        pytest.importorskip("tflite_runtime")
    plain, told = converted / f"{precision}.tflite", tmp_path / "told.tflite"
    told.write_bytes(add_metadata(plain.read_bytes(), described(plain)))
    index = tmp_path / "index.npy"
    np.save(index, np.arange(100))
    answers = {}
    for name, path in (("plain", plain), ("told", told)):
        request = {
            "schema": 1,
            "mode": "evaluate",
            "runtime": runtime,
            "threads": 1,
            "models": [{"id": name, "path": str(path), "outputs": str(tmp_path / name)}],
            "inputs": {"image": str(converted / "test.npy")},
            "index": str(index),
            "preprocess": {"scale": 1 / 16, "offset": 0.0},
            "reset_state": False,
        }
        LocalDevice(tmp_path / "requests", tmp_path / "log.txt", Limits(60)).run(typed(request))
        (file,) = (tmp_path / name).glob("*.npy")
        answers[name] = np.load(file)
    assert len(answers["plain"]) == 100
    np.testing.assert_array_equal(answers["plain"], answers["told"])


def test_constants_stay_and_are_aligned(converted: Path) -> None:
    model = converted / "int8.tflite"
    before = flatbuffer.read(model)
    content = add_metadata(model.read_bytes(), described(model))
    after = flatbuffer.parse(content, "told")
    for old, new in zip(before.graphs[0].tensors, after.graphs[0].tensors, strict=True):
        assert (old.name, old.quantization) == (new.name, new.quantization)
        assert before.data(old) == after.data(new)
        if new.bytes > 64:
            assert content.index(after.data(new)) % 16 == 0
    assert (before.operators, before.signatures) == (after.operators, after.signatures)
    assert before.metadata.items() <= after.metadata.items()


def test_file_is_the_same_every_time_and_when_it_is_written_again(converted: Path) -> None:
    model = converted / "int8.tflite"
    first = add_metadata(model.read_bytes(), described(model))
    assert add_metadata(model.read_bytes(), described(model)) == first
    assert add_metadata(first, described(model)) == first


def test_other_metadata_replaces_what_was_there() -> None:
    first = add_metadata(probe_model(), replace(PROBE, author="first"))
    second = add_metadata(first, replace(PROBE, author="second"))
    assert read_metadata(second).author == "second"
    assert len(flatbuffer.parse(second, "probe").metadata) == 1


def test_label_file_is_one_that_any_zip_reader_finds() -> None:
    facts = replace(PROBE, outputs=(TensorFacts("y", labels=("ä", "b", "c", "d")),))
    with zipfile.ZipFile(io.BytesIO(add_metadata(probe_model(), facts))) as archive:
        assert archive.testzip() is None
        assert archive.read("labels.txt").decode() == "ä\nb\nc\nd\n"


def test_tensors_are_described_in_the_order_of_the_graph(tmp_path: Path) -> None:
    probe = tmp_path / "probe.tflite"
    probe.write_bytes(probe_model())

    def two_outputs(model: Any) -> None:
        model.subgraphs[0].outputs = [1, 0]

    content = rewrite(probe, tmp_path / "two.tflite", two_outputs).read_bytes()
    named = (TensorFacts("x", "first"), TensorFacts("y", "second"))
    found = read_metadata(add_metadata(content, replace(PROBE, outputs=named)))
    assert [t.description for t in found.outputs] == ["second", "first"]


def test_tensor_that_nothing_is_said_of_has_its_name() -> None:
    found = read_metadata(add_metadata(probe_model(), ModelFacts("probe")))
    assert (found.inputs, found.outputs) == ((TensorFacts("x"),), (TensorFacts("y"),))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (TensorFacts("z"), "no inputs 'z'"),
        (TensorFacts("x", mean=(1.0,)), "mean and std"),
        (TensorFacts("x", mean=(1.0,), std=(0.0,)), "no std 0"),
        (TensorFacts("x", labels=("a\nb",)), "more than one line"),
        (TensorFacts("x", colour_space="RGB"), "a width and a height"),
    ],
)
def test_facts_that_do_not_fit_are_an_error(tensor: TensorFacts, message: str) -> None:
    with pytest.raises(ConversionError, match=f"EK-CONVERT-107.*{message}"):
        add_metadata(probe_model(), replace(PROBE, inputs=(tensor,)))


@pytest.mark.parametrize(
    ("scale", "offset", "mean", "std"),
    [(1 / 255, 0.0, 0.0, 255.0), (1 / 127.5, -1.0, 127.5, 127.5), (1.0, 0.0, 0.0, 1.0)],
)
def test_normalisation_is_the_preprocessing_by_other_words(
    scale: float, offset: float, mean: float, std: float
) -> None:
    (means, stds) = normalisation(Preprocess(scale, offset))
    assert (*means, *stds) == pytest.approx((mean, std))
    many = normalisation(Preprocess((scale, 1.0), (offset, -2.0)))
    assert many[0] == pytest.approx((mean, 2.0))
    assert many[1] == pytest.approx((std, 1.0))
    x = np.linspace(0, 255, 7)
    np.testing.assert_allclose((x - means[0]) / stds[0], x * scale + offset, atol=1e-12)


def test_normalisation_of_nothing_raises() -> None:
    with pytest.raises(ValueError, match="standard deviation"):
        normalisation(Preprocess(0.0, 1.0))


def test_file_without_metadata_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"EK-MODEL-031.*no TFLite metadata"):
        read_metadata(probe_model())


@pytest.mark.parametrize("fault", ["identifier", "offset", "labels", "cut", "newer"])
def test_damaged_metadata_is_an_error(fault: str) -> None:
    facts = replace(PROBE, outputs=(TensorFacts("y", labels=tuple("abcd")),))
    content = bytearray(add_metadata(probe_model(), facts))
    at = content.index(b"M001")
    if fault == "identifier":
        content[at : at + 4] = b"M002"
    elif fault == "offset":
        content[at - 4 : at] = b"\xff\xff\xff\x7f"
    elif fault == "cut":
        # Both sizes of the labels, in the archive's directory, are more than the file holds.
        struct.pack_into("<II", content, content.index(b"PK\x01\x02") + 20, 1 << 19, 1 << 19)
    elif fault == "newer":
        struct.pack_into("<H", content, content.index(b"PK\x01\x02") + 6, 99)
    else:
        content = content[: content.index(b"PK\x03\x04")]
    with pytest.raises(ModelError, match=r"EK-MODEL-031.*cannot be read"):
        read_metadata(bytes(content))


def test_metadata_of_others_is_read(test_data: Path) -> None:
    found = read_metadata(test_data / "coral" / "mobilenet_v1_0.25_128_quant.tflite")
    assert found.inputs
