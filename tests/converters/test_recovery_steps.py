"""Sensitivity, equalisation and bias correction on networks with planted ranges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recovering

from conftest import once
from edgekit.converters import flatbuffer, precision_checks
from edgekit.converters.quantization.editing import constant, main_operators, unpack
from edgekit.converters.quantization.sensitivity import LOSSLESS, sqnr

# It trains or converts many models first.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def made(shared: Path) -> Path:
    return once(shared / "recovery-steps", recovering.variants)


@pytest.fixture(scope="session")
def facts(made: Path) -> dict[str, Any]:
    return dict(json.loads((made / "facts.json").read_text()))


@pytest.fixture(scope="session")
def answers(made: Path) -> dict[str, Any]:
    with np.load(made / "answers.npz") as found:
        return dict(found)


@pytest.fixture(scope="session")
def accuracy(facts: dict[str, Any], answers: dict[str, Any]) -> dict[str, float]:
    """The share of 300 digits that each file has right."""
    return {
        name: float((value.argmax(1) == facts["labels"]).mean())
        for name, value in answers.items()
        if value.shape[-1] == 10
    }


def difference(answers: dict[str, Any], one: str, other: str) -> float:
    """The largest difference of two files' answers, as a share of the largest answer."""
    return float(np.abs(answers[one] - answers[other]).max() / np.abs(answers[other]).max())


def test_sensitivity_ranks_the_layers_around_a_planted_outlier_first(
    facts: dict[str, Any],
) -> None:
    found = facts["sqnr"]["sqnr"]
    order = sorted(found, key=lambda name: found[name])
    assert len(found) == len(facts["operators"]) >= 30
    around = {name for name in order if "planted" in name or "reads" in name}
    assert set(order[:3]) == around
    # Every other operator loses little by itself.
    assert found[order[2]] < 10 < 20 < found[order[3]]


def test_an_outlier_is_gone_where_its_producer_and_all_its_readers_are_float(
    accuracy: dict[str, float],
) -> None:
    assert accuracy["shared-float"] - accuracy["shared-int8"] > 0.5
    assert accuracy["shared-float"] - accuracy["kept2"] > 0.5
    assert abs(accuracy["shared-float"] - accuracy["kept3"]) < 0.02


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ([1.0, 1.0], [1.0, 1.0], LOSSLESS),
        ([3.0, 4.0], [3.0, 4.5], 20.0),
        ([0.0, 0.0], [1.0, 0.0], 0.0),
        ([1.0, 1.0], [np.nan, 1.0], -LOSSLESS),
    ],
)
def test_sqnr_is_signal_over_noise_in_decibels(
    truth: list[float], found: list[float], expected: float
) -> None:
    arrays = [np.array(truth, np.float32)], [np.array(found, np.float32)]
    assert sqnr(*arrays) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", ["wide", "shared", "below", "above"])
def test_equalising_preserves_the_function(answers: dict[str, Any], kind: str) -> None:
    assert difference(answers, f"{kind}-equalized", f"{kind}-float") < 1e-5


def test_equalising_a_tensor_that_two_layers_read_would_change_the_function(
    facts: dict[str, Any], answers: dict[str, Any]
) -> None:
    assert difference(answers, "broken", "shared-float") > 0.01
    skipped = dict(facts["shared-equalized"]["skipped"])
    name = next(name for name in skipped if "planted" in name)
    assert skipped[name] == "several operators read it"
    assert not any("planted" in first for first, _ in facts["shared-equalized"]["pairs"])


def test_a_relu6_that_clips_is_not_equalised(facts: dict[str, Any]) -> None:
    assert "its activation clips" in dict(facts["above-equalized"]["skipped"]).values()
    assert not any("first" in first for first, _ in facts["above-equalized"]["pairs"])
    assert any("first" in a and "second" in b for a, b in facts["below-equalized"]["pairs"])


def test_equalising_brings_back_what_wide_ranges_cost(accuracy: dict[str, float]) -> None:
    assert accuracy["wide-float"] - accuracy["wide-int8"] > 0.05
    assert abs(accuracy["wide-float"] - accuracy["wide-equalized-int8"]) < 0.02


def test_bias_correction_brings_the_layers_means_back(facts: dict[str, Any]) -> None:
    told = facts["wide-corrected"]
    assert told["layers"] > 20
    assert told["after"] < told["before"] / 2


def test_bias_correction_helps_where_ranges_are_wide(accuracy: dict[str, float]) -> None:
    assert accuracy["wide-corrected"] > accuracy["wide-int8"]


def test_bias_correction_changes_biases_only(made: Path) -> None:
    models = [
        unpack((made / name / "model.tflite").read_bytes())
        for name in ("wide-int8", "wide-corrected")
    ]
    changed = set()
    for one, other in zip(*(list(main_operators(model)) for model in models), strict=True):
        for position, (a, b) in enumerate(
            zip(one.operator.inputs, other.operator.inputs, strict=True)
        ):
            tensors = models[0].subgraphs[0].tensors[a], models[1].subgraphs[0].tensors[b]
            values = [constant(m, t) for m, t in zip(models, tensors, strict=True)]
            if values[0] is not None and not np.array_equal(*values):
                changed.add((one.kind, position))
    assert {position for _, position in changed} == {2}


def test_a_mixed_file_is_told_from_an_int8_and_a_float_one(made: Path) -> None:
    def problem(name: str) -> str:
        return precision_checks.mixed_int8_problem(flatbuffer.read(made / name / "model.tflite"))

    assert problem("kept3") == ""
    assert problem("shared-int8") == "no operator computes in float"
    assert problem("shared-float") == "no operator computes in int8"
    kept = precision_checks.computing_in_float(flatbuffer.read(made / "kept3" / "model.tflite"))
    assert [one.split(" ")[0] for one in kept] == ["CONV_2D"] * 3
