"""Models that cannot be taken: a clear error with its code, exit code 2, nothing half-written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from refusing import LFS, NO_EVALUATE, Done, _encrypted, _with_members, assert_refused, truncated

from conftest import answer

pytestmark = pytest.mark.usefixtures("lent_worker")


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


def _damaged_deflate(path: Path) -> None:
    _with_members(path, config=json.dumps(list(range(5000))).encode(), metadata=b"{}")
    content = bytearray(path.read_bytes())
    content[200:400] = bytes(200)
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
