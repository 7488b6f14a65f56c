"""Our latency beside the platform's own benchmark tool, on one model of a few milliseconds.

The two take turns over fresh launches on one core, and every second round runs in reverse order.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rows import Row

from edgekit.evaluation.launches import measure
from edgekit.evaluation.protocol import Protocol, TimingJob
from edgekit.targets.devices import Workplace, open_device, parse
from edgekit.targets.devices.agent.machine import fast_core
from edgekit.types import Preprocess, Request, RunnerModel

LAUNCHES = 7
BAR = 0.03
RUNS = 150
WARMUP = 50
SIDE = 128
TOOL = "ai_edge_litert.tools.benchmark_litert_model"
CONVERT = """
import sys, networks, tensorflow as tf
model = networks.mobilenet(int(sys.argv[2]))
open(sys.argv[1], "wb").write(tf.lite.TFLiteConverter.from_keras_model(model).convert())
"""


def rows() -> Iterator[Row]:
    """The relative difference of the two medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "mobilenet.tflite"
        subprocess.run(
            [sys.executable, "-c", CONVERT, str(model), str(SIDE)],
            cwd=Path(__file__).resolve().parent,
            check=True,
            capture_output=True,
        )
        ours, theirs = compared(folder, model)
    difference = ours / theirs - 1
    yield Row(
        f"latency of a float MobileNetV2 beside `litert-benchmark`, {LAUNCHES} launches each",
        f"within {BAR:.0%}",
        f"{ours / 1e6:.3f} ms against {theirs / 1e6:.3f} ms ({difference:+.1%})",
        abs(difference) <= BAR,
    )


def compared(folder: Path, model: Path) -> tuple[float, float]:
    """The medians over launches of each one's median, in nanoseconds: ours, and the tool's."""
    taken: dict[Callable[[Path, Path], float], list[float]] = {_ours: [], _theirs: []}
    for number in range(LAUNCHES):
        order = list(taken) if number % 2 == 0 else list(taken)[::-1]
        for side in order:
            taken[side].append(side(folder, model))
    return statistics.median(taken[_ours]), statistics.median(taken[_theirs])


def _ours(folder: Path, model: Path) -> float:
    items = folder / "items.npy"
    if not items.exists():
        # As the tool draws it: one item, run again and again.
        drawn = np.random.default_rng(0).uniform(-1, 1, (1, SIDE, SIDE, 3))
        np.save(items, drawn.astype(np.float32))
    device = open_device(parse("local"), Workplace(folder, folder / "log.txt"))
    from edgekit.converters import flatbuffer

    file = flatbuffer.read(model)
    (name,) = file.signatures[0].inputs
    request = Request(
        mode="bench",
        models=(RunnerModel("model", model),),
        inputs={name: items},
        preprocess=Preprocess(),
        runtime="litert",
        threads=1,
        core=device.core(),
    )
    settings = Protocol(min_runs=RUNS, max_runs=RUNS, min_seconds=0.0, launches=1)
    job = TimingJob("model", device, request)
    taken = measure([[job]], settings, lambda *_: None, lambda _: True)["model"]
    if taken.error is not None:
        raise taken.error
    return float(np.median(taken.launches[0].runs))


def _theirs(folder: Path, model: Path) -> float:
    path = folder / "theirs.json"
    core = fast_core()
    subprocess.run(
        [
            sys.executable,
            "-m",
            TOOL,
            f"--model={model}",
            f"--num_runs={RUNS}",
            f"--warmup_runs={WARMUP}",
            f"--result_json={path}",
        ],
        check=True,
        capture_output=True,
        preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
    )
    return float(json.loads(path.read_text())["latency"]["median_ms"]) * 1e6


if __name__ == "__main__":
    print("\n".join(f"{row.what}: {row.measured} (bar: {row.bar})" for row in rows()))
