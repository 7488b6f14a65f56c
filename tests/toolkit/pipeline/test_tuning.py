"""A strategy that cannot fine-tune is refused before anything is trained; another one is said."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forking import tensorflow_script

from conftest import EDGEKIT
from edgekit.errors import CompressionError
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.run import Run
from edgekit.pipeline.tuning import check_strategy
from edgekit.project import Project
from edgekit.types import Silent


def checked(
    folder: Path, train: dict[str, Any], finetune: dict[str, Any], **more: Any
) -> list[str]:
    """What a run says of its strategy."""
    (folder / "model.py").write_text("def build(): raise AssertionError('it is not built')\n")
    np.savez(folder / "train.npz", x=np.zeros((4, 2), "float32"), y=np.zeros(4, int))
    table = {
        "schema": 1,
        "model": {"name": "refused", "source": "model.py:build"},
        "data": {"train": "train.npz"},
        "train": train,
        "compress": {"prune": {"sparsity": 0.5}, "finetune": finetune, **more},
    }
    with Run(Plan.of(Project.parse(table, folder), Options(evaluate=False)), Silent()) as run:
        check_strategy(run)
        return [f"{one.code} {one.message}" for one in run.advices if "NOTE-1" in one.code]


@pytest.mark.parametrize("name", ["parameter_server", "central_storage", "tpu"])
def test_strategy_that_cannot_fine_tune_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(CompressionError, match=f"strategy = '{name}'") as refused:
        checked(tmp_path, {"strategy": name}, {})
    assert refused.value.code == "EK-COMPRESS-029"
    assert '[compress.finetune] strategy = "default"' in refused.value.hint
    # What is not trained, and what is fine-tuned otherwise, may be.
    assert checked(tmp_path, {"strategy": name}, {}, finetune_epochs=0) == []
    (said,) = checked(tmp_path, {"strategy": name}, {"strategy": "default"})
    assert said.startswith("EK-NOTE-122")
    assert "'default'" in said
    assert repr(name) in said


def test_cluster_of_other_machines_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {}}')
    with pytest.raises(CompressionError, match="TF_CONFIG names a cluster") as refused:
        checked(tmp_path, {"strategy": "multi_worker"}, {})
    assert refused.value.code == "EK-COMPRESS-030"
    assert checked(tmp_path, {"strategy": "mirrored"}, {}) == []
    monkeypatch.delenv("TF_CONFIG")
    assert checked(tmp_path, {"strategy": "multi_worker"}, {}) == []


SEVERAL = """
import sys
from pathlib import Path
import tf_keras
from edgekit.compression.members import check_clusters
from edgekit.errors import CompressionError
from edgekit.project.compress import ClusterTable
from edgekit.types import Model
L, file = tf_keras.layers, Path(sys.argv[1]) / "model.h5"
tf_keras.Sequential([L.InputLayer((4, 8)), L.LSTM(6, name="memory"), L.Dense(10)]).save(file)
model = Model(file, "h5", "keras2", "", own=True)
check_clusters(model, ClusterTable(clusters=4, layers={"memory": False}))
try:
    check_clusters(model, ClusterTable(clusters=4))
except CompressionError as error:
    assert error.code == "EK-COMPRESS-031", error
    assert "memory (LSTM)" in error.message, error
    assert "memory = false" in error.hint, error
else:
    raise AssertionError("it was not refused")
"""


@pytest.mark.slow
def test_layer_with_several_kernels_is_refused_by_name(tmp_path: Path) -> None:
    tensorflow_script(SEVERAL, tmp_path)


PROJECT = """
schema = 1
[model]
name = "small"
source = "model.keras"
[data]
train = "train.npz"
[train]
strategy = "multi_worker"
batch_size = 16
[compress]
channels = { macs = 0.3, multiple = 4 }
finetune_epochs = 1
[convert]
precisions = ["float32"]
"""
BUILD = """
import sys, keras, numpy as np
L = keras.layers
inputs = keras.Input((8, 8, 1), name="image")
x = L.Flatten()(L.Conv2D(16, 3, activation="relu")(L.Conv2D(8, 3, activation="relu")(inputs)))
keras.Model(inputs, L.Dense(10, activation="softmax")(x)).save(sys.argv[1] + "/model.keras")
rng = np.random.default_rng(0)
x, y = rng.normal(size=(61, 8, 8, 1)).astype("float32"), rng.integers(0, 10, 61)
np.savez(sys.argv[1] + "/train.npz", x=x, y=y)
"""


@pytest.mark.slow
def test_model_file_is_fine_tuned_by_two_workers_in_a_sandbox(tmp_path: Path) -> None:
    tensorflow_script(BUILD, tmp_path)
    (tmp_path / "edgekit.toml").write_text(PROJECT)
    done = subprocess.run(
        [EDGEKIT, "convert", "--no-evaluate"],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build" / "small" / "float32" / "model.tflite").exists()
    (folder,) = (tmp_path / ".edgekit" / "runs").iterdir()
    assert {"worker-0.txt", "worker-1.txt"} <= {one.name for one in folder.iterdir()}
    # Nothing is logged of several workers: no empty folder stays for it.
    assert not (tmp_path / "build" / "small" / "logs").exists()
