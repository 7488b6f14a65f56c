"""Streams, shapes, signatures and missing labels, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tflite_files import G, N, T, build, counting, doubling

from conftest import answer
from edgekit.pipeline.measure.shape_inputs import shape_inputs
from edgekit.types import SavedModel

QUICK = ("--worst", 0, "--metric", "mae", "--json")
BENCH = (
    "--no-calibrate",
    "--min-seconds",
    0.1,
    "--max-seconds",
    0.3,
    "--max-runs",
    200,
    "--launches",
    2,
    "--precision-goal",
    "50%",
    "--json",
)
CLIPS = np.array([7, 3, 7, 3, 7, 3])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, and data that they answer rightly."""
    folder = tmp_path_factory.mktemp("inputs")
    square = N("MUL", ["x", "x"], ["y"], options={"kind": "MulOptions"})
    files = {
        "counting": counting(),
        "free": build(doubling([1, 1, 1, 3], free=[1, -1, -1, 3])),
        "eight": build(doubling([8, 3])),
        "whole": build(doubling([5])),
        "two": build(
            doubling([1, 2], signature="infer"),
            G([T("x", [1, 2]), T("y", [1, 2])], [square], ["x"], ["y"], "a square"),
        ),
    }
    for name, content in files.items():
        (folder / f"{name}.tflite").write_bytes(content)
    ones = np.ones((6, 1), np.float32)
    sums = 5 + np.arange(1, 7, dtype=np.float32)[:, None]
    by_clip = 5 + np.array([1, 1, 2, 2, 3, 3], np.float32)[:, None]
    save(folder, "apart", ones, np.full((6, 1), 6, np.float32))
    save(folder, "stream", ones, sums)
    save(folder, "clips", ones, by_clip, clip=CLIPS)
    rng = np.random.default_rng(0)
    shapes = {"free": (3, 4, 5, 3), "eight": (11, 3), "whole": (4, 5), "two": (4, 2)}
    for name, shape in shapes.items():
        x = rng.random(shape).astype(np.float32)
        save(folder, name, x, 2 * x)
    return folder


def save(folder: Path, name: str, x: npt.NDArray[Any], y: npt.NDArray[Any], **more: Any) -> None:
    np.savez(folder / f"{name}.npz", x=x, y=y, **more)
    np.savez(folder / f"{name}-unlabelled.npz", x=x)


def error_of(folder: Path, model: str, data: str, *more: object) -> float:
    """The mean absolute error that evaluate finds."""
    found = answer(
        "evaluate", f"{model}.tflite", "--data", f"{data}.npz", *QUICK, *more, cwd=folder
    )
    assert found.returncode == 0, found.stderr
    return float(json.loads(found.stdout)["models"][0]["metric"]["value"])


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("apart", ()),
        ("stream", ("--stream",)),
        ("stream", ("--stream", "--limit", 3)),
        ("clips", ("--stream-by", "clip")),
    ],
    ids=str,
)
def test_state_is_reset_for_each_item_or_carried_on_where_it_is_asked_for(
    folder: Path, data: str, options: tuple[object, ...]
) -> None:
    assert error_of(folder, "counting", data, *options) == 0.0


@pytest.mark.parametrize(("data", "options"), [("stream", ()), ("apart", ("--stream",))])
def test_the_other_way_is_wrong(folder: Path, data: str, options: tuple[object, ...]) -> None:
    assert error_of(folder, "counting", data, *options) > 1.0


def test_the_project_file_asks_for_streams(folder: Path) -> None:
    (folder / "edgekit.toml").write_text(
        'schema = 1\n[model]\nsource = "counting.tflite"\n[data]\nevaluate = "clips.npz"\n'
        '[evaluate]\nmetric = "mae"\nstream = "clip"\n'
    )
    found = answer("evaluate", "--worst", 0, "--json", cwd=folder)
    (folder / "edgekit.toml").unlink()
    assert json.loads(found.stdout)["models"][0]["metric"]["value"] == 0.0


@pytest.mark.parametrize("model", ["free", "eight", "whole"])
def test_items_are_taken_by_their_shape(folder: Path, model: str) -> None:
    assert error_of(folder, model, model) == 0.0


