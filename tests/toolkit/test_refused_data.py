"""Data that cannot be taken: a clear error with its code, exit code 2, nothing half-written."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forking import tensorflow_script
from refusing import (
    LFS,
    MATCHED,
    NO_EVALUATE,
    Done,
    _encrypted,
    _with_members,
    assert_refused,
    save,
    truncated,
)

from conftest import answer, once

pytest_plugins = ["refusing"]
pytestmark = pytest.mark.usefixtures("lent_worker")
ODD_MODELS = """
import sys, keras
folder = sys.argv[1]
L = keras.layers
keras.Sequential([keras.Input((8, 8, 3), name="photo"), L.Flatten(), L.Dense(2)]).save(
    f"{folder}/colour.keras")
keras.Sequential([keras.Input((4,), dtype="int32", name="tokens"), L.Embedding(9, 3),
                  L.Flatten(), L.Dense(2)]).save(f"{folder}/tokens.keras")
"""


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.fixture(scope="session")
def odd_models(shared: Path) -> Path:
    """``colour.keras`` (``photo`` [8, 8, 3]) and ``tokens.keras`` (``tokens`` int32 [4])."""

    def make(folder: Path) -> None:
        tensorflow_script(ODD_MODELS, folder)

    return once(shared / "odd-models", make)


def convert_data(data: object, models: Path, cwd: Path, *more: object) -> Done:
    model = models / "keras3.keras"
    return answer("convert", model, "--data", data, *(more or MATCHED), cwd=cwd)


def _images(count: int = 20, *shape: int, dtype: Any = np.float32) -> Any:
    return np.zeros((count, *(shape or (8, 8, 1))), dtype)


def test_data_is_refused_when_missing(work: Path, models: Path) -> None:
    said = assert_refused(convert_data("none.npz", models, work), "EK-DATA-001", work)
    assert "none.npz" in said


@pytest.mark.parametrize("name", ["folder.npz", "items.csv"])
def test_data_is_refused_when_of_no_known_kind(work: Path, models: Path, name: str) -> None:
    path = work / name
    path.write_text("1,2,3\n") if name.endswith("csv") else path.mkdir()
    assert_refused(convert_data(path, models, work), "EK-DATA-002", work)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_data_is_refused_when_truncated(
    work: Path, models: Path, digits: Path, share: float
) -> None:
    file = truncated(digits / "test.npz", share, work / "short.npz")
    said = assert_refused(convert_data(file, models, work), "EK-DATA-003", work)
    assert "truncated or damaged" in said


def _write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _npz_as_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, x=_images())


@pytest.mark.parametrize(
    ("suffix", "make"),
    [
        (".npz", _write(b"")),
        (".npy", _write(b"")),
        (".npz", _write(LFS)),
        (".npz", lambda path: np.savez(path)),
        (".npz", lambda path: np.savez(path, x=_images(0), y=np.arange(0))),
        (".npz", lambda path: np.savez(path, x=np.float32(1), y=np.float32(1))),
        (".npz", lambda path: _with_members(path, notes=b"{}")),
        (".npz", _encrypted),
        (".npy", _write(b"no array at all")),
        (".npy", _npz_as_npy),
    ],
    ids=[
        "empty npz",
        "empty npy",
        "lfs",
        "no arrays",
        "no items",
        "scalars",
        "no npy inside",
        "encrypted",
        "text npy",
        "npz as npy",
    ],
)
def test_data_is_refused_when_it_holds_no_items(
    work: Path, models: Path, suffix: str, make: Callable[[Path], object]
) -> None:
    file = work / f"odd{suffix}"
    make(file)
    assert_refused(convert_data(file, models, work), "EK-DATA-003", work)


def test_data_is_refused_when_items_and_labels_differ_in_length(work: Path, models: Path) -> None:
    file = save(work / "d.npz", x=_images(20), y=np.arange(19))
    said = assert_refused(convert_data(file, models, work), "EK-DATA-007", work)
    assert "'x' has 20, 'y' has 19" in said


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["x", "y"])
def test_data_is_refused_when_not_finite(work: Path, models: Path, bad: float, name: str) -> None:
    arrays = {"x": _images(), "y": np.zeros(20)}
    arrays[name][17] = bad
    said = assert_refused(
        convert_data(save(work / "d.npz", **arrays), models, work), "EK-DATA-008", work
    )
    assert f"{name!r} has NaN or infinite values" in said
    assert "item 17" in said


@pytest.mark.parametrize(
    "y",
    [
        np.array([b"a", b"b"]),
        np.array([1, 2], np.complex64),
        np.array(["2026-01-01", "2026-01-02"], "datetime64[D]"),
        np.array([(1, 2.0), (3, 4.0)], [("a", "i4"), ("b", "f4")]),
    ],
    ids=lambda array: array.dtype.kind,
)
def test_data_is_refused_when_not_numeric(work: Path, models: Path, y: Any) -> None:
    file = save(work / "d.npz", x=_images(2), y=y)
    said = assert_refused(convert_data(file, models, work), "EK-DATA-009", work)
    assert "'y'" in said


@pytest.mark.parametrize("words", [("--metric", "accuracy"), ("--precision", "float32")])
def test_names_of_classes_as_labels_are_refused_where_they_are_judged(
    work: Path, models: Path, words: tuple[str, str]
) -> None:
    file = save(work / "d.npz", x=_images(12), y=np.array(["cat", "dog"] * 6))
    done = convert_data(file, models, work, *words)
    said = assert_refused(done, "EK-DATA-009", work)
    assert "'y'" in said


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_objects_are_never_unpickled(work: Path, models: Path, suffix: str) -> None:
    trap = work / "sprung"
    array = np.array([Trap(trap), Trap(trap)], object)
    file = work / f"objects{suffix}"
    if suffix == ".npz":
        save(file, x=_images(2), y=array)
    else:
        np.save(file, array)
    said = assert_refused(convert_data(file, models, work), "EK-DATA-009", work)
    assert "never unpickles" in said
    assert not trap.exists()


def test_bare_pickle_is_never_unpickled(work: Path, models: Path) -> None:
    trap = work / "sprung"
    (work / "bare.npy").write_bytes(pickle.dumps(Trap(trap)))
    assert_refused(convert_data("bare.npy", models, work), "EK-DATA-003", work)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 8, 8), "looks like channels-first"),
        ((63,), "every item must be shaped [8, 8, 1]"),
        ((8, 8, 3), "--color grayscale"),
        ((3, 9, 9), "looks like channels-first, and of another size: --layout nchw"),
        ((16, 16, 1), "[8, 8, 1]: --resize 8x8 ([data] preprocess = { resize = [8, 8] })"),
        ((8, 8, 1, 1), "every item must be shaped [8, 8, 1]"),
    ],
)
def test_data_is_refused_when_of_another_shape(
    work: Path, models: Path, shape: tuple[int, ...], words: str
) -> None:
    file = save(work / "d.npz", x=_images(20, *shape), y=np.arange(20) % 10)
    said = assert_refused(convert_data(file, models, work), "EK-DATA-004", work)
    assert "input 'image' expects float32 [N, 8, 8, 1]" in said
    assert words in said


def test_grey_data_is_refused_when_the_model_takes_colour(tmp_path: Path, odd_models: Path) -> None:
    file = save(tmp_path / "d.npz", x=_images(20, 8, 8), y=np.arange(20) % 2)
    done = answer("convert", odd_models / "colour.keras", "--data", file, *MATCHED, cwd=tmp_path)
    said = assert_refused(done, "EK-DATA-004", tmp_path)
    assert "looks like grey images" in said


def test_float_data_is_refused_when_the_model_takes_integers(
    tmp_path: Path, odd_models: Path
) -> None:
    file = save(tmp_path / "d.npz", x=_images(20, 4), y=np.arange(20) % 2)
    done = answer("convert", odd_models / "tokens.keras", "--data", file, *MATCHED, cwd=tmp_path)
    said = assert_refused(done, "EK-DATA-011", tmp_path)
    assert "input 'tokens' expects int32" in said
    assert "float32" in said


def test_data_is_refused_when_its_names_are_not_the_inputs(tmp_path: Path, models: Path) -> None:
    file = save(tmp_path / "d.npz", a=_images(20, 4), right=_images(20, 2), y=np.zeros(20))
    done = answer("convert", models / "two_inputs.keras", "--data", file, *MATCHED, cwd=tmp_path)
    said = assert_refused(done, "EK-DATA-010", tmp_path)
    assert "the model's inputs are left, right" in said


def test_data_without_last_dimension_is_taken_with_a_notice(work: Path, models: Path) -> None:
    # A quarter of the items is enough to calibrate with, and quick.
    x = np.random.default_rng(0).uniform(0, 1, (40, 8, 8)).astype(np.float32)
    file = save(work / "d.npz", x=x, y=np.arange(40) % 10)
    done = convert_data(file, models, work, *MATCHED, "--json")
    assert done.returncode == 0, done.stderr
    said = [a["message"] for a in json.loads(done.stdout)["advice"] if a["code"] == "EK-NOTE-002"]
    assert len(said) == 1
    assert "[N, 8, 8] is taken as [N, 8, 8, 1], adding the last dimension" in said[0].replace(
        "[None,", "[N,"
    )


def test_evaluation_is_refused_when_there_is_no_data(tmp_path: Path, models: Path) -> None:
    done = answer("convert", models / "keras3.keras", cwd=tmp_path)
    assert "--no-evaluate" in assert_refused(done, "EK-DATA-013", tmp_path)


def test_evaluation_is_refused_when_there_are_no_labels(tmp_path: Path, models: Path) -> None:
    np.save(tmp_path / "x.npy", _images())
    done = convert_data("x.npy", models, tmp_path, "--precision", "float32")
    assert "labels" in assert_refused(done, "EK-DATA-005", tmp_path)


def test_int8_is_refused_when_nothing_calibrates_it(tmp_path: Path, models: Path) -> None:
    done = answer("convert", models / "keras3.keras", *MATCHED, cwd=tmp_path)
    said = assert_refused(done, "EK-DATA-014", tmp_path)
    assert "int8 needs a representative dataset" in said


@pytest.mark.parametrize("option", ["--data", "--representative"])
def test_int8_is_refused_when_one_item_calibrates_it(work: Path, models: Path, option: str) -> None:
    file = save(work / "one.npz", x=_images(1), y=np.zeros(1, int))
    done = answer("convert", models / "keras3.keras", option, file, *MATCHED, cwd=work)
    said = assert_refused(done, "EK-DATA-015", work)
    assert "100 to 500" in said


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "EK-DATA-001"), (b"", "EK-DATA-003"), (LFS, "EK-DATA-003"), (b"\xff", "EK-DATA-003")],
    ids=["missing", "empty", "lfs", "no text"],
)
def test_labels_file_is_refused_when_unreadable(
    work: Path, models: Path, digits: Path, content: bytes | None, code: str
) -> None:
    (work / "edgekit.toml").write_text(
        f'[model]\nsource = "{models / "keras3.keras"}"\n'
        f'[data]\nevaluate = "{digits / "test.npz"}"\nlabels = "labels.txt"\n'
    )
    if content is not None:
        (work / "labels.txt").write_bytes(content)
    said = assert_refused(answer("convert", *NO_EVALUATE, cwd=work), code, work)
    assert "labels.txt" in said
