"""Start-up of commands that need no TensorFlow, against importing click alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from rows import Row, alternating

ROUNDS = 21
FACTOR, ALLOWANCE = 1.5, 0.1


def rows() -> Iterator[Row]:
    """`edgekit --help` and `edgekit targets`: at most 1.5 times `import click`, plus 100 ms."""
    edgekit = Path(sys.executable).with_name("edgekit")
    base = [sys.executable, "-c", "import click"]
    commands = [base, [edgekit, "--help"], [edgekit, "targets"]]
    alternating(commands, 1)
    click, *ours = alternating(commands, ROUNDS)
    for name, taken in zip(("--help", "targets"), ours, strict=True):
        limit = FACTOR * click + ALLOWANCE
        yield Row(
            f"`edgekit {name}`, whole process (median of {ROUNDS}; `import click` {click:.3f} s)",
            f"1.5 x + 0.1 s = {limit:.3f} s",
            f"{taken:.3f} s, {taken / click:.2f} x",
            taken <= limit,
        )
