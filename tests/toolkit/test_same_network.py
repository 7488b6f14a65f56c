"""Whether two files are one network: copies are, whatever their precision; strangers are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import layered
import numpy as np
import pytest
from tflite_files import G, N, T, build

from edgekit.converters import flatbuffer
from edgekit.evaluation.layers.likeness import Likeness, same_network
from edgekit.targets.runners.probe import probe_model

Weights = dict[str, Any]


def compared(left: bytes, right: bytes) -> Likeness:
    return same_network(flatbuffer.parse(left, "left"), flatbuffer.parse(right, "right"))


def against(right: bytes) -> Likeness:
    return compared(layered.float_file(layered.weights()), right)


@pytest.mark.parametrize("levels", [127, 7, 3])
def test_a_rounded_copy_holds_the_same_weights(levels: int) -> None:
    found = against(layered.int8_file(layered.weights(), levels=levels))
    assert found.verdict == "same weights"
    assert [one.values for one in found.layers] == [216, 576, 576, 1280]
    assert found.covered == 1.0
    assert not any(one.scaled or one.reordered for one in found.layers)


def test_copies_are_recognised_by_their_weights_where_names_lie() -> None:
    swap = {"plus": "minus", "minus": "plus"}
    assert against(layered.int8_file(layered.weights(), names=swap)).verdict == "same weights"


def test_another_seed_is_another_network() -> None:
    found = against(layered.int8_file(layered.weights(2)))
    assert found.verdict == "different weights"
    assert all(abs(one.correlation) < 0.3 for one in found.layers)
    assert "(median)" in found.reason


def test_one_flipped_weight_is_no_other_network() -> None:
    of = layered.weights()
    of["minus"].reshape(-1)[np.abs(of["minus"]).argmax()] *= -1
    found = against(layered.int8_file(of))
    assert found.verdict in ("same weights", "not known")
    assert found.layers[2].correlation > 0.95


def equalised(of: Weights) -> None:
    factors = np.geomspace(0.2, 5, 8).astype(np.float32)
    of["stem"] *= factors.reshape(-1, 1, 1, 1)
    of["plus"] /= factors
    of["minus"] /= factors


def pruned(of: Weights) -> None:
    for name in layered.LAYERS:
        kernel = of[name]
        kernel[np.abs(kernel) < np.quantile(np.abs(kernel), 0.7)] = 0


def new_head(of: Weights) -> None:
    of["stem"] = layered.weights(2)["stem"]


def other_input_order(of: Weights) -> None:
    of["stem"] = of["stem"][..., ::-1]


def other_output_order(of: Weights) -> None:
    of["plus"] = of["plus"][[1, 0, 2, 3, 4, 5, 7, 6]]


CHANGES: dict[str, tuple[Callable[[Weights], None], str, str]] = {
    "equalised": (equalised, "same weights", "copies"),
    "pruned": (pruned, "not known", "4 of 4 constants are not plain copies"),
    "one layer anew": (new_head, "not known", "1 of 4 constants"),
    "input channels": (other_input_order, "not known", "another order in CONV_2D stem"),
    "output channels": (other_output_order, "not known", "another order in CONV_2D plus"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_done_to_the_weights_is_told(change: str) -> None:
    alter, verdict, reason = CHANGES[change]
    of = layered.weights()
    alter(of)
    found = against(layered.float_file(of))
    assert (found.verdict, reason in found.reason) == (verdict, True), found


def test_equalised_channels_agree_up_to_their_factors() -> None:
    of = layered.weights()
    equalised(of)
    found = against(layered.int8_file(of))
    assert found.verdict == "same weights"
    assert [one.scaled for one in found.layers] == [True, True, True, False]


def test_other_shapes_are_another_structure() -> None:
    of = layered.weights()
    of["scores"] = np.zeros((12, 128), np.float32)
    of["scores_bias"] = np.zeros(12, np.float32)
    found = against(layered.float_file(of))
    assert found.verdict == "different structure"
    assert "FULLY_CONNECTED (scores) [(10, 128)] and [(12, 128)]" in found.reason


def looped(seed: int) -> bytes:
    """A loop whose body holds a dense layer, and nothing else with weights."""
    kernel = np.random.default_rng(seed).normal(size=(16, 16)).astype(np.float32)
    step = {"kind": "WhileOptions", "condSubgraphIndex": 1, "bodySubgraphIndex": 2}
    main = G([T("x", (1, 16)), T("y", (1, 16))], [N("WHILE", ["x"], ["y"], 1, step)], ["x"], ["y"])
    goes_on = G(
        [T("c", (1, 16)), T("no", (1,), "BOOL", np.array([False]))],
        [],
        ["c"],
        ["no"],
        signature=None,
    )
    dense = N("FULLY_CONNECTED", ["b", "k", None], ["z"], 1, {"kind": "FullyConnectedOptions"})
    tensors = [T("b", (1, 16)), T("k", (16, 16), data=kernel), T("z", (1, 16))]
    return build(main, goes_on, G(tensors, [dense], ["b"], ["z"], signature=None))


def test_weights_in_the_body_of_a_loop_count() -> None:
    assert compared(looped(1), looped(1)).verdict == "same weights"
    assert compared(looped(1), looped(2)).verdict == "different weights"


def test_files_without_weights_tell_nothing() -> None:
    found = compared(probe_model(), probe_model())
    assert found.verdict == "not known"
    assert "64 weights" in found.reason
    assert against(probe_model()).verdict == "different structure"


def test_likeness_is_json() -> None:
    document = json.loads(json.dumps(against(layered.int8_file(layered.weights())).to_json()))
    assert document["verdict"] == "same weights"
    assert document["layers"][0]["name"] == "stem"


REAL = [
    ("conv_fc_mnist", "mnist_quantized", "same weights"),
    ("conv_fc_mnist", "partly_quantized_mnist", "same weights"),
    ("trained_lstm", "trained_lstm_int8", "same weights"),
    # One architecture, trained twice.
    ("conv_fc_mnist", "conv_fc_mnist_srq_a8w8", "different weights"),
    ("hello_world_float", "hello_world_int8", "different weights"),
    ("conv_fc_mnist", "trained_lstm", "different structure"),
]


@pytest.mark.parametrize(("left", "right", "verdict"), REAL)
def test_real_pairs_are_recognised(test_data: Path, left: str, right: str, verdict: str) -> None:
    paths = [test_data / "misc_tflite" / f"{name}.tflite" for name in (left, right)]
    assert compared(*(path.read_bytes() for path in paths)).verdict == verdict
