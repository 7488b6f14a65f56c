"""Start-up of commands that need no TensorFlow, against importing click alone."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rows import Row, alternating

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))
from tflite_files import G, N, T, build  # noqa: E402

ROUNDS = 21
FACTOR, ALLOWANCE = 1.5, 0.1
# What `inspect` may take beyond `import click` for a file of 5 MB.
LARGE = 1.0
# What `check` of a finished report may take beyond starting Python.
CHECK = 0.3
REPORT = TESTS / "toolkit" / "report" / "samples" / "report_version_1.json"


def rows() -> Iterator[Row]:
    """At most 1.5 times `import click` plus 100 ms; 1 s more to inspect a file of 5 MB; 0.3 s more
    than Python itself to check a finished report.
    """
    edgekit = Path(sys.executable).with_name("edgekit")
    base = [sys.executable, "-c", "import click"]
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model.tflite")
        model.write_bytes(_five_megabytes())
        commands = [
            base,
            [edgekit, "--help"],
            [edgekit, "targets"],
            [edgekit, "inspect", model],
            [edgekit, "check", REPORT, "-q"],
            [sys.executable, "-c", "pass"],
        ]
        alternating(commands, 1)
        click, *ours, inspected, checked, python = alternating(commands, ROUNDS)
    for name, taken in zip(("--help", "targets"), ours, strict=True):
        limit = FACTOR * click + ALLOWANCE
        yield Row(
            f"`edgekit {name}`, whole process (median of {ROUNDS}; `import click` {click:.3f} s)",
            f"1.5 x + 0.1 s = {limit:.3f} s",
            f"{taken:.3f} s, {taken / click:.2f} x",
            taken <= limit,
        )
    yield Row(
        f"`edgekit inspect` of a file of 5 MB, whole process (median of {ROUNDS})",
        f"`import click` + {LARGE:.0f} s",
        f"{inspected:.3f} s, {inspected / click:.1f} x",
        inspected <= click + LARGE,
    )
    yield Row(
        f"`edgekit check` of a finished report, whole process (median of {ROUNDS})",
        f"`python -c pass` + {CHECK} s",
        f"{checked:.3f} s, {checked - python:.3f} s more",
        checked <= python + CHECK,
    )


def _five_megabytes() -> bytes:
    """50 layers of 100 kB: the size of MobileNetV2 in int8, and as hard to deflate."""
    rng = np.random.default_rng(1)
    tensors, nodes = [T("x0", [1, 1000])], []
    for at in range(50):
        weights = rng.integers(-127, 128, (100, 1000)).astype(np.int8)
        tensors += [
            T(f"w{at}", [100, 1000], "INT8", weights, scale=[0.1]),
            T(f"x{at + 1}", [1, 100]),
        ]
        nodes.append(N("FULLY_CONNECTED", ["x0", f"w{at}"], [f"x{at + 1}"]))
    return build(G(tensors, nodes, ["x0"], ["x50"]))
