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


def test_candidates_hold_no_metadata_when_it_is_not_asked_for(digits_run: Path) -> None:
    for path in (digits_run / "project" / "build").rglob("model.tflite"):
        assert "TFLITE_METADATA" not in flatbuffer.read(path).metadata
