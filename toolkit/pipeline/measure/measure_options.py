"""What is asked of a measurement besides the project: devices, options, budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.evaluation.latency import LAUNCHES
from edgekit.evaluation.mlperf_tiny import SECONDS
from edgekit.evaluation.protocol import Protocol
from edgekit.types import Json


@dataclass(frozen=True)
class MeasureOptions:
    """What the command line adds: where to measure, how, and by what budgets.

    ``devices`` empty means TensorFlow for what it runs, and LiteRT for ``.tflite`` files. ``arena``
    is TFLM's, in bytes. Budgets
    are stated ones: ``max_drop`` in the metric's unit, ``max_flips`` and ``max_changed`` shares of
    the items, ``max_error`` in the outputs' unit, ``max_slowdown`` a share. ``latency`` None times
    all but what TensorFlow runs.
    """

    devices: tuple[str, ...] = ()
    threads: int | None = None
    delegate: str | None = None
    arena: int | None = None
    metric_output: str | None = None
    by_class: bool = False
    worst: int | None = None
    pictures: Path | None = None
    max_drop: float | None = None
    max_flips: float | None = None
    max_changed: float | None = None
    max_error: float | None = None
    max_slowdown: float | None = None
    layers: bool = False
    latency: bool | None = None
    launches: int = LAUNCHES

    def runner_options(self, runtime: str) -> Mapping[str, Json]:
        """Return the fields of a runner's request that the options set."""
        arena = self.arena if runtime == "tflm" else None
        named = {"threads": self.threads, "delegate": self.delegate, "arena_bytes": arena}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class BenchOptions:
    """What is measured, how long, and what it is judged by.

    ``arena`` is TFLM's, in bytes. ``threads`` one after the other, 0 is one per processor.
    ``max_latency`` in nanoseconds, ``max_slowdown`` a share of the median in ``baseline``, an
    earlier ``bench.json``. ``sustain`` and ``window`` (of MLPerf Tiny) in seconds.
    """

    devices: tuple[str, ...] = ()
    threads: tuple[int, ...] = (1,)
    batch: int = 1
    delegate: str | None = None
    arena: int | None = None
    protocol: Protocol = field(default_factory=Protocol)
    calibrate: bool = True
    profile: bool = False
    sustain: float = 0.0
    mlperf_tiny: bool = False
    window: float = SECONDS
    metric_output: str | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    max_latency: float | None = None
    max_slowdown: float | None = None
    baseline: Path | None = None
