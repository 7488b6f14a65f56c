"""Steady-state throughput of an evaluation, against the loop everyone writes first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rows import Row, seconds

from edgekit.targets.runners import RUNNER_FILES

SECONDS = 10
BAR = 1.5

# One item at a time; its inputs are quantized beforehand, which flatters it.
LOOP = """
import sys, time, json, numpy as np
from ai_edge_litert.interpreter import Interpreter
model, data, out, seconds = sys.argv[1:]
x = np.load(data).astype("float32")[..., None] / 255
interpreter = Interpreter(model, num_threads=1)
interpreter.allocate_tensors()
i, o = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
scale, zero = i["quantization"]
x = np.clip(np.rint(x / np.float32(scale)) + zero, -128, 127).astype("int8")
answers = np.zeros((len(x), 10), "int8")
begin, done = time.perf_counter(), 0
while time.perf_counter() - begin < float(seconds):
    for k in range(len(x)):
        interpreter.set_tensor(i["index"], x[k:k + 1])
        interpreter.invoke()
        answers[k] = interpreter.get_tensor(o["index"])[0]
    done += len(x)
rate = done / (time.perf_counter() - begin)
scale, zero = o["quantization"]
np.save(out, (answers.astype("float32") - np.float32(zero)) * np.float32(scale))
print(json.dumps(rate))
"""


def rows() -> Iterator[Row]:
    """The third-party Fashion-MNIST model in int8: at least 1.5 times the one-sample loop."""
    what = "int8 evaluation of the Fashion-MNIST model, items a second on all cores"
    shared = os.environ.get("EDGEKIT_TEST_DATA")
    if not shared:
        yield Row(what, f"at least {BAR} x", "unavailable: EDGEKIT_TEST_DATA is not set", True)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, data = _int8(Path(shared).resolve(), folder)
        loop = subprocess.run(
            [sys.executable, "-c", LOOP, str(model), str(data), str(folder / "loop.npy"),
             str(SECONDS)], check=True, capture_output=True, text=True,
        )  # fmt: skip
        naive = float(json.loads(loop.stdout))
        rate, startup, same = _runner(model, data, folder, round(naive * 2 * SECONDS))
    yield Row(
        f"{what}: loop {naive:,.0f}, edgekit's runner {rate:,.0f}"
        f" (start-up {startup:.1f} s apart), answers {'equal' if same else 'DIFFER'}",
        f"at least {BAR} x",
        f"{rate / naive:.2f} x",
        same and rate >= BAR * naive,
    )


def _int8(shared: Path, folder: Path) -> tuple[Path, Path]:
    edgekit = Path(sys.executable).with_name("edgekit")
    test = shared / "fashion_mnist" / "fashion_test.npz"
    source = shared / "models_fashion_cvishakh" / "fashion_mnist_model.keras"
    seconds(
        [edgekit, "convert", source, "--data", test, "--rescale", "1/255", "--precision", "int8",
         "--no-evaluate", "--output", folder]
    )  # fmt: skip
    np.save(folder / "x.npy", np.load(test)["x"])
    return folder / "build" / "fashion_mnist_model" / "int8" / "model.tflite", folder / "x.npy"


def _runner(model: Path, data: Path, folder: Path, items: int) -> tuple[float, float, bool]:
    """Items a second, seconds outside the steady state, and whether the answers are the loop's."""
    count = len(np.load(data, mmap_mode="r"))
    np.save(folder / "index.npy", np.arange(items) % count)
    request = {
        "schema": 1, "mode": "evaluate", "runtime": "litert",
        "models": [{"id": "m", "path": str(model), "outputs": str(folder / "out")}],
        "inputs": {"input_layer_1": str(data)}, "index": str(folder / "index.npy"),
        "preprocess": {"scale": 1 / 255, "offset": 0.0}, "threads": 1,
    }  # fmt: skip
    (folder / "request.json").write_text(json.dumps(request))
    whole = seconds(
        [sys.executable, RUNNER_FILES["litert"], folder / "request.json", folder / "result.json"]
    )
    steady = json.loads((folder / "result.json").read_text())["models"]["m"]["seconds"]
    (output,) = (folder / "out").glob("*.npy")
    same = np.array_equal(np.load(output, mmap_mode="r")[:count], np.load(folder / "loop.npy"))
    return items / steady, whole - steady, bool(same)