def test_bench_asks_for_a_free_size_instead_of_timing_a_picture_of_one_pixel(folder: Path) -> None:
    found = answer("bench", "free.tflite", *BENCH, cwd=folder)
    assert found.returncode == 2
    assert "EK-DATA-060" in found.stderr
    assert "--shape x=1,96,96,3" in found.stderr
    for wrong in ("x=1,4,5,4", "x=1,4,3", "image=1,4,5,3", "x=1,any,5,3"):
        found = answer("bench", "free.tflite", "--shape", wrong, *BENCH, cwd=folder)
        assert found.returncode == 2, wrong
    found = answer("bench", "free.tflite", "--shape", "x=1,4,5,3", *BENCH, cwd=folder)
    assert found.returncode == 0, found.stderr


def test_bench_runs_the_files_own_batch_and_says_so(folder: Path) -> None:
    found = answer("bench", "eight.tflite", *BENCH, cwd=folder)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["rows"][0]["batch"] == 8


def test_the_signature_is_named_or_refused_with_the_names(folder: Path) -> None:
    assert error_of(folder, "two", "two", "--signature", "infer") == 0.0
    assert error_of(folder, "two", "two", "--signature", "a square") > 0.1
    for command in (
        ("evaluate",),
        ("compare", "--device", "local", "--device", "tflm"),
        ("bench",),
    ):
        data = () if command == ("bench",) else ("--data", "two.npz", "--metric", "mae")
        for more, code in (((), "several"), (("--signature", "learn"), "no signature 'learn'")):
            found = answer(*command, "two.tflite", *data, *more, cwd=folder)
            assert found.returncode == 2
            assert "EK-MODEL-011" in found.stderr
            assert code in found.stderr
            assert "'infer'" in found.stderr


def test_parity_and_flips_need_no_labels(folder: Path) -> None:
    devices = ("--device", "local:litert", "--device", "local:reference", "--no-latency")
    asked = ("compare", "two.tflite", "--signature", "infer", "--data", "two-unlabelled.npz")
    found = answer(*asked, *devices, "--max-error", 0, "--json", cwd=folder)
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    (contrast,) = told["contrasts"]
    assert contrast["parity"]["y"]["max_abs_error"]["value"] == 0.0
    assert contrast["flips"]["value"] == 0.0
    assert contrast["drop"]["reason"] == "the items have no labels"
    assert any(one["code"] == "EK-NOTE-072" for one in told["advice"])


def test_a_metric_that_is_asked_for_needs_its_labels(folder: Path) -> None:
    devices = ("--device", "local:litert", "--device", "local:reference", "--no-latency")
    for asked in (("--metric", "mae"), ("--max-drop", "0.01")):
        found = answer(
            "compare",
            "eight.tflite",
            "--data",
            "eight-unlabelled.npz",
            *devices,
            *asked,
            cwd=folder,
        )
        assert found.returncode == 2, asked
        assert "label" in found.stderr


def sized(operator: str, options: str) -> bytes:
    """A file whose second input tells an operator a size, 4 by 4 where it is written."""
    tensors = [T("x", [1, 2, 2, 1]), T("size", [2], "INT32"), T("y", [1, 4, 4, 1])]
    node = N(operator, ["x", "size"], ["y"], options={"kind": options} if options else {})
    return build(G(tensors, [node], ["x", "size"], ["y"]))


def test_an_input_that_is_a_size_is_not_drawn_by_chance(tmp_path: Path) -> None:
    resized = sized("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions")
    (tmp_path / "sized.tflite").write_bytes(resized)
    model = SavedModel(tmp_path / "sized.tflite", "", 0, (), (), False, 0, "litert")
    found = {name: value.tolist() for name, value in shape_inputs(model).items()}
    assert found == {"size": [4, 4]}
    timed = answer("bench", "sized.tflite", *BENCH, cwd=tmp_path)
    assert timed.returncode == 0, timed.stderr


def test_an_amount_that_the_file_does_not_tell_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "tiled.tflite").write_bytes(sized("TILE", ""))
    found = answer("bench", "tiled.tflite", *BENCH, cwd=tmp_path)
    assert found.returncode == 2
    assert "EK-DATA-061" in found.stderr
    assert "--data FILE.npz" in found.stderr
