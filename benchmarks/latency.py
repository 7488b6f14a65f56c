"""How often a latency comparison is wrong, and how often it cannot tell, beside a busy process.

python benchmarks/latency.py [--trials 200] [--faults 100]

A trial compares two copies of one file at a budget of 5 %. In a fault one of them spins for 10 %
of the median inside the timed region. Meanwhile another process spins on one core. Prints running
counts, so that an interrupted run tells too.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rows import Row

from edgekit.evaluation.latency import (
    LAUNCHES,
    Timed,
    TimingInputs,
    Timings,
    allowed,
    time_side_by_side,
)
from edgekit.gate import decide
from edgekit.targets.devices.local import LocalDevice
from edgekit.types import Preprocess, Status

BUDGET, SLOWDOWN = 0.05, 0.10
# Of launches, in a trial that may take 8 s.
LIMIT = 6.0
RUNNER = Path(__file__).resolve().with_name("spinning_runner.py")
TESTS = Path(__file__).resolve().parents[1] / "tests"
# It ends with the process that started it.
SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100000))"
SIZE, CHANNELS = 32, 16


@dataclass
class Counts:
    """Verdicts of trials of one kind, and how long each took."""

    verdicts: Counter[Status] = field(default_factory=Counter)
    faster: int = 0
    seconds: list[float] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)
    launches: list[int] = field(default_factory=list)

    def add(self, found: Timings, seconds: float) -> Status:
        verdict = verdict_of(found)
        self.verdicts[verdict] += 1
        # A gate has no use for it, but it would be as wrong.
        high = found.ratio("B").high
        self.faster += high is not None and high < 1 / (1 + BUDGET)
        self.seconds.append(seconds)
        self.floors.append(found.noise.value or 0.0 if found.noise else 0.0)
        self.launches.append(found.launches)
        return verdict

    @property
    def trials(self) -> int:
        return len(self.seconds)

    @property
    def false_alarms(self) -> int:
        return self.verdicts[Status.FAILED] + self.faster

    @property
    def decided(self) -> int:
        return self.trials - self.verdicts[Status.INCONCLUSIVE]

    def __str__(self) -> str:
        spent = f"{statistics.median(self.seconds):.1f} s, at most {max(self.seconds):.1f} s"
        return (
            f"{self.trials} trials: {self.verdicts[Status.PASSED]} passed,"
            f" {self.verdicts[Status.FAILED]} failed,"
            f" {self.verdicts[Status.INCONCLUSIVE]} inconclusive, {self.faster} called faster;"
            f" a trial takes {spent}, {statistics.median(self.launches):g} launches; noise floor"
            f" {statistics.median(self.floors):.2%},"
            f" at most {max(self.floors):.2%}"
        )


def verdict_of(found: Timings) -> Status:
    return decide(found.ratio("B"), 1 + BUDGET, found.noise)


class Bench:
    """The two sides, on a runner that can slow the second one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._device = LocalDevice(folder / "requests", folder / "log", runners={"litert": RUNNER})
        for side in "AB":
            (folder / f"{side}.tflite").write_bytes(network())
        np.save(folder / "x.npy", np.random.default_rng(1).normal(size=(8, SIZE, SIZE, CHANNELS)))
        np.save(folder / "index.npy", np.arange(8))
        self.median_ns = 0.0

    def trial(self, slowdown: float, counts: Counts) -> Timings:
        """One comparison, B slowed by a share of the median that the one before had."""
        os.environ["SPIN_NS"] = str(round(slowdown * self.median_ns))
        begin = time.monotonic()
        inputs = {"x": self._folder / "x.npy"}
        found = time_side_by_side(
            [Timed(side, self._folder / f"{side}.tflite", "litert") for side in "AB"],
            TimingInputs(inputs, self._folder / "index.npy", Preprocess()),
            local=self._device,
            progress=_silent,
            protocol=allowed(LAUNCHES, LIMIT),
            decided=lambda so_far: verdict_of(so_far) is not Status.INCONCLUSIVE,
        )
        counts.add(found, time.monotonic() - begin)
        self.median_ns = found.latency("A").p50.value or 0.0
        return found


