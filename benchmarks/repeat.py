"""A repeated, unchanged `edgekit convert` of the example."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rows import Row, seconds

LIMIT = 3.0


def rows() -> Iterator[Row]:
    """Under 3 s."""
    edgekit = Path(sys.executable).with_name("edgekit")
    with tempfile.TemporaryDirectory() as folder:
        seconds([edgekit, "init", folder])
        first = seconds([edgekit, "convert"], Path(folder))
        again = seconds([edgekit, "convert"], Path(folder))
    yield Row(
        f"`edgekit convert` of the example, repeated unchanged (first run {first:.1f} s)",
        f"under {LIMIT:.0f} s",
        f"{again:.2f} s, {again / first:.3f} x",
        again < LIMIT,
    )
