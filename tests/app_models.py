"""Contents around small models that ask more of a bundle's app than the doubler does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tflite_files
from ai_edge_litert.interpreter import Interpreter
from tflite_files import G, N, T, build

from edgekit.targets.bundles import Contents, Golden
from edgekit.types import BoxesSpec, CarriedState, Preprocess, TensorSpec

SIDE = 32
COLORS = ("red", "green", "blue")


def quarters(height: int = 240, width: int = 320) -> Any:
    """A picture whose left upper quarter is red and whose right lower one is blue."""
    picture = np.full((height, width, 3), 20, np.uint8)
    picture[: height // 2, : width // 2] = (250, 20, 20)
    picture[height // 2 :, width // 2 :] = (20, 20, 200)
    return picture


def detector(folder: Path) -> Contents:
    """A detector of red, green and blue quarters of a picture: each scores what shines there."""
    places = [[x, y, x + 0.5, y + 0.5] for y in (0, 0.5) for x in (0, 0.5)]
    pool = {"kind": "Pool2DOptions", "filterWidth": 16, "filterHeight": 16}
    pool |= {"strideW": 16, "strideH": 16, "padding": 1}
    tensors = [
        T("image", [1, SIDE, SIDE, 3]),
        T("means", [1, 2, 2, 3]),
        T("sizes", [3], "INT32", np.array([1, 4, 3], np.int32)),
        T("scores", [1, 4, 3]),
        T("nothing", [4, 3], data=np.zeros((4, 3), "f4")),
        T("zeros", [1, 4, 4]),
        T("places", [1, 4, 4], data=np.array([places], "f4")),
        T("boxes", [1, 4, 4]),
    ]
    nodes = [
        N("AVERAGE_POOL_2D", ["image"], ["means"], options=pool),
        N("RESHAPE", ["means", "sizes"], ["scores"]),
        N(
            "FULLY_CONNECTED",
            ["scores", "nothing", None],
            ["zeros"],
            5,
            {"kind": "FullyConnectedOptions", "keepNumDims": True},
        ),
        N("ADD", ["zeros", "places"], ["boxes"], options={"kind": "AddOptions"}),
    ]
    model = folder / "detector.tflite"
    model.write_bytes(build(G(tensors, nodes, ["image"], ["boxes", "scores"])))
    small = quarters(SIDE, SIDE)[None]
    golden = answers(model, {"image": np.concatenate([small, small[:, ::-1]])}, 1 / 255)
    spec = BoxesSpec(
        *("boxes", "xyxy", 4, 3, "boxes", "scores", None, None, 4, 1, 0, 3, 1, -1, False, False),
        *(1, 1, (), (1.0, 1.0, 1.0, 1.0), 0.05, 0.5, 20, True, 1000),
    )
    preprocess = Preprocess(1 / 255, color="rgb", resize=(SIDE, SIDE))
    return contents(model, golden, preprocess, COLORS, boxes=spec)


def two_inputs(folder: Path) -> Contents:
    """A picture of 8x8, gray, and three numbers: ``sums`` are the numbers and the mean pixel."""
    pool = {"kind": "Pool2DOptions", "filterWidth": 8, "filterHeight": 8}
    pool |= {"strideW": 8, "strideH": 8, "padding": 1}
    tensors = [
        T("picture", [1, 8, 8, 1]),
        T("numbers", [1, 3]),
        T("mean", [1, 1, 1, 1]),
        T("sizes", [2], "INT32", np.array([1, 1], np.int32)),
        T("flat", [1, 1]),
        T("sums", [1, 3]),
    ]
    nodes = [
        N("AVERAGE_POOL_2D", ["picture"], ["mean"], options=pool),
        N("RESHAPE", ["mean", "sizes"], ["flat"]),
        N("ADD", ["numbers", "flat"], ["sums"], options={"kind": "AddOptions"}),
    ]
    model = folder / "two_inputs.tflite"
    model.write_bytes(build(G(tensors, nodes, ["picture", "numbers"], ["sums"])))
    pictures = np.arange(128, dtype=np.uint8).reshape(2, 8, 8, 1)
    numbers = np.array([[1, 2, 3], [4, 5, 6.5]], np.float32)
    return contents(model, answers(model, {"picture": pictures, "numbers": numbers}))


def second_signature(folder: Path) -> Contents:
    """A file of two signatures, of which the second runs: four times its input."""
    first, second = tflite_files.doubling([1, 2]), tflite_files.doubling([1, 2], signature="again")
    model = folder / "second_signature.tflite"
    third = N("ADD", ["y", "y"], ["z"], options={"kind": "AddOptions"})
    second = G([*second.tensors, T("z", [1, 2])], [*second.nodes, third], ["x"], ["z"], "again")
    model.write_bytes(build(first, second))
    items = np.arange(4, dtype=np.float32).reshape(2, 2)
    golden = Golden({"x": items}, {"z": 4 * items}, {"z": 1e-6})
    return contents(model, golden, signature="again")


def unsigned(folder: Path) -> Contents:
    """A model that computes in int8 between uint8 ends: twice its input."""
    facts = {"scale": [0.5], "zero": [100]}
    tensors = [
        T("x", [1, 2], "UINT8", **facts),
        T("in", [1, 2], "INT8", scale=[0.5], zero=[-28]),
        T("out", [1, 2], "INT8", scale=[1.0], zero=[-28]),
        T("y", [1, 2], "UINT8", scale=[1.0], zero=[100]),
    ]
    nodes = [
        N("QUANTIZE", ["x"], ["in"], 2),
        N("ADD", ["in", "in"], ["out"], 2, {"kind": "AddOptions"}),
        N("QUANTIZE", ["out"], ["y"], 2),
    ]
    model = folder / "unsigned.tflite"
    model.write_bytes(build(G(tensors, nodes, ["x"], ["y"])))
    items = np.arange(6, dtype=np.float32).reshape(3, 2)
    return contents(model, Golden({"x": items}, {"y": 2 * items}, {"y": 1e-6}))


def carrying(folder: Path, *, quantized: bool = False) -> Contents:
    """A model that gives its state back: a stream of three items, and one of two.

    ``quantized`` it is int8, and the state's scale is another one on its way out.
    """
    model = folder / "carrying.tflite"
    model.write_bytes(tflite_files.leaking(quantized))
    items = np.arange(1, 11, dtype=np.float32).reshape(5, 2)
    ends = {"x": (0.5, -7), "state_in": (0.125, 9), "state_out": (0.25, -3), "y": (0.5, 3)}

    def held(name: str, reals: Any) -> Any:
        scale, zero = ends[name]
        if not quantized:
            return reals.astype(np.float32)
        return np.clip(np.round(reals / scale) + zero, -128, 127).astype(np.int8)

    def real(name: str, values: Any) -> Any:
        scale, zero = ends[name]
        return (values - np.float32(zero)) * np.float32(scale) if quantized else values

    runner = Interpreter(str(model)).get_signature_runner()
    streams, outputs, state = (0, 3), [], np.zeros((1, 2), np.float32)
    for at, item in enumerate(items):
        state = np.zeros_like(state) if at in streams else state
        given = runner(x=held("x", item[None]), state_in=held("state_in", state))
        state = real("state_out", given["state_out"])
        outputs.append(real("y", given["y"])[0])
    golden = Golden({"x": items}, {"y": np.array(outputs)}, {"y": 1e-6}, streams=streams)
    into, out = (TensorSpec(f"state_{way}", (1, 2), "float32") for way in ("in", "out"))
    return contents(model, golden, states=(CarriedState(into, out, "by name"),))


def counting(folder: Path) -> Contents:
    """A model that keeps a sum inside, from 5 on, over two streams."""
    model = folder / "counting.tflite"
    model.write_bytes(tflite_files.counting())
    items = np.array([[1], [2], [10]], np.float32)
    outputs = np.array([[6], [8], [15]], np.float32)
    return contents(model, Golden({"x": items}, {"y": outputs}, {"y": 1e-6}, streams=(0, 2)))


def answers(model: Path, inputs: Mapping[str, Any], scale: float = 1.0) -> Golden:
    """Golden pairs: what LiteRT gives for raw items."""
    runner = Interpreter(str(model)).get_signature_runner()
    count = len(next(iter(inputs.values())))
    rows = [
        runner(
            **{n: np.float32(scale) * v[k : k + 1].astype(np.float32) for n, v in inputs.items()}
        )
        for k in range(count)
    ]
    outputs = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return Golden(inputs, outputs, dict.fromkeys(outputs, 1e-5))


def contents(
    model: Path,
    golden: Golden,
    preprocess: Preprocess | None = None,
    labels: tuple[str, ...] = (),
    **more: Any,
) -> Contents:
    """Contents around a model whose ends are those of its golden pairs."""
    ends = [
        tuple(TensorSpec(name, (1, *array.shape[1:]), "float32") for name, array in held.items())
        for held in (golden.inputs, golden.outputs)
    ]
    return Contents(
        name=model.stem,
        version="1.2.3",
        model=model,
        precision="float32",
        inputs=ends[0],
        outputs=ends[1],
        preprocess=preprocess or Preprocess(),
        labels=labels,
        golden=golden,
        measurements={},
        tools={},
        **more,
    )
