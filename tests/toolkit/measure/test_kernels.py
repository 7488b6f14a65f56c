"""Times of int8 by a runtime whose wheel lacks the kernels: said to tell nothing of a device."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest
from tflite_files import G, N, T, build, int8_dense

from edgekit import api
from edgekit.evaluation.protocol import Protocol
from edgekit.pipeline.measure.kernels import X86, lacks_int8
from edgekit.project import Project

PC, PI = {"machine": "x86_64"}, {"machine": "aarch64"}
BRIEF = api.BenchOptions(
    devices=("local:litert", "local:tflite-runtime"),
    calibrate=False,
    protocol=Protocol(min_runs=10, min_seconds=0.02, max_seconds=0.1, launches=2, max_launches=2),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernels")
    weight = T("w", [3, 4], data=np.ones((3, 4), "f4"))
    nodes = [N("FULLY_CONNECTED", ["x", "w", None], ["y"])]
    graph = G([T("x", [1, 4]), weight, T("y", [1, 3])], nodes, ["x"], ["y"])
    (folder / "float.tflite").write_bytes(build(graph))
    (folder / "int8.tflite").write_bytes(build(int8_dense()))
    return folder


@pytest.mark.parametrize(
    ("runtime", "version", "facts", "file", "lacks"),
    [
        ("tflite-runtime", "2.14.0", PC, "int8", True),
        ("tflite-runtime", "2.14.0", PC, "float", False),
        ("tflite-runtime", "2.14.0", PI, "int8", False),
        ("tflite-runtime", "2.14.0", {}, "int8", False),
        ("litert", "2.3.0", PC, "int8", False),
    ],
)
def test_int8_of_tflite_runtime_on_x86_alone_lacks_kernels(
    folder: Path, runtime: str, version: str, facts: dict[str, str], file: str, lacks: bool
) -> None:
    assert lacks_int8(runtime, version, facts, folder / f"{file}.tflite") is lacks


@pytest.mark.skipif(platform.machine().lower() not in X86, reason="of x86 hosts")
def test_bench_says_so_beside_the_time(folder: Path) -> None:
    pytest.importorskip("tflite_runtime")
    sources = [str(folder / "int8.tflite")]
    project = Project.model_validate({"model": {"source": sources[0]}})
    project._root = folder
    done = api.bench(project, sources, BRIEF, api.Options(output=folder / "out"))
    spoilt = {
        row.runtime: any(
            "lack XNNPACK's int8 kernels: this time is not the device's speed" in note
            for note in row.conditions.notes
        )
        for row in done.rows
        if row.conditions
    }
    assert spoilt == {
        "litert": False,
        "tflite-runtime": True,
    }
