"""`edgekit lint-data`, and what `edgekit convert` says of the data by itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from forking import tensorflow_script

from conftest import answer, once
from edgekit.pipeline import lint as linting

# Answers "is it red?" from the mean of the red channel, in the two ways that models are fed:
# items in 0..1, and raw ones through a Rescaling layer.
COLOURS = """
import sys, numpy as np, keras
folder = sys.argv[1]
L = keras.layers

def red(name, *first):
    i = keras.Input((12, 12, 3), name="photo")
    h = i
    for layer in first:
        h = layer(h)
    o = L.Dense(2, name="red")(L.GlobalAveragePooling2D()(h))
    m = keras.Model(i, o)
    w = np.array([[-9., 9.], [0., 0.], [0., 0.]])
    m.get_layer("red").set_weights([w, np.array([4.5, -4.5])])
    m.save(f"{folder}/{name}.keras")

red("unit")
red("rescaling", L.Rescaling(1 / 255))
"""
Done = subprocess.CompletedProcess[str]
pytestmark = pytest.mark.usefixtures("untimed", "lent_worker")


@pytest.fixture(scope="session")
def colours(shared: Path) -> Path:
    """``unit.keras`` and ``rescaling.keras``, and ``x`` uint8 [200, 12, 12, 3] as ``rgb.npz``,
    ``bgr.npz`` and ``reshaped.npz`` (channels-first, reshaped instead of transposed)."""

    def make(folder: Path) -> None:
        tensorflow_script(COLOURS, folder)
        random = np.random.default_rng(2)
        base = random.integers(30, 225, (200, 1, 1, 3))
        slope = np.linspace(-30, 30, 12).astype(np.int64)[:, None, None]
        x = (base + slope * random.choice([-1, 1], (200, 1, 1, 1)) + np.zeros((12, 12, 3))).astype(
            np.uint8
        )
        y = (x[..., 0].mean(axis=(1, 2)) > 127.5).astype(np.int64)
        np.savez(folder / "rgb.npz", x=x, y=y)
        np.savez(folder / "bgr.npz", x=x[..., ::-1], y=y)
        np.savez(folder / "reshaped.npz", x=np.moveaxis(x, -1, 1).reshape(x.shape), y=y)

    return once(shared / "colours", make)


def lint(*arguments: object, cwd: Path) -> tuple[int, dict[str, Any]]:
    done = answer("lint-data", *arguments, "--json", cwd=cwd)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def codes(report: dict[str, Any]) -> dict[str, str]:
    return {f["code"]: f["severity"] for f in report["findings"] if f["severity"] != "info"}


def test_example_has_no_finding(digits_run: Path, tmp_path: Path) -> None:
    project = shutil.copytree(digits_run / "project", tmp_path / "project")
    status, report = lint(cwd=project)
    assert status == 0
    assert codes(report) == {}
    assert [(p["use"], p["items"]) for p in report["parts"]] == [
        ("representative", 200),
        ("evaluation", 718),
        ("training", 1079),
    ]
    assert report["unchecked"] == []
    assert report["saturation"]["sufficient"] in (16, 32, 64)
    assert report["scores"][0]["title"] == "as given"


def test_example_converts_without_a_finding(digits_report: Any) -> None:
    assert "lint" in {stage["name"] for stage in digits_report["stages"]}
    assert not [a for a in digits_report["advice"] if a["code"].startswith("EK-LINT")]


def test_wrong_scale_is_proven_by_the_models_answers(
    converted: Path, digits: Path, tmp_path: Path
) -> None:
    done = answer(
        "lint-data",
        converted / "float32.tflite",
        "--data",
        digits / "test.npz",
        "--rescale",
        "1/4080",
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "error EK-LINT-060: inputs look wrongly preprocessed" in done.stdout
    assert "--rescale=1/16 " in done.stdout
    assert "as given: " in done.stdout
    assert not (tmp_path / "build").exists()


def test_another_models_labels_are_told_by_answers_no_better_than_chance(
    converted: Path, digits: Path, tmp_path: Path
) -> None:
    test = np.load(digits / "test.npz")
    shuffled = np.random.default_rng(0).permutation(test["y"])
    np.savez(tmp_path / "shuffled.npz", x=test["x"], y=shuffled)
    status, report = lint(
        converted / "float32.tflite",
        "--data",
        tmp_path / "shuffled.npz",
        "--rescale",
        "1/16",
        cwd=tmp_path,
    )
    assert status == 0
    assert codes(report)["EK-LINT-061"] == "warning"


def plant(name: str, digits: Path) -> tuple[Any, Any]:
    """Representative items and labels with the fault of that name."""
    train, test = np.load(digits / "train.npz"), np.load(digits / "test.npz")
    x, y = train["x"][:200], train["y"][:200]
    if name == "scaled twice":
        return x / np.float32(16), y
    if name == "all the same":
        return np.repeat(x[:1], 100, axis=0), y[:100]
    if name == "three classes":
        return x[y < 3], y[y < 3]
    if name == "overlap":
        return test["x"][:100], test["y"][:100]
    assert name == "noise"
    return np.random.default_rng(1).integers(0, 17, x.shape).astype(np.uint8), y


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [
        ("scaled twice", "EK-LINT-012", 1),
        ("all the same", "EK-LINT-015", 1),
        ("three classes", "EK-LINT-020", 0),
        ("overlap", "EK-LINT-031", 0),
        ("noise", "EK-LINT-040", 1),
    ],
)
def test_fault_is_found_without_a_model(
    digits: Path, tmp_path: Path, name: str, code: str, status: int
) -> None:
    x, y = plant(name, digits)
    np.savez(tmp_path / "r.npz", x=x, y=y)
    done, report = lint(
        "--data",
        digits / "test.npz",
        "--representative",
        "r.npz",
        "--rescale",
        "1/16",
        cwd=tmp_path,
    )
    assert code in codes(report)
    assert done == status
    assert {one["check"] for one in report["unchecked"]} >= {"the model's own normalisation"}


def test_nothing_to_lint_is_a_usage_error(tmp_path: Path) -> None:
    done = answer("lint-data", cwd=tmp_path)
    assert done.returncode == 2
    assert "EK-PROJECT-001" in done.stderr


def test_data_that_does_not_fit_is_refused_as_by_convert(digits: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "r.npz", x=np.zeros((20, 9, 8, 1)), y=np.zeros(20, np.int64))
    done = answer(
        "lint-data", "--representative", "r.npz", "--data", digits / "test.npz", cwd=tmp_path
    )
    assert done.returncode == 2
    assert "EK-DATA-004" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "data", "options", "found", "fix"),
    [
        ("rescaling", "rgb", (), "", ""),
        ("unit", "rgb", (), "divided by 255", "--rescale=1/255 "),
        ("rescaling", "rgb", ("--rescale", "1/255"), "times 255", "--rescale=1 "),
        ("unit", "bgr", ("--rescale", "1/255"), "red and blue exchanged", "[..., ::-1]"),
        ("unit", "reshaped", ("--rescale", "1/255"), "channels-first", ".transpose(0, 2, 3, 1)"),
    ],
)
def test_models_own_normalisation_is_found(
    colours: Path,
    shared: Path,
    model: str,
    data: str,
    options: tuple[str, ...],
    found: str,
    fix: str,
) -> None:
    # One store for all: the model is exported and converted once.
    status, report = lint(
        colours / f"{model}.keras",
        "--data",
        colours / f"{data}.npz",
        *options,
        "--output",
        shared / "colours-output",
        cwd=colours,
    )
    proven = [f for f in report["findings"] if f["code"] == "EK-LINT-060"]
    assert status == bool(found)
    assert len(proven) == bool(found)
    for finding in proven:
        assert f", 1 {found}, on" in finding["message"]
        assert fix in finding["fix"]


@pytest.mark.slow
def test_unlabelled_data_says_what_was_not_checked(
    models: Path, digits: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "unlabelled.npz", x=np.load(digits / "test.npz")["x"])
    status, report = lint(
        models / "keras3.keras", "--data", "unlabelled.npz", "--rescale", "1/16", cwd=tmp_path
    )
    assert status == 0
    assert {one["check"] for one in report["unchecked"]} == {
        "class coverage",
        "the model's own normalisation",
    }
    assert report["saturation"]["sufficient"]


@pytest.mark.slow
def test_convert_tells_findings_and_judges_by_the_metric_alone(
    models: Path, digits: Path, tmp_path: Path
) -> None:
    x, y = plant("noise", digits)
    np.savez(tmp_path / "noise.npz", x=x, y=y)
    done = answer(
        "convert",
        models / "keras3.keras",
        "--data",
        digits / "test.npz",
        "--rescale",
        "1/4080",
        "--representative",
        "noise.npz",
        "--precision",
        "int8",
        "--max-drop",
        "100%",
        "--json",
        cwd=tmp_path,
    )
    report = json.loads(done.stdout)
    advice = {a["code"]: a["severity"] for a in report["advice"]}
    assert advice["EK-LINT-040"] == "error"
    # At chance level the other preparations are tried without being asked for.
    assert advice["EK-LINT-060"] == "error"
    assert report["verdict"]["status"] == "passed"
    assert done.returncode == 0
    assert "EK-LINT-060" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "found"),
    [(("--rescale", "1/255"), {}), ((), {"EK-LINT-060": "error"})],
)
def test_fashion_mnist(
    test_data: Path, tmp_path: Path, options: tuple[str, ...], found: dict[str, str]
) -> None:
    data = test_data / "fashion_mnist"
    _, report = lint(
        test_data / "models_fashion_cvishakh" / "fashion_mnist_model.keras",
        "--data",
        data / "fashion_test.npz",
        "--train-data",
        data / "fashion_train.npz",
        *options,
        cwd=tmp_path,
    )
    assert codes(report) == found


@pytest.mark.parametrize(
    ("train", "model", "alike"),
    [
        ("photos", None, True),
        ("train.npz", None, False),
        (None, None, False),
        ("photos", "m", False),
    ],
)
def test_a_model_that_was_trained_here_on_pictures_needs_no_other_scale_tried(
    train: str | None, model: str | None, alike: bool, tmp_path: Path
) -> None:
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "1.png").write_bytes(b"")
    named = SimpleNamespace(train=train, evaluate="photos")
    run = SimpleNamespace(
        project=SimpleNamespace(data=named, root=tmp_path), plan=SimpleNamespace(model=model)
    )
    assert linting._scaled_alike(run) is alike  # type: ignore[arg-type]
