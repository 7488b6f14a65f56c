"""A worker beside the one that keeps the logs: it takes part in looks, and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.training.watch.board import Board
from edgekit.training.watch.steps import Look


class Partner(Board):
    """Computes what all workers have to compute together."""

    def begin(self, step: int) -> None:
        """Open no logs."""

    def graph(self) -> None:
        """Leave it to the chief, who asks nobody for it."""

    def look(self, step: int, look: Look) -> None:
        """Write no histograms of what was computed together."""

    def weights(self, step: int) -> None:
        """Write none: each worker has the weights."""

    def epoch(self, step: int, logs: Mapping[str, Any], waited: float | None) -> None:
        """Write no figures."""

    def items(self, step: int) -> None:
        """Answer the items: variables of a layer may be means over all workers."""
        self._answering(self._items)

    def profile(self, seen: int) -> None:
        """Profile no steps."""

    def end(self, step: int) -> None:
        """Close nothing."""
