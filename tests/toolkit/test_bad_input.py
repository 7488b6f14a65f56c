"""Bad input of every kind: a clear error with its code, exit code 2, and nothing half-written."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forking import tensorflow_script

from conftest import answer, once

Done = subprocess.CompletedProcess[str]
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"
NO_EVALUATE = ("--no-evaluate", "--precision", "float32")
# Enough to have the data matched to the model, and refused before a worker starts.
MATCHED = ("--no-evaluate", "--precision", "int8")
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


@pytest.fixture(scope="session")
def exported(shared: Path, models: Path, digits: Path) -> Path:
    """A store that holds the SavedModel of ``keras3.keras``, so that its data is judged at once."""

    def make(folder: Path) -> None:
        data = ("--data", digits / "test.npz")
        done = answer("convert", models / "keras3.keras", *data, *NO_EVALUATE, cwd=folder)
        assert done.returncode == 0, done.stderr

    return once(shared / "exported", make) / ".edgekit" / "store"


@pytest.fixture
def work(tmp_path: Path, exported: Path) -> Path:
    """An empty folder to work in, whose store knows ``keras3.keras``."""
    shutil.copytree(exported, tmp_path / ".edgekit" / "store")
    return tmp_path


def assert_refused(done: Done, code: str, folder: Path) -> str:
    """One error with this code, exit code 2, and nothing of it on stdout or disk; its text."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error EK-") == 1
    assert f"error {code}: " in done.stderr
    assert_nothing_left(folder)
    return done.stderr[done.stderr.index("error EK-") :]


def assert_nothing_left(folder: Path) -> None:
    """No output, and nothing half-written."""
    assert not list(folder.glob("build/**/*"))
    assert not list(folder.glob("dist/**/*"))
    assert not list(folder.glob(".edgekit/store/tmp/*"))
    assert not list(folder.rglob("*.part"))


def truncated(path: Path, share: float, to: Path) -> Path:
    """The first ``share`` of a file, under a new name."""
    content = path.read_bytes()
    to.write_bytes(content[: int(len(content) * share)])
    return to


def save(path: Path, **arrays: Any) -> Path:
    """An ``.npz`` file of arrays."""
    np.savez(path, **arrays)
    return path


# --- model files ---------------------------------------------------------------------------------


def convert_model(model: object, cwd: Path, digits: Path, *more: object) -> Done:
    data = ("--data", digits / "test.npz")
    return answer("convert", model, *data, *NO_EVALUATE, *more, cwd=cwd)


def test_model_is_refused_when_missing(tmp_path: Path, digits: Path) -> None:
    said = assert_refused(convert_model("none.keras", tmp_path, digits), "EK-MODEL-001", tmp_path)
    assert "none.keras" in said


@pytest.mark.parametrize("name", ["keras3.keras", "keras2.keras", "keras3.h5", "keras2.h5"])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_model_is_refused_when_truncated(
    tmp_path: Path, models: Path, digits: Path, name: str, share: float
) -> None:
    file = truncated(models / name, share, tmp_path / name)
    said = assert_refused(convert_model(file, tmp_path, digits), "EK-MODEL-003", tmp_path)
    assert "truncated" in said


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".tflite"])
def test_model_is_refused_when_empty(tmp_path: Path, digits: Path, suffix: str) -> None:
    file = tmp_path / f"empty{suffix}"
    file.touch()
    said = assert_refused(convert_model(file, tmp_path, digits), "EK-MODEL-002", tmp_path)
    assert "empty (0 bytes)" in said


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".tflite"])
def test_model_is_refused_when_it_is_a_git_lfs_pointer(
    tmp_path: Path, digits: Path, suffix: str
) -> None:
    file = tmp_path / f"pointer{suffix}"
    file.write_bytes(LFS)
    said = assert_refused(convert_model(file, tmp_path, digits), "EK-MODEL-002", tmp_path)
    assert "git lfs pull" in said


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"\x1c\x00\x00", "EK-MODEL-003", "truncated"),
        (b"no flatbuffer at all, but long enough", "EK-MODEL-003", "TFL3 at byte 4"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(64), "EK-MODEL-003", "truncated or damaged"),
    ],
    ids=["truncated", "other", "whole"],
)
def test_model_is_refused_when_it_is_tflite(
    tmp_path: Path, digits: Path, content: bytes, code: str, words: str
) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(content)
    assert words in assert_refused(convert_model(file, tmp_path, digits), code, tmp_path)


