"""Files of a fixed batch, or without one: converted, judged, packed and run item by item."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forking import tensorflow_script
from tflite_files import G, N, T, build, doubling

from conftest import answer
from edgekit import Project, convert
from edgekit.converters import flatbuffer
from edgekit.converters.quantization.batches import in_batches, single_item
from edgekit.errors import ModelError
from edgekit.models.export import _fixed_batch
from edgekit.targets.bundles import verify
from edgekit.types import Report, TensorSpec

pytestmark = pytest.mark.usefixtures("untimed", "lent_worker")
ITEMS = 43


def test_a_fixed_batch_is_always_full_and_no_item_is_left_out() -> None:
    items = {"x": np.arange(11)[:, None]}
    taken = [one["x"][:, 0].tolist() for one in in_batches(items, {"x": (4, 1)})]
    assert taken == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 10]]
    assert [len(one["x"]) for one in in_batches(items, {"x": (None, 1)})] == [1] * 11
    whole = list(in_batches({"x": np.ones((2, 5))}, {"x": (5,)}))
    assert [one["x"].shape for one in whole] == [(5,), (5,)]
    assert single_item(items, {"x": (4, 1)}, 7)["x"][:, 0].tolist() == [7] * 4
    few = {"x": np.ones((2, 1))}
    assert [len(one["x"]) for one in in_batches(few, {"x": (8, 1)})] == [8]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of a batch of 8, and of none, with items that both double."""
    (tmp_path / "eight.tflite").write_bytes(build(doubling([8, 3])))
    (tmp_path / "whole.tflite").write_bytes(build(doubling([15])))
    rng = np.random.default_rng(0)
    for name, shape in {"eight": (ITEMS, 3), "whole": (ITEMS, 15)}.items():
        x = rng.random(shape).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", x=x, y=2 * x)
    return tmp_path


def made(folder: Path, name: str, **table: Any) -> Report:
    return convert(
        Project.parse(
            {
                "model": {"source": f"{name}.tflite"},
                "data": {"evaluate": f"{name}.npz"},
                "evaluate": {"metric": "mae"},
                **table,
            },
            folder,
        )
    )


@pytest.mark.parametrize("name", ["eight", "whole"])
def test_files_keep_their_batch_and_every_item_is_judged(folder: Path, name: str) -> None:
    report = made(folder, name, convert={"precisions": ["float32", "int8", "int16x8"]})
    float32, *quantized = report.candidates
    assert all(one.problem == "" for one in report.candidates)
    assert float32.evaluation.metrics["mae"].value == 0.0
    for one in quantized:
        # Ranges that no item had set would clip them all.
        assert 0.0 < (one.evaluation.metrics["mae"].value or 0.0) < 0.02
        assert one.path is not None
        (tensor,) = flatbuffer.read(one.path).inputs
        assert tensor.shape == ((8, 3) if name == "eight" else (15,))
    assert report.targets[0].bundle is not None
    found = verify(report.targets[0].bundle.path)
    assert found.selftests["litert"].startswith("passed")
    assert found.manifest["model"]["inputs"]["x"]["shape"] == [1, 3 if name == "eight" else 15]


@pytest.mark.parametrize("name", ["eight", "whole"])
def test_bundle_of_a_file_as_it_is_runs_any_number_of_items(folder: Path, name: str) -> None:
    report = made(folder, name, convert={"as_is": True})
    assert report.verdict.exit_code == 0
    assert report.candidates[0].evaluation.metrics["mae"].value == 0.0
    assert report.targets[0].bundle is not None
    with tarfile.open(report.targets[0].bundle.path) as archive:
        archive.extractall(folder / "bundle")  # noqa: S202  (our own)
    (root,) = (folder / "bundle").iterdir()
    items = np.load(folder / f"{name}.npz")["x"][:11]
    np.save(folder / "items.npy", items)
    app = [sys.executable, str(root / "app.py")]
    for command in (["selftest"], ["classify", str(folder / "items.npy"), "--top", "1"]):
        done = subprocess.run(
            [*app, *command, "--runtime", "litert"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("item ")]
    best = [float(line.rpartition(" ")[2]) for line in lines]
    assert best == pytest.approx((2 * items).max(axis=1).tolist(), abs=1e-3)


@pytest.mark.usefixtures("untimed")
def test_layers_and_arena_of_a_fixed_batch_are_looked_at(folder: Path) -> None:
    done = answer(
        "compare",
        "eight.tflite",
        "eight.tflite",
        "--data",
        "eight.npz",
        "--metric",
        "mae",
        "--layers",
        "--no-latency",
        "--json",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    assert "EK-NOTE-025" not in done.stdout
    assert '"ADD"' in done.stdout
    pytest.importorskip("tflite_micro")
    report = made(folder, "eight", convert={"as_is": True}, targets={"cortex-m4": {}})
    memory = report.candidates[0].evaluation.memory
    assert memory is not None
    assert (memory.arena.value or 0) > 0, memory.arena.reason


def test_a_scalar_input_is_refused(folder: Path) -> None:
    add = N("ADD", ["x", "x"], ["y"], options={"kind": "AddOptions"})
    scalar = G([T("x", []), T("y", [])], [add], ["x"], ["y"])
    (folder / "eight.tflite").write_bytes(build(scalar))
    with pytest.raises(ModelError, match="EK-MODEL-010"):
        made(folder, "eight")


FIXED = """
import sys, numpy as np, tensorflow as tf
folder = sys.argv[1]
module = tf.Module()
module.w = tf.Variable(np.eye(3, dtype="float32") * 2)
@tf.function(input_signature=[tf.TensorSpec([8, 3], name="x")])
def serve(x):
    return {"y": tf.reshape(tf.reshape(x, [24]), [8, 3]) @ module.w}
tf.saved_model.save(module, folder + "/fixed", signatures=serve)
"""


def test_a_batch_is_traced_as_the_model_has_it() -> None:
    def batch(*shapes: tuple[int | None, ...]) -> int:
        return _fixed_batch({str(k): TensorSpec("x", s, "float32") for k, s in enumerate(shapes)})

    assert [batch((None, 3)), batch((1, 3)), batch((8, 3)), batch((8, 3), (None, 2))] == [
        1,
        1,
        8,
        8,
    ]
    for wrong in (((),), ((8, 3), (4, 3))):
        with pytest.raises(ModelError, match="EK-MODEL-010"):
            batch(*wrong)


@pytest.mark.slow
def test_a_saved_model_of_a_fixed_batch_converts_with_it(folder: Path) -> None:
    tensorflow_script(FIXED, folder)
    table = {
        "model": {"source": "fixed"},
        "data": {"evaluate": "eight.npz"},
        "evaluate": {"metric": "mae"},
        "convert": {"precisions": ["float32", "int8"]},
    }
    report = convert(Project.parse(table, folder))
    assert [one.problem for one in report.candidates] == ["", ""]
    errors = [one.evaluation.metrics["mae"].value for one in report.candidates]
    assert errors[0] == pytest.approx(0.0, abs=1e-6)
    assert 0.0 < (errors[1] or 0.0) < 0.02
    assert report.reference_evaluation.metrics["mae"].value == pytest.approx(0.0, abs=1e-6)
    path = report.candidates[0].path
    assert path is not None
    assert flatbuffer.read(path).inputs[0].shape == (8, 3)
    done = answer(
        "compare", "fixed", path, "--data", "eight.npz", "--metric", "mae", "--json", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"]["exit_code"] == 0
