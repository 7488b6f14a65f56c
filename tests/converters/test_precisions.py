"""Each precision's file is what it claims, and a file that is not is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from tflite_files import G, N, T, build

from edgekit.converters import flatbuffer, flex, tflite
from edgekit.converters.precisions import PRECISIONS, RECIPE, profile_of, refusal
from edgekit.converters.quantization import from_float
from edgekit.converters.quantization.integer_forms import use_integer_operators
from edgekit.errors import ConversionError
from edgekit.targets import catalog
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Conversion

INTEGERS = tuple(name for name, row in PRECISIONS.items() if row.integer)


@pytest.mark.parametrize("claimed", sorted(PRECISIONS.keys() - {"mixed"}))
@pytest.mark.parametrize("real", PRECISIONS)
def test_a_file_fits_its_own_precision_and_no_other(
    converted: Path, claimed: str, real: str
) -> None:
    problem = PRECISIONS[claimed].problem(flatbuffer.read(converted / f"{real}.tflite"))
    assert (problem == "") == (claimed == real), problem


@pytest.mark.parametrize("real", ["float32", *INTEGERS, "mixed"])
def test_a_file_of_one_precision_is_not_mixed(converted: Path, real: str) -> None:
    problem = PRECISIONS["mixed"].problem(flatbuffer.read(converted / f"{real}.tflite"))
    assert (problem == "") == (real == "mixed"), problem


@pytest.mark.parametrize("precision", PRECISIONS)
def test_edges_and_weights_are_of_the_precisions_dtypes(converted: Path, precision: str) -> None:
    row, file = PRECISIONS[precision], flatbuffer.read(converted / f"{precision}.tflite")
    assert {tensor.dtype for tensor in (*file.inputs, *file.outputs)} == {row.edges}
    if row.weights:
        assert file.weights[row.weights] == max(file.weights.values())


def test_a_planted_row_of_other_dtypes_is_seen(
    converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = PRECISIONS["float32"]
    for name, value in (("edges", "INT8"), ("weights", "INT4")):
        row = replace(right, **{name: value})  # type: ignore[arg-type]
        monkeypatch.setitem(PRECISIONS, "float32", row)  # type: ignore[arg-type]
        with pytest.raises((AssertionError, KeyError)):
            test_edges_and_weights_are_of_the_precisions_dtypes(converted, "float32")


def test_blocks_are_of_32(converted: Path) -> None:
    file = flatbuffer.read(converted / "int4-block32.tflite")
    found = [t.quantization for graph in file.graphs for t in graph.tensors if t.quantization]
    assert 32 in {one.block_size for one in found}


@pytest.mark.parametrize(
    ("precision", "share"),
    [("float16", 0.75), ("dynamic", 0.6), ("int8", 0.6), ("int16x8", 0.6), ("int4", 0.4)],
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
    problem = PRECISIONS["int8"].problem(file)
    assert "no integer form of ELU: dynamic and float16 leave them" in problem


def test_weights_that_are_variables_name_wrappers_and_their_stripping() -> None:
    tensors = [
        T("x", [1, 4], "INT8", scale=[1.0], zero=[0]),
        T("handle", [1], "RESOURCE"),
        T("weights", [1, 4]),
    ]
    nodes = [N("VAR_HANDLE", [], ["handle"]), N("READ_VARIABLE", ["handle"], ["weights"])]
    file = build(G(tensors, nodes, ["x"], ["x"]))
    assert "strip_pruning" in PRECISIONS["int8"].problem(flatbuffer.parse(file, "m.tflite"))


def test_prelu_is_int8_throughout(converted: Path, outcomes: dict[str, str]) -> None:
    assert outcomes["prelu-int8"] == ""
    file = flatbuffer.read(converted / "prelu-int8.tflite")
    assert "PRELU" in {operator.name for operator in file.operators}
    assert PRECISIONS["int8"].problem(file) == ""


@pytest.mark.parametrize("precision", ["int8", "int8-float-io"])
def test_normalization_and_squares_are_integer_throughout(
    converted: Path, outcomes: dict[str, str], digits: Path, precision: str
) -> None:
    """TensorFlow's quantizer leaves NEG and SQUARE in float, which are products as well."""
    assert {outcomes[f"norms-{name}"] for name in ("float32", precision)} == {""}
    file = flatbuffer.read(converted / f"norms-{precision}.tflite")
    assert PRECISIONS[precision].problem(file) == ""
    assert not {"NEG", "SQUARE"} & {operator.name for operator in file.operators}
    items = np.load(digits / "test.npz")["x"][:64].astype(np.float32) / 16
    right = _answers(converted / "norms-float32.tflite", items)
    found = _answers(converted / f"norms-{precision}.tflite", items)
    assert np.corrcoef(right["squared"].ravel(), found["squared"].ravel())[0, 1] > 0.98
    # Of equal integers any may be named.
    named = np.take_along_axis(found["squared"], found["largest"][..., None], -1)[..., 0]
    assert (named == found["squared"].max(-1)).all()


