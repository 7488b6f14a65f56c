"""Each precision's file is what it claims, and a file that is not is named."""

from __future__ import annotations

import json
from pathlib import Path

import converting
import pytest

from conftest import once
from edgekit.converters import flatbuffer
from edgekit.converters.precisions import PRECISIONS


@pytest.fixture(scope="session")
def converted(shared: Path, models: Path, digits: Path) -> Path:
    """What :mod:`converting` makes."""
    return once(shared / "converted", lambda folder: converting.make(folder, models, digits))


@pytest.fixture(scope="session")
def outcomes(converted: Path) -> dict[str, str]:
    """How each conversion went: nothing, or its error."""
    return dict(json.loads((converted / "outcomes.json").read_text()))


@pytest.mark.parametrize("claimed", PRECISIONS)
@pytest.mark.parametrize("real", PRECISIONS)
def test_a_file_fits_its_own_precision_and_no_other(
    converted: Path, claimed: str, real: str
) -> None:
    problem = PRECISIONS[claimed].problem(flatbuffer.read(converted / f"{real}.tflite"))
    assert (problem == "") == (claimed == real), problem


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", "FLOAT32"), ("float16", "FLOAT16"), ("dynamic", "INT8"), ("int8", "INT8")],
)
def test_the_weights_are_of_the_precisions_dtype(
    converted: Path, precision: str, dtype: str
) -> None:
    weights = flatbuffer.read(converted / f"{precision}.tflite").weights
    assert weights[dtype] == max(weights.values())


@pytest.mark.parametrize(
    ("precision", "share"), [("float16", 0.75), ("dynamic", 0.6), ("int8", 0.6)]
)
def test_the_file_is_smaller_than_float32(converted: Path, precision: str, share: float) -> None:
    size = (converted / f"{precision}.tflite").stat().st_size
    assert size < share * (converted / "float32.tflite").stat().st_size


@pytest.mark.parametrize("name", ["int8-none", "int8-empty", "int8-one"])
def test_too_few_representative_items_are_refused(outcomes: dict[str, str], name: str) -> None:
    count = 1 if name == "int8-one" else 0
    assert outcomes[name].startswith("EK-CONVERT-002 ")
    assert f"{count} items" in outcomes[name]


def test_an_operator_without_int8_is_named(converted: Path, outcomes: dict[str, str]) -> None:
    assert outcomes["elu-int8"] == ""
    file = flatbuffer.read(converted / "elu-int8.tflite")
    assert [name.partition(" ")[0] for name in file.float_operators] == ["DEQUANTIZE", "ELU"]
    assert "ELU" in PRECISIONS["int8"].problem(file)


def test_prelu_is_int8_throughout(converted: Path, outcomes: dict[str, str]) -> None:
    assert outcomes["prelu-int8"] == ""
    file = flatbuffer.read(converted / "prelu-int8.tflite")
    assert "PRELU" in {operator.name for operator in file.operators}
    assert PRECISIONS["int8"].problem(file) == ""


def test_every_precision_has_a_title() -> None:
    assert all(precision.title for precision in PRECISIONS.values())
    assert [name for name, p in PRECISIONS.items() if p.calibrated] == ["int8"]
