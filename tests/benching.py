"""What tests of benchmarks share: a device that answers from written times, and a small bundle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import RunnerError
from edgekit.evaluation.protocol import Protocol, TimingJob
from edgekit.targets import catalog
from edgekit.targets.bundles import Contents, Golden, pack
from edgekit.targets.devices.agent import machine
from edgekit.types import Preprocess, Request, RunnerModel, TensorSpec

#: Nanoseconds of the runs of a launch (numbered from 0), for as long as they are asked for.
Times = Callable[[int], Iterator[float]]

QUICK = Protocol(
    min_runs=40,
    max_runs=4000,
    min_seconds=0.04,
    max_seconds=4.0,
    precision=0.01,
    launches=4,
    max_launches=8,
    warmup_runs=10,
    warmup_seconds=0.01,
    max_warmup_seconds=0.5,
)


@dataclass
class TraceSession:
    """One launch over its written times; its clock is their sum."""

    model: str
    times: Iterator[float]
    log: list[str]

    def ready(self) -> Mapping[str, Any]:
        facts = {
            "load_ns": 1000,
            "first_ns": 500,
            "memory": {"baseline_bytes": 10, "peak_bytes": 25},
        }
        return {"models": {self.model: facts}, "version": "1.0"}

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        taken: list[int] = []
        while len(taken) < runs or sum(taken) < seconds * 1e9:
            taken.append(round(next(self.times)))
        return taken

    def close(self) -> None:
        self.log.append(f"close {self.model}")


@dataclass
class TraceDevice:
    """Opens launch after launch of one model's written times."""

    times: Times
    log: list[str] = field(default_factory=list)
    launches: int = 0

    state = staticmethod(machine.state)
    now = staticmethod(time.monotonic)

    def open(self, request: Request) -> TraceSession:
        model = request.models[0].id
        self.log.append(f"open {model}")
        self.launches += 1
        return TraceSession(model, self.times(self.launches - 1), self.log)


class RefusingDevice:
    """A device whose runner cannot run the model."""

    state = staticmethod(machine.state)
    now = staticmethod(time.monotonic)

    def open(self, request: Request) -> TraceSession:
        raise RunnerError("EK-RUNNER-002", "it refuses")


def job(name: str, device: Any) -> TimingJob:
    """A job of a model of this name."""
    return TimingJob(name, device, Request("bench", (RunnerModel(name, Path(name)),)))


def nothing(done: float, total: float, text: str) -> None:
    """Progress that nobody watches."""


def probe_bundle(model: Path, target: str) -> Path:
    """A bundle around the probe in ``model`` with three golden items, beside it."""
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    contents = Contents(
        name="probe",
        version="1",
        model=model,
        precision="float32",
        inputs=(TensorSpec("x", (None, 4), "float32"),),
        outputs=(TensorSpec("y", (1, 4), "float32"),),
        preprocess=Preprocess(0.5, 1.0),
        labels=("a", "b", "c", "d"),
        golden=Golden({"x": x}, {"y": x + 2}, {"y": 1e-6}),
        measurements={},
        tools={},
    )
    return pack(catalog.load(target), contents, model.with_name("probe.tar.gz")).path
