"""Tensors of two files are matched by graph: names may lie, operators be fused or missing."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import layered
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_files import G, N, T, build

from edgekit.converters import flatbuffer
from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.evaluation.layers.match import Matching, match

EVERY = ["image", "stem", "plus", "minus", "difference", "pooled", "scores", "y"]
LEFT = list(layered.SHAPES)


def parse(content: bytes) -> TFLiteFile:
    return flatbuffer.parse(content, "test.tflite")


def matched(left: bytes, right: bytes) -> Matching:
    return match(parse(left), parse(right))


def pairs(found: Matching) -> list[tuple[int, int]]:
    return [(one.left, one.right) for one in found.tensors]


def by_name(found: Matching, left: bytes, right: bytes) -> dict[str, str]:
    """Names on the left by names on the right."""
    a, b = parse(left).graphs[0].tensors, parse(right).graphs[0].tensors
    return {b[one.right].name: a[one.left].name for one in found.tensors}


def renamed(content: bytes, name: str) -> bytes:
    """The file with one name for all of its tensors."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = name.encode()
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_every_tensor_of_a_float_and_an_int8_file_is_matched() -> None:
    files = layered.float_file(layered.weights()), layered.int8_file(layered.weights())
    found = matched(*files)
    assert by_name(found, *files) == {name: name for name in EVERY}
    assert {one.how for one in found.tensors} == {"graph"}
    assert [one.inputs for one in found.tensors] == [
        (),
        (0,),
        (1,),
        (1,),
        (2, 3),
        (4,),
        (5,),
        (6,),
    ]
    # The stem's activation counts as an operator; the reshape does not.
    assert len(found.operators) == 8


def test_names_that_lie_do_not_mislead() -> None:
    left = layered.float_file(layered.weights())
    swap = {"plus": "minus", "minus": "plus", "stem": "scores", "scores": "stem"}
    right = layered.int8_file(layered.weights(), names=swap)
    found = by_name(matched(left, right), left, right)
    assert found == {swap.get(name, name): name for name in EVERY}


def test_names_decide_between_twins_whose_weights_do_not() -> None:
    left, of = layered.weights(), layered.weights(2)
    rows = layered.nodes()
    # Other weights, in another order of execution.
    right = layered.int8_file(of, [rows[0], rows[2], rows[1], *rows[3:]])
    files = layered.float_file(left), right
    found = matched(*files)
    assert by_name(found, *files) == {name: name for name in EVERY}
    assert [one.name for one in found.tensors][2:4] == ["minus", "plus"]


def test_files_with_one_name_for_all_tensors_are_matched() -> None:
    left = renamed(layered.float_file(layered.weights()), "t")
    right = renamed(layered.int8_file(layered.weights()), "t")
    at = [LEFT.index(name) for name in EVERY]
    assert pairs(matched(left, right)) == [(index, index) for index in at]


def test_one_file_is_matched_by_index() -> None:
    content = renamed(layered.int8_file(layered.weights()), "t")
    found = matched(content, content)
    assert pairs(found) == [(index, index) for index in range(len(LEFT))]
    assert {one.how for one in found.tensors} == {"identity"}


def unfused() -> bytes:
    """The stem as a convolution, a factor and a summand for each channel, and an activation."""
    shape = layered.SHAPES["stem"]
    extra = [T(name, shape) for name in ("raw", "scaled", "moved")]
    extra += [T(name, (8,), data=np.full(8, 1.0, np.float32)) for name in ("gamma", "beta")]
    rows = layered.nodes()
    stem = [
        N("CONV_2D", ["image", "stem_w", "stem_bias"], ["raw"], 1, layered.CONV),
        N("MUL", ["raw", "gamma"], ["scaled"], 1, {"kind": "MulOptions"}),
        N("ADD", ["scaled", "beta"], ["moved"], 1, {"kind": "AddOptions"}),
        N("RELU", ["moved"], ["stem"]),
    ]
    return layered.float_file(layered.weights(), [*stem, *rows[1:]], extra)


def test_folded_operators_are_matched_behind_the_last_of_them() -> None:
    folded = layered.int8_file(layered.weights())
    found = matched(unfused(), folded)
    assert by_name(found, unfused(), folded) == {name: name for name in EVERY}
    assert found.left_only == ("MUL (scaled)", "ADD (moved)")
    back = matched(folded, unfused())
    assert by_name(back, folded, unfused()) == {name: name for name in EVERY}
    assert back.right_only == ("MUL (scaled)", "ADD (moved)")


