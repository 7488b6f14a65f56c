"""A project file in the current folder, where MODEL is given: a note lists what is not used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tflite_files import build, doubling

from conftest import answer
from edgekit.cli.device_tables import read_device_tables

PROJECT = """
[model]
source = "m.py:f"
version = "1"
[data]
evaluate = "items.npz"
preprocess = { scale = "1/255" }
[devices.pi]
address = "ssh://pi@board"
[targets.raspberry-pi-4]
device = "pi"
"""
UNUSED = "[model] version; [data] evaluate, preprocess; [devices.pi]; [targets.raspberry-pi-4]"
EVALUATE = ("evaluate", "model.tflite", "--data", "items.npz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.tflite").write_bytes(build(doubling([1, 2])))
    x = np.random.default_rng(0).random((40, 2)).astype(np.float32)
    np.savez(tmp_path / "items.npz", x=x, y=2 * x)
    (tmp_path / "edgekit.toml").write_text(PROJECT)
    return tmp_path


def test_a_project_file_that_is_not_read_is_said_with_what_it_holds(folder: Path) -> None:
    done = answer(*EVALUATE, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["settings"]["preprocess"]["scale"] == 1.0
    first, second = done.stderr.splitlines()[:2]
    why = "this folder has edgekit.toml; it is not read, because MODEL is given"
    assert first == f"info EK-NOTE-081: {why}. Not used: {UNUSED}"
    assert second == "  to use them for this model, add --project edgekit.toml"


def test_the_option_that_it_names_takes_what_the_file_says(folder: Path) -> None:
    done = answer("evaluate", "model.tflite", "--project", "edgekit.toml", "--json", cwd=folder)
    assert "EK-NOTE-081" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert "0.00392" in json.dumps(json.loads(done.stdout)["settings"]["preprocess"])


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "model.tflite", "model.tflite", "--data", "items.npz", "--no-latency"),
        ("lint-data", "model.tflite", "--data", "items.npz"),
    ],
)
def test_other_commands_that_take_a_model_say_it_too(folder: Path, words: tuple[str, ...]) -> None:
    assert "EK-NOTE-081" in answer(*words, cwd=folder).stderr


@pytest.mark.parametrize("text", ['[model]\nsource = "m.py:f"\n', "", None])
def test_one_that_would_have_given_nothing_is_not_spoken_of(folder: Path, text: str | None) -> None:
    path = folder / "edgekit.toml"
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert "EK-NOTE-081" not in answer(*EVALUATE, cwd=folder).stderr


def test_quiet_leaves_it_out(folder: Path) -> None:
    assert answer(*EVALUATE, "-q", cwd=folder).stderr == ""


@pytest.mark.parametrize("text", ["[", "x = " + "[" * 100_000, '"\\u001b[31m" = 1', b"\xff\xfe"])
def test_a_damaged_one_stops_nothing(folder: Path, text: str | bytes) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "edgekit.toml").write_bytes(content)
    done = answer(*EVALUATE, cwd=folder)
    assert done.returncode == 0
    assert "EK-NOTE-081" in done.stderr
    assert "\x1b" not in done.stderr


def test_a_record_that_is_not_kept_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edgekit.toml"
    for value, said in (("true", True), ("false", False)):
        path.write_text(f"[record]\nmlflow = {value}\n")
        read_device_tables(str(path), (), False)
        assert ("nothing of this is recorded in MLflow" in capsys.readouterr().err) == said
