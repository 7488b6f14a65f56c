"""Recipes of precisions per operator, and the files that ai-edge-quantizer writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.contracts.runner import typed
from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import FLOATS
from edgekit.converters.quantization.recipe import Rule, check_rules
from edgekit.errors import ProjectError, RunnerError
from edgekit.targets.devices.local import LocalDevice

try:
    import tflite_runtime  # noqa: F401

    OLD = True
except ImportError:
    OLD = False
needs_old = pytest.mark.skipif(not OLD, reason="tflite-runtime has no wheel for this Python")


def activations(path: Path) -> dict[str, list[str]]:
    """The dtypes of the operators' outputs, by kind, in order."""
    graph = flatbuffer.read(path).graphs[0]
    found: dict[str, list[str]] = {}
    for node in graph.nodes:
        found.setdefault(node.operator, []).append(graph.tensors[node.outputs[0]].dtype)
    return found


def test_rule_by_operator_keeps_it_float(converted: Path) -> None:
    found = activations(converted / "mixed.tflite")
    assert found["SOFTMAX"] == ["FLOAT32"]
    assert set(found["CONV_2D"]) == {"INT8"}


def test_later_rule_wins(converted: Path) -> None:
    assert activations(converted / "mixed-later-wins.tflite")["SOFTMAX"] == ["INT8"]


def test_rule_by_name_keeps_its_layer_float(converted: Path) -> None:
    found = activations(converted / "mixed-by-name.tflite")
    assert found["CONV_2D"] == ["FLOAT32", "INT8"]


def test_weights_of_4_bits_stand_beside_int8(converted: Path) -> None:
    path = converted / "mixed-int4.tflite"
    assert {"INT4", "INT8"} <= flatbuffer.read(path).weights.keys()
    assert set(activations(path)["CONV_2D"]) == {"INT8"}
    assert activations(path)["FULLY_CONNECTED"][0] in FLOATS


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("mixed-nothing", "EK-CONVERT-013 the recipe leaves every operator float32"),
        (
            "mixed-unknown",
            "EK-CONVERT-011 [[convert.mixed]]: the model has no operator 'CONV_3D';"
            " did you mean 'CONV_2D'?",
        ),
        (
            "mixed-no-match",
            "EK-CONVERT-012 [[convert.mixed]]: no operator's output is called like"
            " 'digti'; did you mean 'digit",
        ),
        ("mixed-unable", "EK-CONVERT-013 [[convert.mixed]]: SOFTMAX cannot be int4"),
    ],
)
def test_recipe_that_cannot_be_meant_is_refused(
    outcomes: dict[str, str], label: str, said: str
) -> None:
    assert outcomes[label].startswith(said)


@pytest.mark.parametrize(
    ("rule", "code"),
    [(Rule("int9"), "EK-PROJECT-004"), (Rule("int8", name="("), "EK-PROJECT-012")],
)
def test_rule_that_is_no_rule_is_refused(rule: Rule, code: str) -> None:
    with pytest.raises(ProjectError) as caught:
        check_rules([Rule("int8"), rule])
    assert caught.value.code == code


def accuracy(path: Path, runtime: str, converted: Path, folder: Path) -> float:
    """The share of the 100 digits that a file answers as Keras does."""
    device = LocalDevice(folder / "requests", folder / "log.txt")
    device.run(
        typed(
            {
                "schema": 1,
                "mode": "evaluate",
                "runtime": runtime,
                "processes": 1,
                "models": [
                    {"id": path.stem, "path": str(path), "outputs": str(folder / "outputs")}
                ],
                "inputs": {"image": str(converted / "test.npy")},
                "preprocess": {"scale": 1 / 16},
            }
        )
    )
    got = np.load(folder / "outputs" / "digit.npy")
    return float(np.mean(got.argmax(1) == np.load(converted / "test-digit.npy").argmax(1)))


@needs_old
def test_quantizers_own_dynamic_file_is_garbage_on_an_old_runtime(
    converted: Path, tmp_path: Path
) -> None:
    path = converted / "quantizer-raw.tflite"
    assert {one.version for one in flatbuffer.read(path).operators} == {1}
    assert accuracy(path, "litert", converted, tmp_path / "new") > 0.95
    # Nothing is refused, and the answers are no better than chance.
    assert accuracy(path, "tflite-runtime", converted, tmp_path / "old") < 0.3


@needs_old
@pytest.mark.parametrize(
    ("label", "operator"),
    [
        ("quantizer-dynamic", "FULLY_CONNECTED"),
        ("int4", "DEQUANTIZE"),
        ("int4-block32", "FULLY_CONNECTED"),
        ("mixed-int4", "DEQUANTIZE"),
    ],
)
def test_old_runtime_refuses_what_it_would_compute_wrongly(
    converted: Path, tmp_path: Path, label: str, operator: str
) -> None:
    path = converted / f"{label}.tflite"
    with pytest.raises(RunnerError) as caught:
        accuracy(path, "tflite-runtime", converted, tmp_path / "old")
    assert f"Didn't find op for builtin opcode '{operator}'" in caught.value.hint
    assert accuracy(path, "litert", converted, tmp_path / "new") > 0.9
