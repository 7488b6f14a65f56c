"""A repeated, unchanged `edgekit convert` of the example, and the fit board of its int8 file."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rows import Row, seconds

from edgekit.targets import catalog

LIMIT = 3.0
ROUNDS = 5


def rows() -> Iterator[Row]:
    """Under 3 s each."""
    edgekit = Path(sys.executable).with_name("edgekit")
    with tempfile.TemporaryDirectory() as folder:
        seconds([edgekit, "init", folder])
        first = seconds([edgekit, "convert"], Path(folder))
        again = seconds([edgekit, "convert"], Path(folder))
        (model,) = Path(folder).glob("build/*/int8/model.tflite")
        fits = [seconds([edgekit, "targets", "fit", model]) for _ in range(ROUNDS)]
    yield Row(
        f"`edgekit convert` of the example, repeated unchanged (first run {first:.1f} s)",
        f"under {LIMIT:.0f} s",
        f"{again:.2f} s, {again / first:.3f} x",
        again < LIMIT,
    )
    board = statistics.median(fits)
    yield Row(
        f"`edgekit targets fit` of its int8 file, {len(catalog.names())} targets, every runtime"
        f" and compiler tried (median of {ROUNDS})",
        f"under {LIMIT:.0f} s",
        f"{board:.2f} s",
        board < LIMIT,
    )
