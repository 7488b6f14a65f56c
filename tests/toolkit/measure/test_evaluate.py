"""A model scored as it is: metric, classes, slices, groups, worst items, the user's function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_files import G, N, T, build

from conftest import answer
from edgekit.api import Options, evaluate
from edgekit.errors import DataError, DeviceError, EdgekitError, ProjectError
from edgekit.pipeline.measure import MeasureOptions
from edgekit.project import Project
from edgekit.targets.runners import OWN, RUNNERS, Runner
from edgekit.types import Evaluated, Status

SIDE = 4
PIXELS = SIDE * SIDE
ITEMS = 120


def scorer() -> bytes:
    """Pictures ``x`` [1, 4, 4, 1] to the sums of their left and right halves."""
    w = np.zeros((2, SIDE, SIDE), np.float32)
    w[0, :, : SIDE // 2] = w[1, :, SIDE // 2 :] = 1
    tensors = [
        T("x", [1, SIDE, SIDE, 1]),
        T("flat", [1, PIXELS]),
        T("y", [1, 2]),
        T("shape", [2], "INT32", np.array([1, PIXELS], np.int32)),
        T("w", [2, PIXELS], data=w.reshape(2, PIXELS)),
    ]
    nodes = [
        N("RESHAPE", ["x", "shape"], ["flat"]),
        N("FULLY_CONNECTED", ["flat", "w", None], ["y"]),
    ]
    return build(G(tensors, nodes, ["x"], ["y"]))


def halver() -> bytes:
    """An autoencoder that gives back half of ``x`` [1, 2]."""
    tensors = [T("x", [1, 2]), T("h", [1], data=np.array([0.5], np.float32)), T("y", [1, 2])]
    return build(G(tensors, [N("MUL", ["x", "h"], ["y"])], ["x"], ["y"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures whose brighter half is the class; what camera "b" took is labelled wrongly."""
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "model.tflite").write_bytes(scorer())
    (folder / "halver.tflite").write_bytes(halver())
    x = np.random.default_rng(0).random((ITEMS, SIDE, SIDE, 1)).astype(np.float32)
    sides = x[:, :, : SIDE // 2].sum(axis=(1, 2, 3)), x[:, :, SIDE // 2 :].sum(axis=(1, 2, 3))
    y = (sides[1] > sides[0]).astype(np.int64)
    camera = np.array(["a", "b", "a"] * (ITEMS // 3))
    y[camera == "b"] ^= 1
    np.savez(folder / "data.npz", x=x, y=y, camera=camera)
    # Clips of three windows: those of label 1 are loud, hence badly given back.
    clip = np.repeat(np.arange(40), 3)
    label = (clip % 4 == 0).astype(np.int64)
    sound = np.random.default_rng(1).random((ITEMS, 2)).astype(np.float32) + 3 * label[:, None]
    np.savez(folder / "sound.npz", x=sound.astype(np.float32), y=label, clip=clip)
    (folder / "mine.py").write_text(
        "def swapped(outputs):\n    return outputs['y'][:, ::-1]\n\n"
        "def short(outputs):\n    return outputs['y'][1:]\n"
    )
    return folder


def run(
    folder: Path,
    model: str = "model",
    data: str = "data",
    asked: MeasureOptions | None = None,
    limit: int | None = None,
    **table: Any,
) -> Evaluated:
    project = Project.model_validate(
        {
            "model": {"source": f"{model}.tflite"},
            "data": {"evaluate": f"{data}.npz"},
            "evaluate": table,
        }
    )
    project._root = folder
    options = Options(output=folder / "out", limit=limit)
    return evaluate(project, str(folder / f"{model}.tflite"), asked, options)


def value(done: Evaluated) -> float:
    metric = done.models[0].metric
    assert metric is not None
    assert metric.value is not None
    return metric.value


def test_columns_of_the_data_are_refused_until_they_are_named(folder: Path) -> None:
    with pytest.raises(DataError, match="camera"):
        run(folder)


def test_slice_shows_where_a_model_is_wrong(folder: Path) -> None:
    done = run(folder, slices=["camera"])
    assert value(done) == pytest.approx(2 / 3)
    first, second = done.slices
    assert (first["value"], first["count"], first["metric"]["value"]) == ("b", 40, 0.0)
    assert (second["value"], second["count"], second["metric"]["value"]) == ("a", 80, 1.0)


def test_classes_are_told_apart_with_what_they_are_taken_for(folder: Path) -> None:
    done = run(folder, asked=MeasureOptions(by_class=True), slices=["camera"])
    assert {one["value"] for one in done.slices if one["name"] == "class"} == {"0", "1"}
    confusion = np.array(done.details["confusion"])
    assert confusion.sum() == ITEMS
    assert np.trace(confusion) == 80
    assert {one["count"] for one in done.details["confused"]} <= set(range(41))


def test_worst_items_are_named_by_their_place_in_the_data_and_drawn(folder: Path) -> None:
    from PIL import Image

    sheet = folder / "worst.png"
    done = run(folder, asked=MeasureOptions(worst=3, pictures=sheet), limit=60, slices=["camera"])
    camera = np.load(folder / "data.npz")["camera"]
    assert [camera[int(one["item"])] for one in done.worst] == ["b", "b", "b"]
    with Image.open(sheet) as drawn:
        assert drawn.size[0] > 3 * 100


def test_users_function_makes_the_answers_of_the_outputs(folder: Path) -> None:
    done = run(folder, slices=["camera"], postprocess="mine.py:swapped")
    assert value(done) == pytest.approx(1 / 3)


def test_users_function_that_loses_items_is_refused_by_name(folder: Path) -> None:
    with pytest.raises(ProjectError, match=r"mine\.py"):
        run(folder, slices=["camera"], postprocess="mine.py:short")


def test_anomalies_are_scored_by_clip(folder: Path) -> None:
    done = run(folder, "halver", "sound", metric="anomaly_auc", group="clip")
    assert value(done) == 1.0
    assert done.settings["groups"] == 40
    assert done.models[0].items == ITEMS


def test_reconstruction_needs_no_labels(folder: Path) -> None:
    kept = np.load(folder / "sound.npz")
    np.savez(folder / "unlabelled.npz", x=kept["x"])
    done = run(folder, "halver", "unlabelled", metric="reconstruction_error")
    assert value(done) == pytest.approx(float(np.mean((kept["x"] / 2) ** 2)), rel=1e-5)


def test_limited_items_are_drawn_alike_with_one_seed(folder: Path) -> None:
    first, second = (run(folder, slices=["camera"], limit=30) for _ in range(2))
    assert value(first) == value(second)
    assert first.models[0].items == 30


def test_device_that_is_not_there_is_a_row_wherever_it_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Runner(RUNNERS["tflite-runtime"].file, "no-such-distribution")
    monkeypatch.setitem(OWN, "tflite-runtime", absent)  # type: ignore[arg-type]
    asked = MeasureOptions(devices=("local:tflite-runtime", "local"))
    done = run(folder, slices=["camera"], asked=asked)
    assert [one.status for one in done.models] == [Status.UNAVAILABLE, Status.PASSED]
    assert done.verdict.exit_code == 3
    with pytest.raises(DeviceError):
        run(folder, slices=["camera"], asked=MeasureOptions(devices=("local:tflite-runtime",)))


def test_items_beyond_what_a_quantized_input_takes_are_told(folder: Path) -> None:
    tensors = [
        T("x", [1, 2], "INT8", scale=[1 / 255], zero=[-128]),
        T("y", [1, 2], "INT8", scale=[1 / 255], zero=[-128]),
        T("w", [2, 2], "INT8", np.array([[127, 0], [0, 127]], np.int8), scale=[1 / 127], zero=[0]),
    ]
    nodes = [N("FULLY_CONNECTED", ["x", "w", None], ["y"], 4)]
    (folder / "int8.tflite").write_bytes(build(G(tensors, nodes, ["x"], ["y"])))
    y = np.arange(ITEMS) % 2
    for name, scale in (("pixels", 255), ("sound_range", 1)):
        x = np.random.default_rng(0).random((ITEMS, 2)) * scale
        np.savez(folder / f"{name}.npz", x=x.astype(np.float32), y=y)
    (warning,) = (one for one in run(folder, "int8", "pixels").advice if one.code == "EK-NOTE-027")
    assert "takes 0 to 1, the items are" in warning.message
    assert "--rescale 0.00392157 --offset 0" in warning.fix
    assert not [one for one in run(folder, "int8", "sound_range").advice if "NOTE-027" in one.code]


def picker(rescaling: bool = False) -> bytes:
    """Two bytes ``x`` [1, 1, 2], which stand for -1..1, to themselves; or half of float ones."""
    step = {"scale": [1 / 128], "zero": [128]}
    if rescaling:
        tensors = [
            T("x", [1, 1, 2]),
            T("h", [1], data=np.array([0.5], np.float32)),
            T("y", [1, 1, 2]),
        ]
        return build(G(tensors, [N("MUL", ["x", "h"], ["y"])], ["x"], ["y"]))
    tensors = [
        T("x", [1, 1, 2], "UINT8", **step),
        T("y", [1, 2], "UINT8", **step),
        T("shape", [2], "INT32", np.array([1, 2], np.int32)),
    ]
    return build(G(tensors, [N("RESHAPE", ["x", "shape"], ["y"])], ["x"], ["y"]))


def test_raw_bytes_are_fed_as_they_are_to_a_quantized_input_of_bytes(folder: Path) -> None:
    """Read as reals, all of 1..255 lay beyond the input's range: both answers were the same."""
    (folder / "picker.tflite").write_bytes(picker())
    (folder / "half.tflite").write_bytes(picker(rescaling=True))
    x = np.random.default_rng(0).integers(3, 256, (ITEMS, 1, 2), dtype=np.uint8)
    np.savez(folder / "bytes.npz", x=x, y=np.argmax(x.reshape(-1, 2), axis=1))
    done = run(folder, "picker", "bytes")
    assert done.models[0].metric is not None
    assert done.models[0].metric.value == 1.0
    codes = [one.code for one in done.advice]
    assert "EK-NOTE-073" in codes
    # Neither of the notes that would have the bytes scaled.
    assert not {"EK-NOTE-027", "EK-NOTE-002"} & set(codes)
    np.savez(
        folder / "reals.npz",
        x=(x.astype(np.float32) - 128) / 128,
        y=np.argmax(x.reshape(-1, 2), axis=1),
    )
    same = run(folder, "picker", "reals")
    assert same.models[0].metric is not None
    assert same.models[0].metric.value == 1.0
    assert "EK-NOTE-073" not in [one.code for one in same.advice]


def test_nobody_is_told_to_scale_for_a_model_that_rescales_by_itself(folder: Path) -> None:
    (folder / "half.tflite").write_bytes(picker(rescaling=True))
    x = np.random.default_rng(0).integers(3, 256, (ITEMS, 1, 2), dtype=np.uint8)
    np.savez(folder / "bytes.npz", x=x, y=np.argmax(x.reshape(-1, 2), axis=1))
    done = run(folder, "half", "bytes", MeasureOptions(metric_output=None))
    assert not [one for one in done.advice if "unscaled" in one.message]


@pytest.mark.parametrize(
    ("model", "code"),
    [("missing", "EK-MODEL-001"), ("data", "EK-MODEL")],
)
def test_mistaken_model_is_an_error_in_words(folder: Path, model: str, code: str) -> None:
    if model == "data":
        (folder / "data.tflite").write_bytes((folder / "data.npz").read_bytes())
    with pytest.raises(EdgekitError) as caught:
        run(folder, model, slices=["camera"])
    assert caught.value.code.startswith(code)


@pytest.mark.parametrize(
    ("model", "labels", "metric", "reason"),
    [
        ("model", np.ones(ITEMS, np.int64), "roc_auc", "the labels hold no item of class 0"),
        ("halver", np.ones((ITEMS, 2), np.float32), "r2", "the targets do not vary"),
    ],
)
@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_a_metric_that_cannot_be_had_says_why_and_is_unavailable(
    folder: Path,
    tmp_path: Path,
    model: str,
    labels: Any,
    metric: str,
    reason: str,
    quiet: tuple[str, ...],
) -> None:
    x = np.load(folder / ("data.npz" if model == "model" else "sound.npz"))["x"]
    np.savez(tmp_path / "items.npz", x=x, y=labels)
    path = folder / f"{model}.tflite"
    words = ["evaluate", path, "--data", "items.npz", "--metric", metric, *quiet]
    done = answer(*words, cwd=tmp_path)
    assert done.returncode == 3
    rows = [line for line in done.stdout.splitlines() if line.startswith("litert ")]
    assert [row.split()[-1] for row in rows] == ([] if quiet else ["unavailable"])
    assert f"{model}.tflite: unavailable: {metric}: {reason}" in done.stdout
    lines = [line for line in done.stdout.splitlines() if not line.startswith("report ")]
    assert lines[-1] == "unavailable (exit code 3)"
    assert "passed" not in done.stdout
