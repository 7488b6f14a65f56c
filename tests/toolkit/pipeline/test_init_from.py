"""``edgekit init --from``: a project around a model, of what looking at it found."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from conftest import answer, brief, edgekit
from edgekit import Project
from edgekit.converters.metadata import ModelFacts, TensorFacts, add_metadata
from edgekit.pipeline.written_project import _clean
from edgekit.targets import catalog

pytestmark = pytest.mark.usefixtures("one_launch")


@pytest.fixture
def folder(digits_run: Path, tmp_path: Path) -> Path:
    """Files of the digits' model, and digits as they come: 0..16."""
    built = digits_run / "project" / "build" / "digits"
    for name in ("float32", "int8"):
        shutil.copyfile(built / name / "model.tflite", tmp_path / f"{name}.tflite")
    digits = load_digits()
    images = digits.images[:300, ..., None].astype(np.uint8)
    np.savez(tmp_path / "test.npz", x=images, y=digits.target[:300])
    np.savez(tmp_path / "wide.npz", x=np.zeros((30, 5, 5, 1), np.uint8), y=digits.target[:30])
    return tmp_path


def written(folder: Path, *words: str) -> tuple[Project, str]:
    """The project that was written, and its text."""
    done = answer("init", "made", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    file = folder / "made" / "edgekit.toml"
    text = file.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 170
    return Project.load(file), text


def test_task_scaling_and_targets_are_found_and_explained(folder: Path) -> None:
    project, text = written(folder, "--from", "float32.tflite", "--data", "test.npz")
    assert (project.root / project.model.source).samefile(folder / "float32.tflite")
    assert project.data.preprocess.scale == pytest.approx(1 / 16)
    assert re.search(r"scale = \"1/16\".*# accuracy 0\.9\d* divided by 16, 0\.\d+ as given", text)
    assert (project.evaluate.task, project.evaluate.metric) == ("classification", "accuracy")
    assert "labels are class numbers 0 to 9" in text
    assert "# input image: float32 [1, 8, 8, 1]" in text
    assert list(project.targets) == [catalog.host()]
    assert re.search(r"^# \[targets\.raspberry-pi-4\] .*float32 on litert", text, re.MULTILINE)
    # The line is one to take the # from.
    ready = text.replace("# [targets.raspberry-pi-4]", "[targets.raspberry-pi-4]")
    (folder / "made" / "edgekit.toml").write_text(ready)
    assert "raspberry-pi-4" in Project.load(folder / "made" / "edgekit.toml").targets


def test_data_that_is_scaled_already_is_left_as_it_is(folder: Path) -> None:
    data = dict(np.load(folder / "test.npz"))
    np.savez(folder / "unit.npz", x=(data["x"] / 16).astype(np.float32), y=data["y"])
    project, text = written(folder, "--from", "float32.tflite", "--data", "unit.npz")
    assert not project.data.preprocess.model_fields_set
    assert re.search(r"# as given: accuracy 0\.9\d* on 240 items; not better", text)


def test_quantized_file_is_checked_as_it_is_and_missing_data_is_told(folder: Path) -> None:
    project, text = written(folder, "--from", "int8.tflite")
    assert project.convert.as_is
    assert "the file is int8 already" in text
    assert "# missing: items to judge by" in text
    assert '# evaluate = "test.npz"' in text
    assert re.search(r"^# \[targets\.coral-dev-board\] .*int8 on", text, re.MULTILINE)


def test_labels_are_the_folders_of_the_data_or_those_of_the_metadata(folder: Path) -> None:
    digits = load_digits()
    for number in range(10):
        (folder / "pictures" / f"digit-{number}").mkdir(parents=True)
        for at in np.flatnonzero(digits.target == number)[:4]:
            picture = Image.fromarray((digits.images[at] * 15).astype(np.uint8))
            picture.save(folder / "pictures" / f"digit-{number}" / f"{at}.png")
    project, text = written(folder, "--from", "float32.tflite", "--data", "pictures")
    assert project.data.labels == tuple(f"digit-{number}" for number in range(10))
    assert "from the folders of the data" in text
    names = tuple(f"metadata {number}" for number in range(10))
    image = TensorFacts("image", mean=(0.0,), std=(16.0,))
    facts = ModelFacts("digits", inputs=(image,), outputs=(TensorFacts("output_0", labels=names),))
    content = add_metadata((folder / "float32.tflite").read_bytes(), facts)
    (folder / "told.tflite").write_bytes(content)
    project, text = written(folder, "--from", "told.tflite", "--force")
    assert project.data.labels == names
    assert project.data.preprocess.std == 16.0
    assert text.count("TFLite Metadata") == 2


def test_function_is_run_with_trust_alone(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    code = f"open({str(marker)!r}, 'w')\ndef build():\n    raise ValueError('built')\n"
    (tmp_path / "model.py").write_text(code)
    project, text = written(tmp_path, "--from", "model.py:build")
    assert project.model.source == "../model.py:build"
    assert "which was not run: --trust" in text
    assert not marker.exists()
    done = answer("init", "other", "--from", "model.py:biuld", cwd=tmp_path)
    assert (done.returncode, "did you mean 'build'" in done.stderr) == (2, True)
    assert not marker.exists()
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--from", "absent.keras"], 2, "EK-MODEL-001"),
        (["--from", "test.npz"], 2, "EK-MODEL-"),
        (["--from", "notes.tflite"], 2, "EK-MODEL-003"),
        (["--from", "float32.tflite", "--data", "wide.npz"], 2, "EK-DATA-004"),
        (["--from", "float32.tflite", "--data", "absent.npz"], 2, "EK-DATA-"),
        (["--from", "float32.tflite", "--target", "pi4"], 2, "No such option"),
        (["--data", "test.npz"], 2, "--from MODEL"),
    ],
)
def test_mistake_is_told_and_leaves_nothing(
    folder: Path, words: list[str], code: int, said: str
) -> None:
    (folder / "notes.tflite").write_text("no model")
    done = answer("init", "made", *words, cwd=folder)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert not (folder / "made").exists()


def test_project_that_is_there_stays_without_force(folder: Path) -> None:
    file = folder / "made" / "edgekit.toml"
    file.parent.mkdir()
    file.write_text("mine")
    done = answer("init", "made", "--from", "int8.tflite", cwd=folder)
    assert (done.returncode, "EK-INIT-001" in done.stderr) == (2, True)
    assert file.read_text() == "mine"
    written(folder, "--from", "int8.tflite", "--force")


def test_name_from_a_file_cannot_leave_its_comment() -> None:
    assert _clean("in\n[targets.x]\x1b[31m") == "in [targets.x]?[31m"


@pytest.mark.slow
def test_convert_runs_from_what_was_written(folder: Path, digits_run: Path) -> None:
    model = digits_run / "project" / "build" / "digits" / "model.keras"
    shutil.copyfile(model, folder / "model.keras")
    project, _ = written(folder, "--from", "model.keras", "--data", "test.npz")
    assert project.data.preprocess.scale == pytest.approx(1 / 16)
    done = brief("convert", "--precision", "int8", "--json", "-q", cwd=folder / "made")
    assert done.returncode == 0, done.stderr
    project, _ = written(folder, "--from", "model.keras", "--force")
    done = edgekit("convert", "--no-evaluate", "-q", cwd=folder / "made")
    assert done.returncode == 0, done.stderr
