"""Layers compared one by one: a planted fault is found at the operator that holds it."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import layered
import numpy as np
import pytest
from tflite_files import G, N, T, build

from edgekit.errors import DeviceError, ModelError
from edgekit.evaluation.layers import trace
from edgekit.evaluation.layers.parity import LayerParity, layer_parity
from edgekit.evaluation.layers.trace import LayerSide
from edgekit.targets.devices import Workplace, open_device, parse
from edgekit.types import Preprocess, Request

ITEMS = 8


@dataclass
class Inside:
    """LiteRT in the test's own process: the runner's mode without its start-up."""

    name: str = "inside"
    runtime: str = "litert"
    runs: int = 0

    def run(self, request: Request) -> Any:
        runner = importlib.import_module("edgekit.targets.runners.python_runner")
        sys.modules.setdefault("python_runner", runner)
        mode = importlib.import_module("edgekit.targets.runners.trace_mode")
        self.runs += 1
        result: dict[str, Any] = {"models": {}}
        mode.run(replace(request, runtime=self.runtime).to_json(), result)
        return result


Compare = Callable[..., LayerParity]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """Compare two files' bytes on the test's images."""
    np.save(tmp_path / "image.npy", layered.images(ITEMS))
    np.save(tmp_path / "index.npy", np.arange(ITEMS))

    def run(left: bytes, right: bytes, device: Any = None, items: int = ITEMS) -> LayerParity:
        for name, content in (("left", left), ("right", right)):
            (tmp_path / f"{name}.tflite").write_bytes(content)
        device = device or Inside()
        sides = [LayerSide(tmp_path / f"{name}.tflite", device) for name in ("left", "right")]
        return layer_parity(
            *sides,
            {"image": tmp_path / "image.npy"},
            tmp_path / "index.npy",
            Preprocess(),
            items=items,
            folder=tmp_path / "traces",
        )

    return run


def first(found: LayerParity) -> str:
    return found.first_fall.name if found.first_fall else ""


def test_layers_of_a_sound_int8_file_do_not_fall(compare: Compare) -> None:
    found = compare(layered.float_file(layered.weights()), layered.int8_file(layered.weights()))
    rows = [(one.operator, one.name) for one in found.layers]
    assert rows == [
        ("INPUT", "image"),
        ("CONV_2D", "stem"),
        ("CONV_2D", "plus"),
        ("CONV_2D", "minus"),
        ("SUB", "difference"),
        ("AVERAGE_POOL_2D", "pooled"),
        ("FULLY_CONNECTED", "scores"),
        ("SOFTMAX", "y"),
    ]
    assert found.first_fall is None
    assert all(25 < one.sqnr.value < 60 for one in found.layers if one.sqnr.value)
    assert (found.left_only, found.right_only, found.missing, found.notes) == ((), (), (), ())
    assert found.n == ITEMS
    assert (found.left, found.right) == ("left.tflite on inside", "right.tflite on inside")


def flipped(of: dict[str, Any]) -> bytes:
    kernel = of["minus"] = of["minus"].copy()
    at = np.unravel_index(np.abs(kernel).argmax(), kernel.shape)
    kernel[at] *= -1
    return layered.int8_file(of)


def swapped_channels(of: dict[str, Any]) -> bytes:
    of["stem"] = of["stem"][..., ::-1]
    return layered.int8_file(of)


FAULTS = {
    "flipped weight": (flipped, "minus"),
    "wrong rescale": (lambda of: layered.int8_file(of, weight_scales={"plus": 1.5}), "plus"),
    "swapped inputs": (lambda of: layered.int8_file(of, layered.nodes(True)), "difference"),
    "swapped channels": (swapped_channels, "stem"),
    "a pooling that rescales": (
        lambda of: layered.int8_file(of, ranges={"pooled": 2.4, "flat": 2.4}),
        "pooled",
    ),
    "a range 40 times too wide": (lambda of: layered.int8_file(of, ranges={"minus": 120}), "minus"),
    "a range that clips": (lambda of: layered.int8_file(of, ranges={"plus": 0.6}), "plus"),
    "other dense": (
        lambda of: layered.int8_file({**of, "scores": layered.weights(2)["scores"]}),
        "scores",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_first_fall_names_the_planted_fault(compare: Compare, fault: str) -> None:
    plant, where = FAULTS[fault]
    found = compare(layered.float_file(layered.weights()), plant(layered.weights()))
    assert first(found) == where
    if fault != "flipped weight":
        assert found.ranked[0].name == where


def test_a_small_addend_that_falls_without_effect_is_absorbed(compare: Compare) -> None:
    """One branch a hundred times smaller than the other, and in a step far too wide."""
    of = layered.weights()
    for name in ("minus", "minus_bias"):
        of[name] = of[name] / 100
    found = compare(layered.float_file(of), layered.int8_file(of, ranges={"minus": 1.5}))
    minus = next(one for one in found.layers if one.name == "minus")
    assert (minus.falls, minus.absorbed) == (True, True)
    assert found.first_fall is None
    assert found.ranked[-1] == minus
    # As wide a step in the branch that is the sum's signal has an effect.
    found = compare(layered.float_file(of), layered.int8_file(of, ranges={"plus": 150}))
    assert first(found) == "plus"


def test_first_fall_is_a_nan_that_only_the_right_has(compare: Compare) -> None:
    of = layered.weights()
    left = layered.float_file(of)
    of["minus_bias"] = np.where(np.arange(8) == 3, np.nan, of["minus_bias"]).astype(np.float32)
    found = compare(left, layered.float_file(of))
    assert first(found) == "minus"
    assert found.ranked[0].name == "minus"
    assert found.first_fall is not None
    assert "the right tensor is NaN or infinite at item 0" in found.first_fall.sqnr.reason
    json.dumps(found.to_json(), allow_nan=False, default=str)


def test_layers_by_hand(compare: Compare) -> None:
    """A bias moved by half: the difference is the same everywhere, before and behind the SUB."""
    of = layered.weights()
    left = layered.float_file(of)
    of["plus_bias"] = of["plus_bias"] + np.float32(0.5)
    found = {one.name: one for one in compare(left, layered.float_file(of)).layers}
    for name in ("plus", "difference", "pooled"):
        assert found[name].max_abs_error.value == pytest.approx(0.5, rel=1e-5)
        assert found[name].mean_abs_error.value == pytest.approx(0.5, rel=1e-5)
    assert found["minus"].sqnr.reason == "the tensors are equal"
    plus, difference = (10 ** (-(found[n].sqnr.value or 0) / 10) for n in ("plus", "difference"))
    assert found["difference"].added.value == pytest.approx(difference - plus)
    assert found["difference"].fall.value == pytest.approx(10 * np.log10(difference / plus))


def test_traces_take_turns_when_they_need_more_room(
    compare: Compare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = layered.float_file(layered.weights()), layered.int8_file(layered.weights())
    whole = compare(*files)
    # Three items of both sides: 4 bytes for each value of the eight tensors compared.
    values = sum(int(np.prod(s)) for n, s in layered.SHAPES.items() if n != "flat")
    monkeypatch.setattr(trace, "ROOM", 3 * 2 * 4 * values)
    device = Inside()
    assert compare(*files, device=device) == whole
    assert device.runs == 2 * 3
    assert not list((tmp_path / "traces").rglob("*.npy"))


def test_layers_are_not_compared_on_a_runtime_that_hides_them(compare: Compare) -> None:
    file = layered.float_file(layered.weights())
    with pytest.raises(DeviceError) as caught:
        compare(file, file, device=Inside("local:tensorflow", "tensorflow"))
    assert caught.value.code == "EK-LAYERS-001"
    assert "local:litert" in caught.value.hint


def test_layers_of_two_strangers_are_not_compared(compare: Compare) -> None:
    from edgekit.targets.runners.probe import probe_model

    with pytest.raises(ModelError) as caught:
        compare(layered.float_file(layered.weights()), probe_model())
    assert caught.value.code == "EK-LAYERS-003"


def test_layers_are_the_same_in_a_runner_of_its_own(compare: Compare, tmp_path: Path) -> None:
    files = layered.float_file(layered.weights()), layered.int8_file(layered.weights())
    device = open_device(parse("local:litert"), Workplace(tmp_path / "requests", tmp_path / "log"))
    assert compare(*files, device=device).layers == compare(*files).layers


def deep(precision: str) -> bytes:
    """Sixty convolutions with 16 channels on 48 x 48 pixels, one behind the other."""
    rng = np.random.default_rng(5)
    shape, step = [1, 48, 48, 16], [6 / 127]
    quantized = precision == "int8"
    rows, before = [], "image"
    image = T("image", shape, "INT8", scale=step, zero=[0]) if quantized else T("image", shape)
    tensors = [image]
    for number in range(60):
        kernel = rng.normal(0, 0.117, (16, 3, 3, 16)).astype(np.float32)
        scales = np.abs(kernel).max(axis=(1, 2, 3)) / 127
        name = f"layer{number}"
        if quantized:
            stored = np.round(kernel / scales.reshape(-1, 1, 1, 1)).astype(np.int8)
            tensors.append(
                T(f"{name}_w", kernel.shape, "INT8", stored, scale=scales.tolist(), zero=[0] * 16)
            )
            bias = np.zeros(16, np.int32)
            tensors.append(
                T(
                    f"{name}_b",
                    [16],
                    "INT32",
                    bias,
                    scale=(scales * step[0]).tolist(),
                    zero=[0] * 16,
                )
            )
            tensors.append(T(name, shape, "INT8", scale=step, zero=[0]))
        else:
            tensors.append(T(f"{name}_w", kernel.shape, data=kernel))
            tensors.append(T(f"{name}_b", [16], data=np.zeros(16, np.float32)))
            tensors.append(T(name, shape))
        rows.append(
            N(
                "CONV_2D",
                [before, f"{name}_w", f"{name}_b"],
                [name],
                3,
                {**layered.CONV, **layered.RELU},
            )
        )
        before = name
    return build(G(tensors, rows, ["image"], [before]))


@pytest.mark.slow
def test_sixty_layers_take_less_than_20_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    np.save(tmp_path / "image.npy", rng.normal(size=(32, 48, 48, 16)).astype(np.float32))
    np.save(tmp_path / "index.npy", np.arange(32))
    device = open_device(parse("local:litert"), Workplace(tmp_path / "requests", tmp_path / "log"))
    sides = []
    for precision in ("float32", "int8"):
        sides.append(LayerSide(tmp_path / f"{precision}.tflite", device))
        sides[-1].path.write_bytes(deep(precision))
    begin = os.times()
    found = layer_parity(
        sides[0],
        sides[1],
        {"image": tmp_path / "image.npy"},
        tmp_path / "index.npy",
        Preprocess(),
        folder=tmp_path / "traces",
    )
    # Processor time of this process and the runners, whatever else the machine does.
    seconds = sum(after - before for after, before in zip(os.times()[:4], begin[:4], strict=True))
    assert (len(found.layers), found.n, found.first_fall) == (61, 32, None)
    assert seconds < 20
