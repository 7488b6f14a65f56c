"""A path that is not there: whatever names it, the answer names what lies near."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit import nearby
from edgekit.cli.main import run

NAMES = (
    "model.keras",
    "model.tflite",
    "layers.py",
    "weights.h5",
    "classes.txt",
    "items.npz",
    "history.jsonl",
    "bundle.tar.gz",
    "bundle.delta",
    "owner.pem",
    "tape.cassette",
    "project.toml",
    "report.json",
    "targets.toml",
)
DATA = ("--data", "items.npz")
OUTPUT = ("--output", "out")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in NAMES:
        (tmp_path / name).touch()
    (tmp_path / "model.json").write_text('{"class_name": "Sequential", "config": {"layers": []}}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (("convert", "modle.keras", *DATA, *OUTPUT), "model.keras"),
        (("convert", "laers.py:build", *DATA, *OUTPUT), "layers.py"),
        (("convert", "model.json", "--weights", "wieghts.h5", *DATA, *OUTPUT), "weights.h5"),
        (("convert", "--project", "projct.toml"), "project.toml"),
        (("evaluate", "modle.tflite", *DATA, *OUTPUT), "model.tflite"),
        (("bench", "modle.tflite", *OUTPUT), "model.tflite"),
        (("inspect", "modle.tflite"), "model.tflite"),
        (("diff", "modle.tflite", "model.tflite"), "model.tflite"),
        (("targets", "fit", "modle.tflite"), "model.tflite"),
        (("targets", "validate", "tragets.toml"), "targets.toml"),
        (("bundle", "modle.tflite", *OUTPUT), "model.tflite"),
        (("verify", "bundel.tar.gz"), "bundle.tar.gz"),
        (("verify", "bundle.tar.gz", "--trusted-key", "ownr.pem"), "owner.pem"),
        (("check", "reprot.json"), "report.json"),
        (("report", "reprot.json"), "report.json"),
        (("history", "show", "--history", "histroy.jsonl"), "history.jsonl"),
        (("lint-data", "--data", "itms.npz"), "items.npz"),
        (("init", "--from", "modle.keras", "new"), "model.keras"),
        (("export", "modle.keras", *OUTPUT), "model.keras"),
        (("compress", "modle.keras", "--prune", "0.5", *DATA, *OUTPUT), "model.keras"),
    ],
)
def test_a_mistyped_path_names_its_neighbour(
    line: tuple[str, ...], meant: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line) == 2
    assert f"did you mean '{meant}'?" in " ".join(capsys.readouterr().err.split())


def test_without_a_near_name_the_folder_is_listed(folder: Path) -> None:
    assert nearby.beside(folder / "zzzz").startswith(f"{folder} holds bundle.delta, ")
    (folder / "empty").mkdir()
    assert nearby.beside(folder / "empty" / "x" / "y") == f"{folder / 'empty'} holds nothing"
    assert nearby.beside(Path("modle.keras")) == (
        "this folder has no modle.keras; did you mean 'model.keras'?"
    )