def test_an_activation_that_one_side_lacks_is_told() -> None:
    rows = layered.nodes()
    bare = layered.float_file(
        layered.weights(), [N("CONV_2D", rows[0].inputs, ["stem"], 1, layered.CONV), *rows[1:]]
    )
    found = matched(layered.float_file(layered.weights()), bare)
    assert found.left_only == ("RELU fused into CONV_2D (stem)",)
    assert [one.name for one in found.tensors] == EVERY


def test_operators_around_the_edges_are_skipped_and_their_rounding_shown() -> None:
    """Float inputs and outputs around an int8 graph."""
    of = layered.weights()
    inner = parse(layered.int8_file(of)).graphs[0]
    extra = [T("image_in", layered.SHAPES["image"]), T("y_out", layered.SHAPES["y"])]
    rows = [
        N("QUANTIZE", ["image_in"], ["image"]),
        *layered.nodes(),
        N("DEQUANTIZE", ["y"], ["y_out"]),
    ]
    content = layered.int8_file(of, rows, extra=extra, edges=("image_in", "y_out"))
    found = matched(layered.float_file(of), content)
    assert found.tensors[0].operator == "INPUT"
    assert (found.tensors[1].operator, found.tensors[1].inputs) == ("QUANTIZE", (0,))
    assert [one.name for one in found.tensors[1:]] == EVERY
    assert found.tensors[2].inputs == (1,)
    assert len(inner.nodes) == len(layered.nodes())


def swished(whole: bool) -> bytes:
    """A dense layer, a hard swish as one operator or as four, and another dense layer."""
    rng = np.random.default_rng(4)
    tensors = [T(name, (1, 16)) for name in ("x", "a", "up", "clipped", "times", "b", "y")]
    tensors += [
        T(f"{name}_w", (16, 16), data=rng.normal(size=(16, 16)).astype(np.float32))
        for name in ("a", "y")
    ]
    tensors += [T("three", (1,), data=np.float32([3])), T("sixth", (1,), data=np.float32([1 / 6]))]
    dense = {"kind": "FullyConnectedOptions"}
    parts = [
        N("ADD", ["a", "three"], ["up"], 1, {"kind": "AddOptions"}),
        N("RELU6", ["up"], ["clipped"]),
        N("MUL", ["a", "clipped"], ["times"], 1, {"kind": "MulOptions"}),
        N("MUL", ["times", "sixth"], ["b"], 1, {"kind": "MulOptions"}),
    ]
    one = [N("HARD_SWISH", ["a"], ["b"], 1, {"kind": "HardSwishOptions"})]
    rows = [
        N("FULLY_CONNECTED", ["x", "a_w", None], ["a"], 1, dense),
        *(one if whole else parts),
        N("FULLY_CONNECTED", ["b", "y_w", None], ["y"], 1, dense),
    ]
    return build(G(tensors, rows, ["x"], ["y"]))


def test_the_walk_goes_on_behind_what_has_no_counterpart() -> None:
    found = matched(swished(True), swished(False))
    last = found.tensors[-1]
    assert (last.operator, last.name, last.how) == ("FULLY_CONNECTED", "y", "order")
    assert found.left_only == ("HARD_SWISH (b)",)
    assert [one.split()[0] for one in found.right_only] == ["ADD", "RELU6", "MUL", "MUL"]


def two_inputs(names: list[str]) -> bytes:
    tensors = [*(T(name, (1, 4)) for name in names), T("y", (1, 4))]
    return build(G(tensors, [N("SUB", ["a", "b"], ["y"])], names, ["y"]))


def test_inputs_are_matched_by_name_whatever_their_order() -> None:
    files = two_inputs(["a", "b"]), two_inputs(["b", "a"])
    assert by_name(matched(*files), *files) == {"a": "a", "b": "b", "y": "y"}


REAL = [
    ("conv_fc_mnist", "mnist_quantized", 6),
    ("conv_fc_mnist", "partly_quantized_mnist", 7),
    ("partly_quantized_mnist", "conv_fc_mnist_srq_a8w8", 6),
    ("hello_world_float", "hello_world_int8", 4),
    ("trained_lstm", "trained_lstm_int8", 4),
    ("duplicated_tensor_names", "duplicated_tensor_names", 7),
]


@pytest.mark.parametrize(("left", "right", "count"), REAL)
def test_real_pairs_are_matched_whole(test_data: Path, left: str, right: str, count: int) -> None:
    folder = test_data / "misc_tflite"
    found = matched(*((folder / f"{name}.tflite").read_bytes() for name in (left, right)))
    assert len(found.tensors) == count
    assert (found.left_only, found.right_only) == ((), ())
    assert "order" not in {one.how for one in found.tensors}