def test_a_model_that_takes_bytes_is_integer_throughout(
    converted: Path, outcomes: dict[str, str], digits: Path
) -> None:
    assert {outcomes[f"bytes-{name}"] for name in ("float32", "int8", "uint8-io")} == {""}
    whole = converted / "bytes-uint8-io.tflite"
    assert PRECISIONS["uint8-io"].problem(flatbuffer.read(whole)) == ""
    problem = PRECISIONS["int8"].problem(flatbuffer.read(converted / "bytes-int8.tflite"))
    assert "the model itself takes bytes, which uint8-io keeps" in problem
    items = np.load(digits / "test.npz")["x"][:64] * 15
    right = _answers(converted / "bytes-float32.tflite", items)["odds"]
    found = _answers(whole, items)["odds"]
    assert np.corrcoef(right.ravel(), found.ravel())[0, 1] > 0.98


def test_what_keeps_a_state_stays_beside_a_square_made_integer() -> None:
    like = {"dtype": "INT8", "scale": [0.5], "zero": [0]}
    tensors = [
        T("x", [4], **like),
        T("real", [4]),
        T("squared", [4]),
        T("y", [4], **like),
        T("unread", [4], **like),
        T("handle", [1], "RESOURCE"),
    ]
    nodes = [
        N("VAR_HANDLE", [], ["handle"]),
        N("DEQUANTIZE", ["x"], ["real"]),
        N("SQUARE", ["real"], ["squared"]),
        N("QUANTIZE", ["squared"], ["y"]),
        N("ASSIGN_VARIABLE", ["handle", "x"], []),
        N("RELU", ["x"], ["unread"]),
    ]
    content = use_integer_operators(build(G(tensors, nodes, ["x"], ["y"])))
    (graph,) = flatbuffer.parse(content, "m.tflite").graphs
    assert [n.operator for n in graph.nodes] == ["VAR_HANDLE", "MUL", "ASSIGN_VARIABLE", "RELU"]
    assert use_integer_operators(content) == content


def test_a_negation_that_is_to_stay_float_stays(converted: Path, outcomes: dict[str, str]) -> None:
    assert outcomes["norms-kept"] == ""
    kept = [
        name.split()[0] for name in flatbuffer.read(converted / "norms-kept.tflite").float_operators
    ]
    assert kept.count("NEG") == 1
    assert "SQUARE" not in kept


def _answers(path: Path, items: Any) -> dict[str, Any]:
    interpreter = Interpreter(model_path=str(path))
    runner = interpreter.get_signature_runner()
    (given,) = runner.get_input_details().values()
    told = runner.get_output_details()
    scale, zero = given["quantization"]
    found: dict[str, list[Any]] = {name: [] for name in told}
    for item in items:
        limits = np.iinfo(given["dtype"]) if scale else None
        fed = item[None]
        if limits is not None:
            fed = np.clip(np.round(fed / scale) + zero, limits.min, limits.max)
        for name, array in runner(image=fed.astype(given["dtype"])).items():
            size, at = told[name]["quantization"]
            found[name].append((array.astype(float) - at) * size if size else array.copy())
    return {name: np.concatenate(rows) for name, rows in found.items()}


def test_every_precision_has_a_title() -> None:
    assert all(precision.title for precision in PRECISIONS.values())
    calibrated = {name for name, precision in PRECISIONS.items() if precision.calibrated}
    assert calibrated == {*INTEGERS, "mixed"}


def versions(path: Path, operator: str) -> set[int]:
    return {one.version for one in flatbuffer.read(path).operators if one.name == operator}