def _silent(done: float, total: float, text: str) -> None:
    """Nobody watches."""


def network(size: int = SIZE) -> bytes:
    """Three 3 x 3 convolutions of 16 channels, by default on 32 x 32: 0.1 to 1 ms on one core."""
    sys.path.insert(0, str(TESTS))
    from tflite_files import G, N, T, build

    rng = np.random.default_rng(0)
    image = (1, size, size, CHANNELS)
    options: dict[str, Any] = {
        "kind": "Conv2DOptions",
        "padding": 0,
        "strideH": 1,
        "strideW": 1,
        "dilationHFactor": 1,
        "dilationWFactor": 1,
        "fusedActivationFunction": 1,
    }
    names = ["x", "y", "z", "answer"]
    tensors = [T(name, image) for name in names]
    nodes = []
    for source, target in itertools.pairwise(names):
        weights = rng.normal(0, 0.1, (CHANNELS, 3, 3, CHANNELS)).astype(np.float32)
        tensors += [
            T(f"{target}/w", weights.shape, data=weights),
            T(f"{target}/b", (CHANNELS,), data=np.zeros(CHANNELS, np.float32)),
        ]
        nodes.append(N("CONV_2D", [source, f"{target}/w", f"{target}/b"], [target], 1, options))
    return build(G(tensors, nodes, inputs=["x"], outputs=["answer"]))


@contextlib.contextmanager
def spinning() -> Iterator[None]:
    """Another process that never rests, wherever the system puts it."""
    process = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(trials: int, faults: int, verbose: bool = False) -> tuple[Counts, Counts]:
    """The verdicts of so many comparisons without a difference, and with one."""
    alike, slowed = Counts(), Counts()
    with tempfile.TemporaryDirectory() as name, spinning():
        bench = Bench(Path(name))
        for _ in range(trials):
            _say(verbose, "A/A", bench.trial(0.0, alike), alike)
        if not trials:
            bench.trial(0.0, Counts())
        for _ in range(faults):
            _say(verbose, f"+{SLOWDOWN:.0%}", bench.trial(SLOWDOWN, slowed), slowed)
    return alike, slowed


def _say(verbose: bool, kind: str, found: Timings, counts: Counts) -> None:
    if verbose:
        ratio, noise = found.ratio("B"), found.noise
        print(
            f"{kind}: {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
            f" floor {noise.value if noise else 0.0:.2%}, {found.launches} launches | {counts}",
            flush=True,
        )


def rows(trials: int = 20, faults: int = 10) -> Iterator[Row]:
    """False alarms of a model against itself, and how often a planted 10 % is found."""
    yield from _rows(*measure(trials, faults))


def _rows(alike: Counts, slowed: Counts) -> Iterator[Row]:
    if alike.trials:
        yield Row(
            f"false alarms of a 5 % latency budget, a model against itself, beside a process that"
            f" spins ({alike})",
            "at most 1 %, in at most 8 s each",
            f"{alike.false_alarms} of {alike.trials}",
            alike.false_alarms <= 0.01 * alike.trials and max(alike.seconds) <= 8,
        )
    if slowed.trials:
        found = slowed.verdicts[Status.FAILED]
        yield Row(
            f"the same with a spin of 10 % of the median planted in one of the two ({slowed})",
            "at least 95 % of those decided found, at most 30 % inconclusive",
            f"{found} of {slowed.decided} found, {slowed.trials - slowed.decided} inconclusive",
            found >= 0.95 * slowed.decided and slowed.decided >= 0.7 * slowed.trials,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--faults", type=int, default=100)
    arguments = parser.parse_args()
    kept = True
    for row in _rows(*measure(arguments.trials, arguments.faults, verbose=True)):
        kept = kept and row.kept
        print(f"{row.what}\n  bar: {row.bar}\n  measured: {row.measured}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
