"""Planted crashes within a run: the report says what happened, and the rest goes on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import brief, edgekit, once
from edgekit.api import convert
from edgekit.converters import tflite
from edgekit.pipeline import Options
from edgekit.project import Project
from edgekit.targets import runners
from edgekit.types import Candidate, Report, Status

pytest_plugins = ["crashing"]


@pytest.fixture(scope="session")
def judged(shared: Path, models: Path, digits: Path) -> Path:
    """The store of a whole run of ``keras3.keras`` at float32 and int8. Read only."""

    def make(folder: Path) -> None:
        done = brief(
            "convert",
            models / "keras3.keras",
            "--data",
            digits / "test.npz",
            "--precision",
            "float32",
            "--precision",
            "int8",
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr

    return once(shared / "judged", make) / ".edgekit" / "store"


@pytest.fixture(scope="session")
def converted(shared: Path, models: Path, digits: Path) -> Path:
    """The store of a run of ``keras3.keras`` at float32 that only converts. Read only."""

    def make(folder: Path) -> None:
        done = edgekit(
            "convert",
            models / "keras3.keras",
            "--data",
            digits / "test.npz",
            "--precision",
            "float32",
            "--no-evaluate",
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr

    return once(shared / "crash-converted", make) / ".edgekit" / "store"


@pytest.fixture
def output(tmp_path: Path, converted: Path) -> Path:
    """A folder to write to, whose store holds the run that only converts."""
    shutil.copytree(converted, tmp_path / "out" / ".edgekit" / "store")
    return tmp_path / "out"


@pytest.fixture
def judged_output(tmp_path: Path, judged: Path) -> Path:
    """A folder to write to, whose store holds the whole run."""
    shutil.copytree(judged, tmp_path / "out" / ".edgekit" / "store")
    return tmp_path / "out"


def forget(output: Path, stage: str, **parts: str) -> None:
    """Take artefacts of a stage, whose keys have these parts, out of the store."""
    found = list((output / ".edgekit" / "store" / stage).glob("*/facts.json"))
    for path in found:
        key = json.loads(path.read_text())["key"]
        if all(key[name] == value for name, value in parts.items()):
            shutil.rmtree(path.parent)


def project(models: Path, digits: Path, *precisions: str, **limits: Any) -> Project:
    table = {
        "model": {"source": str(models / "keras3.keras")},
        "data": {"evaluate": str(digits / "test.npz")},
        "convert": {"precisions": list(precisions)},
        "limits": limits,
    }
    return Project.parse(table, models)


def by_precision(report: Report) -> dict[str, Candidate]:
    return {candidate.precision: candidate for candidate in report.candidates}


@pytest.fixture
def planted_convert(planted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversion to int8 meets the fault; others are as ever."""
    monkeypatch.setattr(tflite, "convert", planted.convert)


def assert_no_rest(output: Path) -> None:
    assert not list(output.glob(".edgekit/store/tmp/*"))
    assert not list(output.glob("build/*/int8"))
    assert not list(output.rglob("*.part"))


