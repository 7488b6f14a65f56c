"""Start-up of a runner behind walls, against the same runner without them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from rows import Row, alternating

from edgekit.walls import Walls

ROUNDS = 41
FACTOR, ALLOWANCE = 1.1, 0.05


def rows() -> Iterator[Row]:
    """Importing LiteRT, which every runner begins with: at most 1.1 times, plus 50 ms."""
    plain = [sys.executable, "-c", "import ai_edge_litert.interpreter"]
    walled = Walls(write=(Path(__file__).parent,)).command(plain)
    alternating([plain, walled], 2)
    free, shut = alternating([plain, walled], ROUNDS)
    limit = FACTOR * free + ALLOWANCE
    yield Row(
        f"a runner's start behind walls (median of {ROUNDS} pairs; without {free:.3f} s)",
        f"1.1 x + 0.05 s = {limit:.3f} s",
        f"{shut:.3f} s, {shut / free:.2f} x",
        shut <= limit,
    )
