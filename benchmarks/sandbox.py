"""Start-up of a runner in the sandbox, against the same runner without it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from rows import Row, alternating

from edgekit.sandbox import Sandbox

ROUNDS = 41
FACTOR, ALLOWANCE = 1.1, 0.05


def rows() -> Iterator[Row]:
    """Importing LiteRT, which every runner begins with: at most 1.1 times, plus 50 ms."""
    plain = [sys.executable, "-c", "import ai_edge_litert.interpreter"]
    sandboxed = Sandbox(write=(Path(__file__).parent,)).command(plain)
    alternating([plain, sandboxed], 2)
    free, shut = alternating([plain, sandboxed], ROUNDS)
    limit = FACTOR * free + ALLOWANCE
    yield Row(
        f"a runner's start in the sandbox (median of {ROUNDS} pairs; without {free:.3f} s)",
        f"1.1 x + 0.05 s = {limit:.3f} s",
        f"{shut:.3f} s, {shut / free:.2f} x",
        shut <= limit,
    )