@pytest.mark.parametrize(
    ("fault", "how"),
    [("kill", "SIGKILL"), ("segv", "SIGSEGV"), ("abort", "SIGABRT")],
)
def test_other_candidates_finish_when_one_kills_the_worker(
    planted_convert: None,
    monkeypatch: pytest.MonkeyPatch,
    output: Path,
    models: Path,
    digits: Path,
    fault: str,
    how: str,
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", fault)
    options = Options(output=output, evaluate=False)
    report = convert(project(models, digits, "int8", "float32"), options)
    made = by_precision(report)
    assert f"EK-WORKER-001 the TensorFlow worker was ended by {how}" in made["int8"].problem
    assert made["int8"].status is Status.INCOMPATIBLE
    assert made["float32"].problem == ""
    assert (output / "build/keras3/float32/model.tflite").is_file()
    assert report.verdict.exit_code == 0
    assert_no_rest(output)


@pytest.mark.slow
def test_other_candidates_are_made_in_a_fresh_worker_when_one_kills_it(
    planted_convert: None, monkeypatch: pytest.MonkeyPatch, output: Path, models: Path, digits: Path
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", "kill")
    forget(output, "convert")
    options = Options(output=output, evaluate=False)
    made = by_precision(convert(project(models, digits, "int8", "float32", "dynamic"), options))
    assert "SIGKILL" in made["int8"].problem
    assert [made[p].problem for p in ("float32", "dynamic")] == ["", ""]
    assert (output / "build/keras3/dynamic@tflite-2.14/model.tflite").is_file()


def test_exit_code_is_5_when_a_precision_asked_for_kills_the_worker(
    planted_convert: None, monkeypatch: pytest.MonkeyPatch, output: Path, models: Path, digits: Path
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", "abort")
    options = Options(output=output, evaluate=False, precisions_asked=True)
    report = convert(project(models, digits, "int8", "float32"), options)
    assert (report.verdict.status, report.verdict.exit_code) == (Status.INCOMPATIBLE, 5)
    assert (output / "build/keras3/float32/model.tflite").is_file()


@pytest.mark.parametrize(
    ("fault", "limits", "said"),
    [
        ("hang", {"seconds": 2}, "EK-WORKER-002 convert took longer than its limit of 2 s"),
        ("memory", {"memory": "800 MB"}, "over its limit of 0.8 GB"),
    ],
)
def test_other_candidates_finish_when_one_breaks_the_worker_s_limits(
    planted_convert: None,
    monkeypatch: pytest.MonkeyPatch,
    output: Path,
    models: Path,
    digits: Path,
    fault: str,
    limits: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", fault)
    options = Options(output=output, evaluate=False)
    report = convert(project(models, digits, "int8", "float32", **limits), options)
    made = by_precision(report)
    assert said in made["int8"].problem
    assert made["float32"].problem == ""
    assert report.verdict.exit_code == 0
    assert_no_rest(output)


@pytest.mark.slow
@pytest.mark.usefixtures("untimed")
def test_target_ships_another_candidate_when_one_kills_the_worker(
    planted_convert: None,
    monkeypatch: pytest.MonkeyPatch,
    judged_output: Path,
    models: Path,
    digits: Path,
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", "segv")
    forget(judged_output, "convert", precision="int8")
    report = convert(project(models, digits, "int8", "float32"), Options(output=judged_output))
    made = by_precision(report)
    assert "SIGSEGV" in made["int8"].problem
    assert made["float32"].status is Status.PASSED
    assert [target.candidate for target in report.targets] == ["float32"]
    assert report.verdict.exit_code == 0
    assert list((judged_output / "dist").iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("untimed")
@pytest.mark.parametrize(
    ("fault", "limits", "said"),
    [
        ("segv", {}, "EK-RUNNER-001 the litert runner was ended by SIGSEGV on int8"),
        ("hang", {"seconds": 15}, "EK-RUNNER-003 the litert runner on int8 took longer than"),
        ("memory", {"memory": "1.2 GB"}, "EK-RUNNER-004 the litert runner on int8 held more"),
    ],
)
def test_other_candidates_are_judged_when_one_breaks_the_runner(
    planted: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    judged_output: Path,
    models: Path,
    digits: Path,
    fault: str,
    limits: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.setenv("PLANTED_FAULT", fault)
    faulty = replace(runners.OWN["litert"], file=tmp_path / "planted" / "runner.py")
    monkeypatch.setitem(runners.OWN, "litert", faulty)  # type: ignore[arg-type]
    forget(judged_output, "answers", runtime="litert")
    report = convert(
        project(models, digits, "int8", "float32", **limits), Options(output=judged_output)
    )
    made = by_precision(report)
    assert said in made["int8"].problem
    assert made["int8"].status is Status.INCOMPATIBLE
    assert made["float32"].status is Status.PASSED
    assert [target.candidate for target in report.targets] == ["float32"]
    assert report.verdict.exit_code == 0
    assert not list(judged_output.glob(".edgekit/store/tmp/*"))
