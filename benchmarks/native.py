"""The native C runner's latency beside the Python runner's, on one model of over 1 ms.

python benchmarks/native.py [--launches 24]

Fresh launches of both take turns on one core, as in `edgekit compare`: the ratio is the median over
launches of paired block medians, with its interval and the noise floor of the same launches.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from latency import CHANNELS, network
from rows import Row

from edgekit.evaluation.latency import (
    Timed,
    TimingInputs,
    Timings,
    allowed,
    time_side_by_side,
)
from edgekit.targets.devices import Workplace, open_device, parse
from edgekit.targets.devices.local import LocalDevice
from edgekit.types import Preprocess

BAR = 0.03
SIZE = 112
LAUNCHES = 24


def measure(launches: int = LAUNCHES) -> Timings:
    """The native runner against the Python runner, both with LiteRT on one thread."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model.tflite"
        model.write_bytes(network(SIZE))
        np.save(folder / "x.npy", np.random.default_rng(1).normal(size=(8, SIZE, SIZE, CHANNELS)))
        np.save(folder / "index.npy", np.arange(8))
        native = open_device(parse("local:native"), Workplace(folder / "native", folder / "log"))
        with contextlib.closing(native):
            sides = [
                Timed("python", model, "litert"),
                Timed("native", model, "native", device=native),
            ]
            inputs = TimingInputs({"x": folder / "x.npy"}, folder / "index.npy", Preprocess())
            return time_side_by_side(
                sides,
                inputs,
                local=LocalDevice(folder / "requests", folder / "log"),
                progress=_silent,
                protocol=allowed(launches),
            )


def _silent(done: float, total: float, text: str) -> None:
    """Nobody watches."""


def rows(launches: int = LAUNCHES) -> Iterator[Row]:
    """One row: the ratio of medians."""
    found = measure(launches)
    ratio, p50 = found.ratio("native"), found.latency("python").p50.value or 0.0
    noise = found.noise.value or 0.0 if found.noise else 0.0
    yield Row(
        f"native C runner against the Python runner, a float model of {p50 / 1e6:.2f} ms,"
        f" {found.launches} launches in turns (noise floor {noise:.1%})",
        f"within {BAR:.0%}, at 1 ms or more",
        f"{ratio.value:.3f} x ({ratio.low:.3f} to {ratio.high:.3f})",
        p50 >= 1e6 and abs((ratio.value or 0.0) - 1) <= BAR,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launches", type=int, default=LAUNCHES)
    kept = True
    for row in rows(parser.parse_args().launches):
        kept = kept and row.kept
        print(f"{row.what}\n  bar: {row.bar}\n  measured: {row.measured}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
