"""Steady-state throughput and memory of an evaluation, against the loop everyone writes first."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rows import Row, seconds

from edgekit.converters import flatbuffer
from edgekit.targets.runners import RUNNER_FILES

SECONDS = 10
ROUNDS = 3
CORES = 2
CALIBRATION = 20
SQUARE = 4
# Answers of the loop that differ from each other, at least.
DISTINCT = 10
RUNTIME = "litert"
# Items of the two evaluations that are compared in memory, and by how much they may differ.
FEW, MANY, GROWTH = 10_000, 60_000, 50 << 20


@dataclass(frozen=True)
class Network:
    """A network of the benchmark: its code, the shape of an item, the items, and its bar."""

    name: str
    make: str
    shape: tuple[int, int, int]
    items: int
    bar: float


# Random weights: what they are does not change the time. But answers that are all the same would
# prove no equality, so the normalizations take the statistics of the items.
NETWORKS = (
    Network("ResNet-8", "networks.resnet8()", (28, 28, 1), 2000, 1.8),
    Network(
        "MobileNetV2-96",
        "keras.applications.MobileNetV2("
        "input_tensor=keras.Input((96, 96, 3), name='image'), weights=None, classes=10)",
        (96, 96, 3),
        500,
        1.6,
    ),
)

MAKE = """
import sys, keras, numpy as np
sys.path.insert(0, sys.argv[1])
import networks
keras.utils.set_random_seed(7)
model = {make}
for layer in model.layers:
    if isinstance(layer, keras.layers.BatchNormalization):
        layer.momentum = 0.0
model(np.load(sys.argv[3]).astype("float32") / 255, training=True)
model.save(sys.argv[2])
"""

LAYER_ITEMS, LAYER_SECONDS = 200, 20
# One item at a time; its inputs are quantized beforehand, which flatters it.
LOOP = """
import sys, time, json, numpy as np
from ai_edge_litert.interpreter import Interpreter
model, data, out, seconds = sys.argv[1:]
interpreter = Interpreter(model, num_threads=1)
interpreter.allocate_tensors()
i, o = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
scale, zero = i["quantization"]
x = np.load(data).astype("float32") * np.float32(1 / 255)
x = np.clip(np.rint(x / np.float32(scale)) + zero, -128, 127).astype("int8")
answers = np.zeros((len(x), 10), "int8")
begin, done = time.perf_counter(), 0
while time.perf_counter() - begin < float(seconds) or done < len(x):
    k = done % len(x)
    interpreter.set_tensor(i["index"], x[k:k + 1])
    interpreter.invoke()
    answers[k] = interpreter.get_tensor(o["index"])[0]
    done += 1
