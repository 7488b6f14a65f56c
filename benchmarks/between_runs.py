"""How far times of one file lie apart from one run to another: what a lock's latency is held to.

python benchmarks/between_runs.py BUILD --name NAME [--reference litert|tensorflow] [--runs 5]

BUILD is a folder that `edgekit convert` left below build/, with saved_model, float32 and int8. A
run times the int8 file as a conversion does, beside the reference and beside a copy of itself that
stands for the lock's file. Appends a line of JSON for each run to between_runs.jsonl, of which
gate.py draws.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.evaluation.latency import REFERENCE, Timed, TimingInputs, Timings, time_side_by_side
from edgekit.evaluation.protocol import SIDE_BY_SIDE
from edgekit.targets.devices.local import LocalDevice
from edgekit.types import Preprocess

KEPT = Path(__file__).with_name("between_runs.jsonl")
OURS, LOCKED = "int8", "locked"
ITEMS = 8


def signature(path: Path) -> tuple[str, tuple[int, ...]]:
    """Return the name of a file's input and the shape of an item."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner()
    (name, facts), *_ = runner.get_input_details().items()
    return name, tuple(int(size) for size in facts["shape"][1:])


def measured(
    name: str, build: Path, reference: str, runs: int, launches: int
) -> Iterator[dict[str, Any]]:
    """Yield a line for each run."""
    file = build / OURS / "model.tflite"
    tensor, shape = signature(file)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        np.save(folder / "x.npy", np.random.default_rng(1).random((ITEMS, *shape), dtype="f4"))
        np.save(folder / "index.npy", np.arange(ITEMS))
        shutil.copy(file, folder / "locked.tflite")
        path = "saved_model" if reference == "tensorflow" else "float32/model.tflite"
        sides = [
            Timed(REFERENCE, build / path, reference),
            Timed(OURS, file, "litert"),
            Timed(LOCKED, folder / "locked.tflite", "litert"),
        ]
        feed = TimingInputs({tensor: folder / "x.npy"}, folder / "index.npy", Preprocess())
        protocol = replace(SIDE_BY_SIDE, launches=launches, max_launches=launches)
        for _ in range(runs):
            begin, load = time.time(), os.getloadavg()[0]
            found = time_side_by_side(
                sides,
                feed,
                local=LocalDevice(folder / "requests", folder / "log"),
                progress=lambda *_: None,
                protocol=protocol,
            )
            facts = {"model": name, "reference": reference, "at": round(begin)}
            yield {**facts, "load": round(load, 1), **line(found)}


def line(found: Timings) -> dict[str, Any]:
    """Return what a run says, its intervals as value, low and high."""
    latency, noise = found.latency(OURS), found.noise
    intervals = {
        "p50": latency.p50,
        "ratio": found.ratio(OURS),
        "beside": found.ratio(OURS, LOCKED),
    }
    return {
        **{name: [one.value, one.low, one.high] for name, one in intervals.items()},
        "noise": noise.value if noise else None,
        "launches": found.launches,
    }


def rounded(value: Any) -> Any:
    """Return it with as many digits as tell anything."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--name", required=True, help="what the lines call the model")
    parser.add_argument("--reference", choices=("litert", "tensorflow"), default="litert")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--launches", type=int, default=SIDE_BY_SIDE.max_launches)
    options = parser.parse_args()
    for one in measured(
        options.name, options.build, options.reference, options.runs, options.launches
    ):
        with KEPT.open("a") as file:
            file.write(json.dumps(rounded(one)) + "\n")
        print(json.dumps(rounded(one)), flush=True)


if __name__ == "__main__":
    main()
