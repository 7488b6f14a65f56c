"""Metadata in candidates: written before they are judged, and only where it is asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgekit import Project, convert
from edgekit.api import Options
from edgekit.converters import flatbuffer
from edgekit.converters.metadata import read_metadata
from edgekit.store import sha256


@pytest.fixture
def project(digits_run: Path, tmp_path: Path) -> Path:
    """A copy of the converted example, store and all."""
    return Path(shutil.copytree(digits_run / "project", tmp_path / "project"))


def test_candidates_hold_what_the_project_says(project: Path) -> None:
    file = project / "edgekit.toml"
    text = file.read_text()
    text = text.replace('version = "0.1.0"', 'version = "0.1.0"\nauthor = "Someone"')
    file.write_text(text.replace("[convert]", "[convert]\nmetadata = true"))
    report = convert(Project.load(file), Options(evaluate=False, force=True))
    assert len(report.candidates) == 4
    for candidate in report.candidates:
        assert candidate.path is not None
        assert candidate.sha256 == sha256(candidate.path)
        found = read_metadata(candidate.path)
        assert (found.name, found.version, found.author) == ("digits", "0.1.0", "Someone")
        (image,), (scores,) = found.inputs, found.outputs
        assert (image.mean, image.std, image.colour_space) == ((0.0,), (16.0,), "GRAYSCALE")
        assert (image.width, image.height) == (8, 8)
        assert scores.labels == tuple("0123456789")


def test_what_readers_refuse_is_said(project: Path) -> None:
    file = project / "edgekit.toml"
    file.write_text(file.read_text().replace("[convert]", "[convert]\nmetadata = true"))
    report = convert(Project.load(file), Options(evaluate=False, force=True))
    (found,) = [advice for advice in report.advice if advice.code == "EK-NOTE-042"]
    assert "uint8-io" in found.fix
    assert "EK-NOTE-043" not in {advice.code for advice in report.advice}


def test_a_function_that_may_normalise_leaves_mean_and_std_unsaid(
    models: Path, tmp_path: Path
) -> None:
    code = "import numpy as np\ndef items():\n    return np.ones((4, 8, 8, 1), np.float32) / 16\n"
    (tmp_path / "data.py").write_text(code)
    table = {
        "model": {"source": str(models / "keras3.keras")},
        "data": {"representative": {"from": "data.py:items"}},
        "convert": {"precisions": ["float32"], "metadata": True},
    }
    report = convert(Project.parse(table, tmp_path), Options(evaluate=False))
    (candidate,) = report.candidates
    assert candidate.path is not None
    (image,) = read_metadata(candidate.path).inputs
    assert (image.mean, image.std, image.colour_space) == ((), (), "GRAYSCALE")
    (found,) = [advice for advice in report.advice if advice.code == "EK-NOTE-043"]
    assert "data.py:items" in found.message
    assert "[data.preprocess]" in found.fix


def test_candidates_hold_no_metadata_when_it_is_not_asked_for(digits_run: Path) -> None:
    for path in (digits_run / "project" / "build").rglob("model.tflite"):
        assert "TFLITE_METADATA" not in flatbuffer.read(path).metadata
