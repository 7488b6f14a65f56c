"""The latency protocol: fresh launches, one core, warm-up, then blocks that take turns."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit import statistics
from edgekit.targets.devices.local import LocalDevice, Session
from edgekit.types import Json, Latency, Measurement, Preprocess

REFERENCE = "reference"
BLOCKS = 8
BLOCK_SECONDS = 0.02
BLOCK_RUNS = 5
WARMUP_SECONDS = 0.1
WARMUP_RUNS = 10
# A slow model gets fewer runs per block, so that a run ends in minutes.
PATIENT_SECONDS = 0.5


def protocol(launches: int) -> Mapping[str, Json]:
    """What the figures depend on besides models and items."""
    return {
        "launches": launches, "blocks": BLOCKS, "block_seconds": BLOCK_SECONDS,
        "block_runs": BLOCK_RUNS, "warmup_seconds": WARMUP_SECONDS, "warmup_runs": WARMUP_RUNS,
    }  # fmt: skip


Launches = Sequence[Sequence[npt.NDArray[np.float64]]]


@dataclass(frozen=True)
class Timed:
    """One side to time: its id, its file or folder, the runtime, and whether it keeps state."""

    id: str
    path: Path
    runtime: str
    stateful: bool = False


def collect(
    device: LocalDevice, models: Sequence[Timed], inputs: Mapping[str, Path], index: Path,
    preprocess: Preprocess, count: int, progress: Callable[[float, float, str], None],
) -> Mapping[str, list[list[list[int]]]]:  # fmt: skip
    """Nanoseconds of every timed inference: by model, launch (``count`` of them) and block.

    Every launch is a fresh process per runtime, all pinned to one core; blocks of all models
    alternate, and every second round runs in reverse order.
    """
    found: dict[str, list[list[list[int]]]] = {model.id: [] for model in models}
    with contextlib.ExitStack() as stack:
        # All launches load at once and then sleep: start-up is no part of what is timed.
        launches = [_open(device, models, inputs, index, preprocess, stack) for _ in range(count)]
        for number, sessions in enumerate(launches):
            progress(0, count, f"starting launch {number + 1} of {count}")
            for session in set(sessions.values()):
                session.ready()
        for number, sessions in enumerate(launches):
            progress(number, count, f"launch {number + 1} of {count}")
            for name, blocks in _time(models, sessions).items():
                found[name].append(blocks)
    return found


def _open(
    device: LocalDevice, models: Sequence[Timed], inputs: Mapping[str, Path], index: Path,
    preprocess: Preprocess, stack: contextlib.ExitStack,
) -> Mapping[str, Session]:  # fmt: skip
    sessions: dict[str, Session] = {}
    groups = sorted({(model.runtime, model.stateful) for model in models})
    for runtime, stateful in groups:
        group = [m for m in models if (m.runtime, m.stateful) == (runtime, stateful)]
        request: dict[str, Json] = {
            "schema": 1, "mode": "bench", "runtime": runtime, "threads": 1, "core": _core(),
            "models": [{"id": m.id, "path": str(m.path)} for m in group],
            "inputs": {name: str(path) for name, path in inputs.items()},
            "index": str(index), "reset_state": stateful,
            "preprocess": {"scale": preprocess.scale, "offset": preprocess.offset},
        }  # fmt: skip
        session = device.open(request)
        stack.callback(session.close)
        sessions.update({m.id: session for m in group})
    return sessions


def _core() -> int | None:
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _time(
    models: Sequence[Timed], sessions: Mapping[str, Session]
) -> Mapping[str, list[list[int]]]:
    runs: dict[str, int] = {}
    for model in models:
        first = sessions[model.id].block(model.id, 0.0, 1)[0] / 1e9
        affordable = max(1, int(PATIENT_SECONDS / max(first, 1e-9)))
        runs[model.id] = min(BLOCK_RUNS, affordable)
        sessions[model.id].block(model.id, WARMUP_SECONDS, min(WARMUP_RUNS, affordable))
    blocks: dict[str, list[list[int]]] = {model.id: [] for model in models}
    for turn in range(BLOCKS):
        for model in models if turn % 2 == 0 else list(reversed(models)):
            timed = sessions[model.id].block(model.id, BLOCK_SECONDS, runs[model.id])
            blocks[model.id].append(timed)
    return blocks


def summarize(samples: Sequence[Sequence[Sequence[int]]]) -> Latency:
    """Percentiles with intervals over launches and blocks, in nanoseconds."""
    launches = _arrays(samples)
    everything = np.concatenate([block for launch in launches for block in launch])
    n = len(everything)

    def percentile(q: float) -> Measurement:
        found = statistics.percentile_interval(launches, q)
        return Measurement(
            found.value, "ns", n=n, low=found.low, high=found.high, level=found.level,
            tool=f"bootstrap over {len(launches)} launches, then blocks",
        )  # fmt: skip

    return Latency(
        p50=percentile(50), p90=percentile(90), p95=percentile(95),
        min=Measurement(float(everything.min()), "ns", n=n),
        mean=Measurement(float(everything.mean()), "ns", n=n),
    )  # fmt: skip


def ratio(
    candidate: Sequence[Sequence[Sequence[int]]], reference: Sequence[Sequence[Sequence[int]]]
) -> Measurement:
    """Candidate over reference, median of paired block medians; below 1 is faster."""
    found = statistics.paired_ratio(_arrays(candidate), _arrays(reference))
    return Measurement(
        found.value, "1", n=found.n, low=found.low, high=found.high, level=found.level,
        tool="paired block medians, bootstrap over launches, then blocks",
    )  # fmt: skip


def _arrays(samples: Sequence[Sequence[Sequence[int]]]) -> Launches:
    return [[np.asarray(block, dtype=np.float64) for block in launch] for launch in samples]
