"""A model with a state from data to a bundle: calibrated by states that it really has."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forking import tensorflow_script
from tflite_files import leaking

from conftest import BRIEF_BENCH, answer, brief, once

MAKE = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
x, state = keras.Input((2,), name="x"), keras.Input((2,), name="state_in")
halved = keras.layers.Dense(2, use_bias=False, name="halved")(state)
out = keras.layers.Add(name="state_out")([halved, x])
y = keras.layers.Dense(2, use_bias=False, name="y")(out)
model = keras.Model([x, state], [y, out])
model.get_layer("halved").set_weights([np.eye(2) * 0.5])
model.get_layer("y").set_weights([np.eye(2) * 2])
model.save(sys.argv[1])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The float file, a stream with labels, and items whose states are all zeros."""
    folder = tmp_path_factory.mktemp("converted-states")
    (folder / "leaking.tflite").write_bytes(leaking())
    x = np.random.default_rng(0).normal(1, 0.3, (300, 2)).astype(np.float32)
    state, y = np.zeros(2, np.float32), []
    for item in x:
        state = item + state / 2
        y.append(2 * state)
    np.savez(folder / "stream.npz", x=x, y=np.array(y))
    np.savez(folder / "zeros.npz", x=x[:60], state_in=np.zeros((60, 2), np.float32))
    np.savez(folder / "items.npz", x=x[:60])
    return folder


def converted(folder: Path, *more: object) -> dict[str, Any]:
    """The run's report."""
    done = answer(
        "convert",
        "leaking.tflite",
        "--data",
        "stream.npz",
        "--precision",
        "int8",
        "--metric",
        "mae",
        "--max-drop",
        0.05,
        "--json",
        *more,
        cwd=folder,
    )
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.usefixtures("untimed", "lent_worker")
def test_calibration_sees_the_states_that_the_model_really_has(folder: Path) -> None:
    errors = {}
    for name, more in {
        "carried": ("--stream",),
        "other items": ("--stream", "--representative", "items.npz"),
    }.items():
        report = converted(folder, *more, "--output", folder / name)
        errors[name] = report["candidates"][0]["metrics"]["mae"]["value"]
    assert max(errors.values()) < 0.05
    (bundle,) = (folder / "carried" / "dist").glob("*.tar.gz")
    with tarfile.open(bundle) as archive:
        member = next(one for one in archive.getnames() if one.endswith("manifest.json"))
        manifest = json.loads(archive.extractfile(member).read())  # type: ignore[union-attr]
    assert list(manifest["golden"]["inputs"]) == ["x"]
    assert manifest["model"]["states"]["state_in"]["output"] == "state_out"
    assert manifest["golden"]["streams"] == [0]
    verified = answer("verify", bundle, cwd=folder)
    assert verified.returncode == 0, verified.stderr
    timed = answer("bench", bundle, *BRIEF_BENCH, cwd=folder)
    assert timed.returncode == 0, timed.stderr
    assert json.loads(timed.stdout)["rows"][0]["selftest"]["passed"]


@pytest.mark.usefixtures("untimed", "lent_worker")
def test_zeros_alone_tell_a_quantizer_nothing_of_a_state(folder: Path) -> None:
    apart = answer(
        "convert",
        "leaking.tflite",
        "--data",
        "zeros.npz",
        "--precision",
        "int8",
        "--metric",
        "mae",
        "--output",
        folder / "zeros",
        "--json",
        "--no-evaluate",
        cwd=folder,
    )
    assert apart.stdout, apart.stderr
    path = json.loads(apart.stdout)["candidates"][0]["path"]
    found = answer(
        "evaluate",
        path,
        "--data",
        "stream.npz",
        "--metric",
        "mae",
        "--worst",
        0,
        "--stream",
        "--json",
        cwd=folder,
    )
    assert json.loads(found.stdout)["models"][0]["metric"]["value"] > 0.5


@pytest.mark.slow
def test_a_keras_model_with_a_state_is_judged_as_a_stream_by_tensorflow(
    folder: Path, shared: Path
) -> None:
    def make(place: Path) -> None:
        tensorflow_script(MAKE, place / "leaking.keras")

    model = once(shared / "keras-states", make) / "leaking.keras"
    done = brief(
        "convert",
        model,
        "--data",
        "stream.npz",
        "--stream",
        "--metric",
        "mae",
        "--max-drop",
        0.1,
        "--precision",
        "float32",
        "--precision",
        "int8",
        "--json",
        "--output",
        folder / "keras",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    # The first fifth calibrates: what comes after begins with another state than zeros.
    assert report["reference"]["metrics"]["mae"]["value"] < 0.05
    by_id = {one["id"]: one for one in report["candidates"]}
    assert by_id["float32"]["drop"]["mae"]["value"] < 1e-6
    assert by_id["int8"]["metrics"]["mae"]["value"] < 0.1