@pytest.mark.parametrize("kept", [[], ["notes.txt"]], ids=["empty", "other files"])
def test_model_is_refused_when_the_folder_is_no_saved_model(
    tmp_path: Path, digits: Path, kept: list[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in kept:
        (folder / name).touch()
    said = assert_refused(convert_model(folder, tmp_path, digits), "EK-MODEL-004", tmp_path)
    assert "saved_model.pb" in said


def test_model_is_refused_when_the_saved_model_is_truncated(
    tmp_path: Path, models: Path, digits: Path
) -> None:
    folder = tmp_path / "saved_model"
    shutil.copytree(models / "saved_model", folder)
    truncated(folder / "saved_model.pb", 0.5, folder / "saved_model.pb")
    said = assert_refused(convert_model(folder, tmp_path, digits), "EK-MODEL-008", tmp_path)
    assert "cannot be loaded" in said


def _with_members(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.json", content)


def _damaged_deflate(path: Path) -> None:
    _with_members(path, config=json.dumps(list(range(5000))).encode(), metadata=b"{}")
    content = bytearray(path.read_bytes())
    content[200:400] = bytes(200)
    path.write_bytes(content)


def _encrypted(path: Path) -> None:
    _with_members(path, config=b"{}", metadata=b"{}")
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: _with_members(path, weights=b"{}"),
        lambda path: _with_members(path, config=b"{", metadata=b"{}"),
        lambda path: _with_members(path, config=b"\xff", metadata=b"{}"),
        lambda path: _with_members(path, config=b"{}", metadata=b"[]"),
        _damaged_deflate,
        _encrypted,
    ],
    ids=["no config", "no JSON", "no text", "odd metadata", "damaged", "encrypted"],
)
def test_model_is_refused_when_the_archive_is_no_keras_model(
    tmp_path: Path, digits: Path, make: Callable[[Path], None]
) -> None:
    file = tmp_path / "odd.keras"
    make(file)
    assert_refused(convert_model(file, tmp_path, digits), "EK-MODEL-003", tmp_path)


@pytest.mark.parametrize(
    ("config", "code"), [(None, "EK-MODEL-007"), ("{", "EK-MODEL-003")], ids=["weights", "no JSON"]
)
def test_model_is_refused_when_the_h5_holds_no_architecture(
    tmp_path: Path, digits: Path, config: str | None, code: str
) -> None:
    import h5py

    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        if config is not None:
            file.attrs["model_config"] = config
    assert_refused(convert_model("odd.h5", tmp_path, digits), code, tmp_path)


@pytest.mark.parametrize("name", ["lambda.keras", "lambda.h5"])
def test_lambda_is_refused_when_not_trusted(
    tmp_path: Path, models: Path, digits: Path, name: str
) -> None:
    done = convert_model(models / name, tmp_path, digits)
    said = assert_refused(done, "EK-MODEL-005", tmp_path)
    assert "'twice'" in said
    assert "--trust" in said


@pytest.mark.parametrize("name", ["lambda.keras", "lambda.h5"])
def test_lambda_converts_when_trusted(
    tmp_path: Path, models: Path, digits: Path, name: str
) -> None:
    done = convert_model(models / name, tmp_path, digits, "--trust")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build/lambda/float32/model.tflite").is_file()


# --- data files ----------------------------------------------------------------------------------


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
        ((16, 16, 1), "resize the items to [8, 8, 1]: --resize 8x8"),
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


# --- options and project files -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "code", "words"),
    [
        (("--precision", "int9"), "EK-PROJECT-004", "did you mean 'int8'?"),
        (("--metric", "acuracy"), "EK-PROJECT-004", "did you mean 'accuracy'?"),
        (("--target", "raspbery-pi-4"), "EK-PROJECT-003", "did you mean 'raspberry-pi-4'?"),
        (("--project", "none.toml"), "EK-PROJECT-001", "there is no project file none.toml"),
    ],
)
def test_option_is_refused_when_its_value_is_unknown(
    tmp_path: Path, models: Path, option: tuple[str, str], code: str, words: str
) -> None:
    done = answer("convert", models / "keras3.keras", "--data", "d.npz", *option, cwd=tmp_path)
    assert words in assert_refused(done, code, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("convrt",), "No such command 'convrt'. Did you mean 'convert'?"),
        (("convert", "--presicion", "int8"), "--precision"),
        (("convert", "--max-size", "150"), "'150' is not a size: write a number and one of B, kB"),
        (("convert", "--max-size", "150 kb"), "'150 kb' is not a size"),
        (("convert", "--max-drop", "much"), "'much' is not a number"),
        (("convert", "--rescale", "1/0"), "'1/0' is not a number or a fraction"),
        (("convert", "--prune", "1"), "0<x<1"),
        (("convert", "--epochs", "0"), "x>=1"),
        (("convert", "a.keras", "b.keras"), "one MODEL is converted at a time"),
        (("targets", "show"), "show needs a target"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_command_line_is_refused_when_mistyped(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = answer(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert words in " ".join(done.stderr.split())
    assert not list(tmp_path.iterdir())


def test_project_is_asked_for_when_there_is_none(tmp_path: Path) -> None:
    said = assert_refused(answer("convert", cwd=tmp_path), "EK-PROJECT-001", tmp_path)
    assert "edgekit init" in said


PROJECT = """\
schema = 1
[model]
source = "m.keras"
[data]
evaluate = "d.npz"
[convert]
precisions = ["float32"]
"""


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (
            "[trian]\nepochs = 1",
            "EK-PROJECT-003",
            "line 8: unknown key 'trian'; did you mean 'train'?",
        ),
        (
            "[train]\nepoch = 1",
            "EK-PROJECT-003",
            "line 9: unknown key 'train.epoch'; did you mean 'epochs'?",
        ),
        ("[train]\nepochs = 0", "EK-PROJECT-003", "line 9: train.epochs: "),
        ('[train]\nepochs = "many"', "EK-PROJECT-003", "line 9: train.epochs: "),
        (
            '[evaluate]\nmetric = "acuracy"',
            "EK-PROJECT-004",
            "line 9: unknown metric 'acuracy'; did you mean 'accuracy'?",
        ),
        (
            "[targets.raspbery-pi-4]",
            "EK-PROJECT-003",
            "line 8: targets: unknown target 'raspbery-pi-4'; did you mean 'raspberry-pi-4'?",
        ),
        (
            '[targets.raspberry-pi-4]\nprecision = "int7"',
            "EK-PROJECT-004",
            "line 9: unknown precision 'int7'; did you mean 'int8'?",
        ),
        (
            '[targets.raspberry-pi-4.budgets]\nsizes = "1 kB"',
            "EK-PROJECT-003",
            "line 9: unknown key 'targets.raspberry-pi-4.budgets.sizes'; did you mean 'size'?",
        ),
        (
            '[targets.raspberry-pi-4.budgets]\nsize = "150 kb"',
            "EK-PROJECT-003",
            "line 9: targets.raspberry-pi-4.budgets.size: '150 kb' is not a size",
        ),
        (
            "[targets.raspberry-pi-4.budgets]\nsize = 150",
            "EK-PROJECT-003",
            "line 9: targets.raspberry-pi-4.budgets.size: 150 is not a size",
        ),
        (
            '[targets.raspberry-pi-4.budgets]\nlatency_p50 = "5"',
            "EK-PROJECT-003",
            "line 9: targets.raspberry-pi-4.budgets.latency_p50: '5' is not a time",
        ),
        (
            '[limits]\nmemory = "2 gigs"',
            "EK-PROJECT-003",
            "line 9: limits.memory: '2 gigs' is not a size",
        ),
        ("[limits]\nmemory = ", "EK-PROJECT-002", "line 9"),
        ("[model]\n", "EK-PROJECT-002", "line 8"),
    ],
)
def test_project_is_refused_with_its_line_when_wrong(
    tmp_path: Path, more: str, code: str, words: str
) -> None:
    (tmp_path / "edgekit.toml").write_text(PROJECT + more + "\n")
    said = assert_refused(answer("convert", cwd=tmp_path), code, tmp_path)
    assert "edgekit.toml" in said
    assert words in said


def test_project_is_refused_with_its_line_when_a_precision_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "edgekit.toml").write_text(PROJECT.replace("float32", "flot32"))
    said = assert_refused(answer("convert", cwd=tmp_path), "EK-PROJECT-004", tmp_path)
    assert "edgekit.toml, line 7: unknown precision 'flot32'; did you mean 'float32'?" in said


def test_project_is_refused_when_it_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "edgekit.toml").write_bytes(b"schema = 1\nname = '\xff\xfe'\n")
    assert_refused(answer("convert", cwd=tmp_path), "EK-PROJECT-002", tmp_path)


def test_project_is_refused_when_it_names_no_model(tmp_path: Path) -> None:
    (tmp_path / "edgekit.toml").write_text("schema = 1\n[data]\nevaluate = 'd.npz'\n")
    said = assert_refused(answer("convert", cwd=tmp_path), "EK-PROJECT-003", tmp_path)
    assert "model" in said


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
