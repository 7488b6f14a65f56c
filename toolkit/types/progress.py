"""Where a run reports to."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Where a run reports to: a terminal, a log, or nowhere."""

    def stage(self, name: str) -> None:
        """Report that a stage begins."""

    def update(self, done: float, total: float, text: str) -> None:
        """Report that the current stage has come to ``done`` of ``total``."""


class Silent:
    """A :class:`Progress` that says nothing."""

    def stage(self, name: str) -> None:
        """Say nothing."""

    def update(self, done: float, total: float, text: str) -> None:
        """Say nothing."""