def per_channel(path: Path) -> set[str]:
    """The kinds of operators whose weights have a scale per channel."""
    graph = flatbuffer.read(path).graphs[0]
    return {
        node.operator
        for node in graph.nodes
        for found in [graph.tensors[i].quantization for i in node.inputs[1:2] if i >= 0]
        if found is not None and found.per_channel
    }


def test_profile_makes_dense_layers_that_old_runtimes_run(converted: Path) -> None:
    assert versions(converted / "dynamic.tflite", "FULLY_CONNECTED") == {12}
    assert versions(converted / "dynamic@tflite-2.14.tflite", "FULLY_CONNECTED") == {9}
    assert (
        PRECISIONS["dynamic"].problem(flatbuffer.read(converted / "dynamic@tflite-2.14.tflite"))
        == ""
    )


def test_profile_sets_the_granularity(converted: Path) -> None:
    assert per_channel(converted / "int8.tflite") == {"CONV_2D", "FULLY_CONNECTED"}
    assert per_channel(converted / "int8@per-tensor.tflite") == set()


OLD = Conversion("old", per_channel_dense=False)
COARSE = Conversion("coarse", granularity="per-tensor")
INTEGER = Conversion("integer", operator_set="int8", refuses={"uint8-io": "its driver is signed"})
ALONE = Conversion("alone", only=("float32",), because="it serves SavedModels")


@pytest.mark.parametrize(
    ("conversion", "changed"),
    [
        (Conversion("same"), set()),
        (OLD, {"dynamic"}),
        (COARSE, {"dynamic", *INTEGERS}),
    ],
)
def test_profile_is_named_where_it_changes_a_precision(
    conversion: Conversion, changed: set[str]
) -> None:
    named = {name for name in PRECISIONS if profile_of(name, conversion)}
    assert named == changed


@pytest.mark.parametrize(
    ("precision", "reason"),
    [
        ("int8", ""),
        ("float32", "integers only"),
        ("int4", "integers only"),
        ("uint8-io", "its driver is signed"),
    ],
)
def test_integer_target_refuses_what_computes_in_float(precision: str, reason: str) -> None:
    found = refusal(precision, INTEGER)
    assert (reason in found) if reason else not found


def test_target_that_takes_one_precision_refuses_those_that_are_to_come() -> None:
    assert {name for name in PRECISIONS if not refusal(name, ALONE)} == {"float32"}
    assert refusal("int8", ALONE) == "it serves SavedModels"
    serving = catalog.load("tf-serving").conversion
    assert {name for name in PRECISIONS if not refusal(name, serving)} == {"float32"}


def test_custom_operators_are_allowed_by_name_only(
    converted: Path, outcomes: dict[str, str]
) -> None:
    assert outcomes["custom-refused"].startswith("EK-CONVERT-007")
    assert "Sinh" in outcomes["custom-refused"]
    assert outcomes["custom-other"] == "EK-CONVERT-004 the model needs custom operators: Sinh"
    assert outcomes["custom-allowed"] == ""
    file = flatbuffer.read(converted / "custom-allowed.tflite")
    assert flex.custom_operators(file) == ("Sinh",)
    assert flex.problem(file).startswith("unavailable, because it holds the custom operators Sinh")


def test_every_precision_says_how_a_float_file_becomes_it() -> None:
    silent = [
        name
        for name, row in PRECISIONS.items()
        if not (row.from_float or row.rules or name == RECIPE)
    ]
    assert silent == []


def test_row_of_a_new_precision_is_all_that_a_float_file_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = tmp_path / "float.tflite"
    model.write_bytes(probe_model())
    planted = replace(PRECISIONS["float32"], from_float=None)
    monkeypatch.setitem(PRECISIONS, "planted", planted)  # type: ignore[arg-type]
    with pytest.raises(ConversionError, match="EK-CONVERT-003"):
        tflite.convert_float(model, "planted", None, tmp_path)
    row = replace(planted, from_float=from_float.copied)
    monkeypatch.setitem(PRECISIONS, "planted", row)  # type: ignore[arg-type]
    tflite.convert_float(model, "planted", None, tmp_path)
    assert (tmp_path / "model.tflite").read_bytes() == probe_model()
