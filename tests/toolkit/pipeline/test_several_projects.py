"""Several projects in one `edgekit convert`: each in its own folder, to one verdict."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tflite_files import build, int8_dense

from conftest import answer
from edgekit.targets import catalog

pytestmark = pytest.mark.usefixtures("untimed")
HOST = catalog.host()
PROJECT = """schema = 1
[model]
name = "{name}"
source = "{source}"
[convert]
as_is = true
[targets.{host}.budgets]
size = "{size} B"
"""
OUTPUTS = ("--summary", "s.md", "--junit", "j.xml", "--sarif", "s.sarif", "--annotate", "github")


def project(folder: Path, name: str, size: int = 100_000, source: str = "model.tflite") -> Path:
    """A project in a folder of its own, around a file that is as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(build(int8_dense()))
    text = PROJECT.format(name=name, size=size, source=source, host=HOST)
    (folder / "edgekit.toml").write_text(text)
    return folder


def convert(folder: Path, *words: object) -> CompletedProcess[str]:
    return answer("convert", *words, "-q", "--no-evaluate", cwd=folder)


def runs(folder: Path) -> int:
    return len([*(folder / ".edgekit").glob("runs/*/report.json")])


def suites(folder: Path) -> list[str]:
    root = ET.parse(folder / "j.xml").getroot()  # noqa: S314  (ours)
    return [str(suite.get("name")) for suite in root.iter("testsuite")]


def test_each_is_converted_in_its_own_folder_and_one_verdict_ends_it(tmp_path: Path) -> None:
    first, second = project(tmp_path / "a", "first"), project(tmp_path / "b", "second", 10)
    done = convert(tmp_path, "a/edgekit.toml", "b", *OUTPUTS)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("first\nverdict: not evaluated")
    assert f"second\nFAILED: {HOST} int8 size (at most 10 bytes)" in done.stdout
    assert "\nverdict of 2 runs: FAILED: first, second\n" in done.stdout
    for folder, name in ((first, "first"), (second, "second")):
        assert (runs(folder), (folder / "build" / name).is_dir()) == (1, True)
    assert not (tmp_path / ".edgekit").exists()
    assert [name.partition(":")[0] for name in suites(tmp_path)] == ["first", "second"]
    # The finding points at the line of its own project's budget.
    line = PROJECT.splitlines().index('size = "{size} B"') + 1
    assert f"::error file=b/edgekit.toml,line={line}," in done.stdout


def test_an_error_of_one_is_red_everywhere_and_the_others_go_on(tmp_path: Path) -> None:
    project(tmp_path / "a", "first", source="gone.tflite")
    other = project(tmp_path / "b", "second")
    done = convert(tmp_path, "a", "b", *OUTPUTS)
    assert (done.returncode, runs(other)) == (2, 1), done.stderr
    assert "error EK-" in done.stderr
    assert "gone.tflite" in done.stderr
    last = "verdict of 1 run and 1 that had an error: FAILED: second, first\n"
    assert last in done.stdout
    assert "FAILED: conversion (first): EK-" in done.stdout
    summary = (tmp_path / "s.md").read_text().replace("\xa0", " ")
    assert "exit code 2" in summary
    assert summary.index("**conversion**") < summary.index("second")
    assert "errors" in suites(tmp_path)
    assert "gone.tflite" in (tmp_path / "s.sarif").read_text()
    # The same where every one has an error: there is no run to tell of.
    project(tmp_path / "b", "second", source="gone.tflite")
    assert convert(tmp_path, "a", "b").returncode == 2


def test_an_error_of_one_of_the_models_of_a_file_does_not_stop_the_others(tmp_path: Path) -> None:
    project(tmp_path, "digits")
    file = tmp_path / "edgekit.toml"
    text = file.read_text().replace('[model]\nname = "digits"\nsource = "model.tflite"\n', "")
    models = '[models.one]\nsource = "gone.tflite"\n[models.two]\nsource = "model.tflite"\n'
    file.write_text(text + models)
    done = convert(tmp_path)
    assert (done.returncode, runs(tmp_path)) == (2, 1), done.stderr
    assert "FAILED: conversion (one): EK-" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("a", "b"), "'b' is neither a project file nor a folder with an edgekit.toml"),
        (("a", "missing.toml"), "missing.toml"),
        (("a", "model.keras"), "'model.keras' is neither"),
        (("a", "--project", "a/edgekit.toml"), "--project is one project"),
        (("a", "a/other.toml"), "a/edgekit.toml and a/other.toml would write into"),
        (("a", "c", "--output", "all"), "would write into"),
    ],
    ids=" ".join,
)
def test_a_wrong_name_is_told_before_anything_is_converted(
    words: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    folder = project(tmp_path / "a", "first")
    (folder / "other.toml").write_text((folder / "edgekit.toml").read_text())
    project(tmp_path / "c", "first")
    (tmp_path / "b").mkdir()
    done = convert(tmp_path, *words)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert not (folder / ".edgekit").exists()


def test_the_same_twice_is_converted_once_and_one_is_no_different_from_project(
    tmp_path: Path,
) -> None:
    folder = project(tmp_path / "a", "first", 10)
    done = convert(tmp_path, "a", "a/edgekit.toml")
    assert (done.returncode, runs(folder)) == (1, 1)
    assert "named twice is converted once" in done.stderr
    alone = convert(tmp_path, "--project", "a/edgekit.toml")
    assert (alone.returncode, alone.stdout) == (done.returncode, done.stdout)


def test_models_of_one_name_are_told_apart_by_their_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        project(tmp_path / name, "digits", 10)
    done = convert(tmp_path, "a", "b", "--junit", "j.xml")
    assert "digits (a)\n" in done.stdout
    assert suites(tmp_path) == [f"digits (a): {HOST}", f"digits (b): {HOST}"]
