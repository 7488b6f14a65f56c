"""Where a run reports to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from edgekit.types.outcome import StageRecord

# Below a run's folder: one JSON object a line, as :class:`edgekit.pipeline.journal.Journal` says.
PROGRESS_FILE = "progress.jsonl"


class Progress(Protocol):
    """Where a run reports to: a terminal, a log, or nowhere."""

    def stage(self, name: str) -> None:
        """Report that a stage begins."""

    def update(self, done: float, total: float, text: str) -> None:
        """Report that the current stage has come to ``done`` of ``total``."""


@runtime_checkable
class StagedProgress(Progress, Protocol):
    """A :class:`Progress` that also hears how many stages there are, and how each ended.

    It hears of stages by these methods alone; several may be open at once.
    """

    def begin(self, stage: str, number: int, of: int) -> None:
        """Report that a stage begins: the ``number``-th of so many, as far as is known."""

    def advance(self, stage: str, done: float, total: float, text: str) -> None:
        """Report that a stage has come to ``done`` of ``total``, which is 0 where unknown."""

    def end(self, record: StageRecord) -> None:
        """Report that a stage ended, and with what."""

    def fail(self, stage: str, seconds: float, reason: str) -> None:
        """Report that a stage was left by an error, or interrupted."""


class Silent:
    """A :class:`Progress` that says nothing."""

    def stage(self, name: str) -> None:
        """Say nothing."""

    def update(self, done: float, total: float, text: str) -> None:
        """Say nothing."""