rate = done / (time.perf_counter() - begin)
scale, zero = o["quantization"]
np.save(out, (answers.astype("float32") - np.float32(zero)) * np.float32(scale))
print(json.dumps(rate))
"""


def rows() -> Iterator[Row]:
    """Each network in int8 against the loop, on two cores; then what more items cost in memory."""
    with two_cores(), tempfile.TemporaryDirectory() as name:
        for network in NETWORKS:
            folder = Path(name) / network.name
            folder.mkdir()
            model = _int8(network, folder)
            yield _throughput(network, model, folder)
            if network is NETWORKS[0]:
                yield _memory(network, model, folder)
            else:
                yield _layers(network, folder)


@contextlib.contextmanager
def two_cores() -> Iterator[None]:
    """This process and what it starts on two cores, where the system allows."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:CORES]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _throughput(network: Network, model: Path, folder: Path) -> Row:
    """Rounds in turns: the loop, then the runner for about as long; the median of their ratios."""
    data = _data(folder, network, network.items)
    ratios, rates, same, startup = [], [], True, 0.0
    chosen: dict[str, Any] = {}
    for _ in range(ROUNDS):
        loop = subprocess.run(
            [
                sys.executable,
                "-c",
                LOOP,
                str(model),
                str(data),
                str(folder / "loop.npy"),
                str(SECONDS),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        naive = float(json.loads(loop.stdout))
        items = round(naive * CORES * 1.05 * SECONDS)
        np.save(folder / "index.npy", np.arange(items) % network.items)
        whole, chosen = _evaluate(model, data, folder, index=str(folder / "index.npy"))
        rate, startup = items / chosen["seconds"], whole - chosen["seconds"]
        rates.append((naive, rate))
        ratios.append(rate / naive)
        (output,) = (folder / "out").glob("*.npy")
        answers, expected = np.load(output, mmap_mode="r"), np.load(folder / "loop.npy")
        if len(np.unique(expected, axis=0)) < DISTINCT:
            raise RuntimeError(f"{network.name} answers almost alike to every item")
        same = same and np.array_equal(answers[: network.items], expected)
    naive, rate = (statistics.median(column) for column in zip(*rates, strict=True))
    ratio = statistics.median(ratios)
    settings = f"batch {chosen['batch']}, {chosen['processes']} processes"
    return Row(
        f"int8 evaluation of {network.name}, items a second on {CORES} cores (median of {ROUNDS}"
        f" rounds of {SECONDS} s): loop {naive:,.0f}, edgekit's runner {rate:,.0f} ({settings},"
        f" start-up {startup:.1f} s apart), answers {'equal to the bit' if same else 'DIFFER'}",
        f"at least {network.bar} x",
        f"{ratio:.2f} x ({', '.join(f'{one:.2f}' for one in ratios)})",
        same and ratio >= network.bar,
    )


def _memory(network: Network, model: Path, folder: Path) -> Row:
    """What more items cost in anonymous memory: inputs and outputs are mapped from files."""
    held = []
    for items in (FEW, MANY):
        _, result = _evaluate(model, _data(folder, network, items), folder)
        held.append(int(result["memory"]["anonymous_bytes"]))
    few, many = (f"{size / 2**20:.1f} MiB" for size in held)
    return Row(
        f"anonymous memory of that evaluation on {FEW:,} and on {MANY:,} items",
        f"within {GROWTH >> 20} MiB",
        f"{few} and {many}",
        abs(held[1] - held[0]) <= GROWTH,
    )


def _layers(network: Network, folder: Path) -> Row:
    """The whole command that compares every layer of the float file and the int8 one."""
    edgekit = Path(sys.executable).with_name("edgekit")
    images = np.load(_data(folder, network, LAYER_ITEMS))
    np.savez(folder / "labelled.npz", x=images, y=np.arange(LAYER_ITEMS) % 10)
    made = folder / "build" / "network"
    files = [made / precision / "model.tflite" for precision in ("float32", "int8")]
    operators = len(flatbuffer.read(files[1]).graphs[0].nodes)
    taken = seconds(
        [
            edgekit,
            "compare",
            *files,
            "--layers",
            "--no-latency",
            "--data",
            folder / "labelled.npz",
            "--rescale",
            "1/255",
            "--output",
            folder,
            "--quiet",
            "--max-drop",
            "100%",
        ]
    )
    return Row(
        f"`edgekit compare --layers` of {network.name}, float against int8, {operators} operators",
        f"under {LAYER_SECONDS} s",
        f"{taken:.1f} s",
        taken < LAYER_SECONDS,
    )


def _int8(network: Network, folder: Path) -> Path:
    edgekit = Path(sys.executable).with_name("edgekit")
    here = Path(__file__).resolve().parent
    data = _data(folder, network, CALIBRATION)
    make = MAKE.format(make=network.make)
    seconds([sys.executable, "-c", make, here, folder / "network.keras", data])
    np.savez(folder / "representative.npz", x=np.load(data))
    seconds(
        [
            edgekit,
            "convert",
            folder / "network.keras",
            "--data",
            folder / "representative.npz",
            "--rescale",
            "1/255",
            "--precision",
            "float32",
            "--precision",
            "int8",
            "--no-evaluate",
            "--output",
            folder,
        ]
    )
    return folder / "build" / "network" / "int8" / "model.tflite"


def _data(folder: Path, network: Network, items: int) -> Path:
    """So many images of random squares as an ``.npy`` file."""
    path, (height, width, channels) = folder / "x.npy", network.shape
    shape = (items, height // SQUARE, width // SQUARE, channels)
    squares = np.random.default_rng(7).integers(0, 256, shape, np.uint8)
    np.save(path, squares.repeat(SQUARE, 1).repeat(SQUARE, 2))
    return path


def _evaluate(
    model: Path, data: Path, folder: Path, **changes: object
) -> tuple[float, dict[str, Any]]:
    """Seconds of the whole process, and the runner's result."""
    request = {
        "schema": 1,
        "mode": "evaluate",
        "runtime": RUNTIME,
        "models": [{"id": "m", "path": str(model), "outputs": str(folder / "out")}],
        "inputs": {"image": str(data)},
        "preprocess": {"scale": 1 / 255, "offset": 0.0},
        "threads": 1,
        **changes,
    }
    (folder / "request.json").write_text(json.dumps(request))
    whole = seconds(
        [sys.executable, RUNNER_FILES[RUNTIME], folder / "request.json", folder / "result.json"]
    )
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())["models"]["m"]
    return whole, result


if __name__ == "__main__":
    for row in rows():
        print(row, flush=True)
